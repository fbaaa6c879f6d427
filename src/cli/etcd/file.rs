//! The checks of a snapshot on this machine, before anything of it is sent to a host.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cli::stop::Stop;
use crate::error::Exit;
use crate::facts::snapshot::{HASH, HashAtEnd};

/// A snapshot that is whole.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// The path, from the root of this machine.
    pub path: PathBuf,
    pub size: u64,
    /// The SHA-256 of the whole file in hexadecimal.
    pub sha256: String,
    /// When the file was last written.
    pub written: SystemTime,
}

/// etcd's database consists of pages, whose size is a multiple of this number.
const PAGE: u64 = 512;

impl SnapshotFile {
    /// Reads the file. The error is [`Exit::Refused`] if the file is not a whole snapshot.
    pub fn read(path: &Path) -> Result<SnapshotFile, Stop> {
        let shown = path.display();
        let unreadable =
            |e: std::io::Error| Stop::with(Exit::Usage).error(format!("cannot read `{shown}`: {e}"), "name a snapshot of etcd");
        let path = std::fs::canonicalize(path).map_err(unreadable)?;
        let mut file = std::fs::File::open(&path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        let written = about.modified().map_err(unreadable)?;
        let (mut hash, mut buffer) = (HashAtEnd::default(), vec![0; 1 << 20]);
        loop {
            match file.read(&mut buffer).map_err(unreadable)? {
                0 => break,
                n => hash.update(&buffer[..n]),
            }
        }
        let refused =
            |why: &str| Err(Stop::with(Exit::Refused).error(format!("`{shown}` {why}"), "use another snapshot; nothing was changed"));
        match (about.len() % PAGE, hash.finish()) {
            (over, Some((size, sha256))) if over == HASH as u64 && size > over => Ok(SnapshotFile { path, size, sha256, written }),
            (0, _) if about.len() > 0 => {
                refused("has no SHA-256 at its end: it is a copy of etcd's database, and not a snapshot that etcd has made")
            }
            (_, None) => refused("does not match the SHA-256 at its own end: it is cut short or damaged"),
            (_, Some(_)) => refused("is not a snapshot of etcd: its size is not that of a database"),
        }
    }

    /// How long ago the file was last written, as text such as `3h 20m`.
    pub fn age(&self) -> String {
        let minutes = SystemTime::now().duration_since(self.written).map_or(0, |d| d.as_secs() / 60);
        match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
            (0, 0, minutes) => format!("{minutes}m"),
            (0, hours, minutes) => format!("{hours}h {minutes}m"),
            (days, hours, _) => format!("{days}d {hours}h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn said(bytes: &[u8]) -> (Exit, String) {
        let file = tempfile::NamedTempFile::new().expect("there is room");
        std::fs::write(file.path(), bytes).expect("it is writable");
        match SnapshotFile::read(file.path()) {
            Ok(whole) => (Exit::Done, whole.sha256),
            Err(stop) => (stop.exit, format!("{:?}", stop.reasons)),
        }
    }

    #[test]
    fn only_a_whole_snapshot_is_taken() {
        let database = vec![7; 4096];
        let whole = [&database[..], Sha256::digest(&database).as_slice()].concat();
        assert_eq!(said(&whole).0, Exit::Done);
        for at in [0, 2000, 4095, 4096, 4127] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            let (exit, why) = said(&changed);
            assert!(exit == Exit::Refused && why.contains("cut short or damaged"), "{at}: {why}");
        }
        for length in [1, 31, 32, 2000, 4127] {
            assert_eq!(said(&whole[..length]).0, Exit::Refused, "{length}");
        }
        let (exit, why) = said(&database);
        assert!(exit == Exit::Refused && why.contains("a copy of etcd's database"), "{why}");
        assert_eq!(said(&[]).0, Exit::Refused);
        // The SHA-256 of nothing matches, and there is no database.
        assert_eq!(said(Sha256::digest([]).as_slice()).0, Exit::Refused);
    }

    #[test]
    fn a_file_that_is_not_there_is_a_usage_error() {
        assert_eq!(SnapshotFile::read(Path::new("/no/such/file")).expect_err("it is not there").exit, Exit::Usage);
    }
}
