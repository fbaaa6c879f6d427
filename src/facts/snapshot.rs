//! Asks a host for a snapshot of etcd, and unpacks the snapshot from etcd's answer while the answer arrives.

use std::io::{self, Write};
use std::time::Duration;

use base64::Engine;
use flate2::write::MultiGzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::host::Cmd;
use crate::script;

const SNAPSHOT: &str = script!("lib/etcdctl.sh", "observe/etcd_snapshot.sh");

/// The time limit for a snapshot, which is enough for the largest database that etcd advises (8 GiB) over a slow connection.
const LIMIT: Duration = Duration::from_secs(3600);

/// The number of bytes of the SHA-256 at the end of a snapshot.
pub const HASH: usize = 32;

/// The command that prints a snapshot of the host's own etcd member.
pub fn request() -> Cmd {
    Cmd::script(SNAPSHOT).timeout(LIMIT)
}

/// What is known of a snapshot that has arrived completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The ID of the etcd cluster, in hexadecimal as etcdctl prints it.
    pub cluster: String,
    /// The revision of etcd just before the snapshot. The snapshot has this revision or a later one.
    pub revision: u64,
    /// The number of keys at that revision.
    pub keys: u64,
    /// The size of the snapshot in bytes.
    pub size: u64,
    /// The SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
}

/// Unpacks the output of `etcd_snapshot.sh`, and writes the snapshot to `W`.
pub struct Unpacker<W: Write>(MultiGzDecoder<Lines<W>>);

impl<W: Write> Unpacker<W> {
    /// An unpacker that writes the snapshot to `out`.
    pub fn new(out: W) -> Self {
        Unpacker(MultiGzDecoder::new(Lines { out, line: Vec::new(), head: None, hash: HashAtEnd::default(), done: false }))
    }

    /// Takes the next part of the output.
    pub fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.0.write_all(chunk)
    }

    /// Returns what is known of the snapshot, and the writer, after the output has ended. Fails if the snapshot is not whole.
    pub fn finish(self) -> io::Result<(Taken, W)> {
        let lines = self.0.finish()?;
        let broken = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
        let head = lines.head.filter(|_| lines.done).ok_or_else(|| broken("what arrived of the snapshot is not whole"))?;
        let number = |v: &Value| v.as_str().and_then(|text| text.parse::<u64>().ok()).or(v.as_u64()).unwrap_or(0);
        let (size, sha256) = lines.hash.finish().ok_or_else(|| broken("the snapshot does not match the SHA-256 at its own end"))?;
        let taken = Taken {
            cluster: format!("{:x}", number(&head["header"]["cluster_id"])),
            revision: number(&head["header"]["revision"]),
            keys: number(&head["count"]),
            size,
            sha256,
        };
        Ok((taken, lines.out))
    }
}

/// Receives the unpacked lines of the output.
struct Lines<W: Write> {
    out: W,
    /// The beginning of a line whose end has not arrived yet.
    line: Vec<u8>,
    head: Option<Value>,
    hash: HashAtEnd,
    done: bool,
}

impl<W: Write> Lines<W> {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let broken = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        match line {
            b"" => return Ok(()),
            b"@done" => self.done = true,
            _ => {
                let value: Value = serde_json::from_slice(line).map_err(|_| broken("etcd's answer is not JSON".into()))?;
                if let Some(why) = value.get("error") {
                    let said = why["message"].as_str().or(why.as_str()).map_or_else(|| why.to_string(), str::to_string);
                    return Err(broken(format!("etcd ended the snapshot: {said}")));
                }
                if self.head.is_none() {
                    self.head = Some(value);
                    return Ok(());
                }
                let Some(blob) = value.pointer("/result/blob").and_then(Value::as_str) else { return Ok(()) };
                let bytes = base64::engine::general_purpose::STANDARD.decode(blob);
                let bytes = bytes.map_err(|_| broken("a part of etcd's answer is not base64".into()))?;
                self.hash.update(&bytes);
                self.out.write_all(&bytes)?;
            }
        }
        Ok(())
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            let line = std::mem::take(&mut self.line);
            self.line(&line)?;
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Computes the SHA-256 of a snapshot without its last 32 bytes, which must be that SHA-256, and of the whole snapshot.
#[derive(Default)]
pub struct HashAtEnd {
    body: Sha256,
    whole: Sha256,
    /// The last bytes so far, at most [`HASH`], which are not in `body` because they may be the SHA-256.
    held: Vec<u8>,
    size: u64,
}

impl HashAtEnd {
    /// Takes the next part of the snapshot.
    pub fn update(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
        self.size += bytes.len() as u64;
        self.held.extend_from_slice(bytes);
        let ready = self.held.len().saturating_sub(HASH);
        self.body.update(&self.held[..ready]);
        self.held.drain(..ready);
    }

    /// The size of the snapshot, and the SHA-256 of the whole snapshot in hexadecimal. `None` if the snapshot does not end with its SHA-256.
    pub fn finish(self) -> Option<(u64, String)> {
        let matches = self.body.finalize().as_slice() == self.held.as_slice();
        matches.then(|| (self.size, self.whole.finalize().iter().map(|b| format!("{b:02x}")).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::tests::packed;
    use super::*;

    /// The output of the script for a snapshot with this body, in parts of ten bytes.
    fn answer(body: &[u8]) -> String {
        let snapshot = [body, Sha256::digest(body).as_slice()].concat();
        let part = |bytes: &[u8]| format!("{{\"result\":{{\"blob\":\"{}\"}}}}\n", base64::engine::general_purpose::STANDARD.encode(bytes));
        let head = "{\"header\":{\"cluster_id\":\"324952591200643719\",\"revision\":\"42\"},\"count\":\"7\"}\n";
        head.to_string() + &snapshot.chunks(10).map(part).collect::<String>() + "\n@done\n"
    }

    fn unpacked(bytes: &[u8]) -> io::Result<(Taken, Vec<u8>)> {
        let mut unpacker = Unpacker::new(Vec::new());
        bytes.chunks(7).try_for_each(|chunk| unpacker.take(chunk))?;
        unpacker.finish()
    }

    #[test]
    fn a_whole_snapshot_is_unpacked() {
        let body = b"keys and values ".repeat(100);
        let (taken, file) = unpacked(&packed(&answer(&body))).expect("it is whole");
        assert_eq!(&file[..body.len()], body.as_slice());
        assert_eq!((taken.cluster.as_str(), taken.revision, taken.keys, taken.size), ("48276a8f75b6a87", 42, 7, 1632));
        assert_eq!(taken.sha256, Sha256::digest(&file).iter().map(|b| format!("{b:02x}")).collect::<String>());
    }

    #[test]
    fn one_that_is_cut_short_or_changed_is_refused() {
        let whole = answer(&b"keys and values ".repeat(100));
        for length in (0..whole.len()).step_by(61) {
            assert!(unpacked(&packed(&whole[..length])).is_err(), "{length}");
        }
        let bytes = packed(&whole);
        assert!(unpacked(&bytes[..bytes.len() / 2]).is_err());
        let changed = whole.replacen("a2V5", "a2V6", 1);
        let why = unpacked(&packed(&changed)).expect_err("a byte differs").to_string();
        assert_eq!(why, "the snapshot does not match the SHA-256 at its own end");
        let failed = whole.replace("\n@done\n", "\n{\"error\":{\"code\":13,\"message\":\"the disk is gone\"}}\n@done\n");
        assert_eq!(unpacked(&packed(&failed)).expect_err("etcd failed").to_string(), "etcd ended the snapshot: the disk is gone");
    }
}
