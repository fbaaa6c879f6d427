//! Asks a host for the space that a restore of etcd needs, and for the rehearsal of a restore; reads the answers.

use std::time::Duration;

use base64::Engine;

use super::etcd::{self, MemberStatus};
use super::packed::unpacked;
use crate::host::Cmd;
use crate::{fenced, script};

const ROOM: &str = script!("observe/restore_room.sh");
const REHEARSE: &str =
    fenced!("lib/restore_mark.sh", "lib/image_mount.sh", "lib/etcd_tools.sh", "lib/scratch_etcd.sh", "steps/rehearse.sh");

/// The free space in bytes of the file systems on which a host restores a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Free below clusterctl's own folder, to which the snapshot is brought.
    pub state: u64,
    /// Free below the folder of etcd's data, in which the restored data lies beside the present data.
    pub data: u64,
}

/// The command that asks for [`Room`].
pub fn room() -> Cmd {
    Cmd::script(ROOM).timeout(Duration::from_secs(20))
}

/// Reads the output of `restore_room.sh`.
pub fn parse_room(stdout: &[u8]) -> Option<Room> {
    let text = String::from_utf8_lossy(stdout);
    let mut numbers = text.trim().strip_prefix("room ")?.split(' ').map(|n| n.parse::<u64>().ok());
    Some(Room { state: numbers.next()?? * 1024, data: numbers.next()?? * 1024 })
}

/// What a snapshot has, as an etcd over its restored data says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsed {
    /// The program that restored the snapshot: etcdutl or etcdctl.
    pub tool: String,
    pub status: MemberStatus,
    pub keys: Vec<String>,
    /// The CA certificate of the cluster of the snapshot, in PEM, from the ConfigMap cluster-info. `None` if the snapshot does not have it, or if
    /// it is encrypted.
    pub ca: Option<String>,
    /// The ownership mark of the host, in one line.
    pub mark: String,
}

/// The command of a rehearsal with the snapshot at `path` on the host, which is removed.
pub fn rehearse(run: &str, path: &str, limit: Duration) -> Cmd {
    Cmd::script(REHEARSE).arg("run", run).arg("path", path).arg("limit", limit.as_secs()).timeout(limit * 2 + Duration::from_secs(1800))
}

/// Reads the output of `rehearse.sh`. `None` if it is not whole.
pub fn parse(stdout: &[u8]) -> Option<Rehearsed> {
    let text = unpacked(stdout)?;
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name));
    Some(Rehearsed {
        tool: field("tool ")?.into(),
        status: etcd::parse(format!("status {}\n", field("status ")?).as_bytes()).status?,
        keys: text.lines().filter_map(|l| l.strip_prefix("key ").map(String::from)).collect(),
        ca: field("info ").and_then(ca_of),
        mark: field("mark ").unwrap_or_default().into(),
    })
}

/// The CA certificate in the value of the ConfigMap cluster-info. The value is in Kubernetes' protobuf encoding or in JSON; in both, the
/// kubeconfig with the certificate is plain text.
fn ca_of(value: &str) -> Option<String> {
    let base64 = base64::engine::general_purpose::STANDARD;
    let bytes = base64.decode(value).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let rest = text.split_once("certificate-authority-data:")?.1.trim_start_matches([' ', '"']);
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '/' | '=')).unwrap_or(rest.len());
    String::from_utf8(base64.decode(&rest[..end]).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::packed::tests::packed;
    use super::*;

    #[test]
    fn the_answer_of_a_rehearsal_is_read() {
        let base64 = base64::engine::general_purpose::STANDARD;
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        let kubeconfig =
            format!("k8s\0\u{1}clusters:\n- cluster:\n    certificate-authority-data: {}\n    server: x\n", base64.encode(pem));
        let status = r#"[{"Status":{"header":{"cluster_id":1,"member_id":2,"revision":42},"version":"3.4.23","dbSize":24576}}]"#;
        let text = format!(
            "tool etcdctl\nstatus {status}\nmark cluster: ha ca: ab \ninfo {}\nkey /registry/a\nkey compact_rev_key\n@done\n",
            base64.encode(&kubeconfig)
        );
        let rehearsed = parse(&packed(&text)).expect("it is whole");
        assert_eq!((rehearsed.tool.as_str(), rehearsed.status.revision, rehearsed.keys.len()), ("etcdctl", 42, 2));
        assert_eq!((rehearsed.ca.as_deref(), rehearsed.mark.trim()), (Some(pem), "cluster: ha ca: ab"));
        assert_eq!(parse(&packed(&text.replace("@done\n", ""))), None);
        let encrypted = text.replace(&base64.encode(&kubeconfig), &base64.encode("k8s:enc:aescbc:v1:key1:..."));
        assert_eq!(parse(&packed(&encrypted)).and_then(|r| r.ca), None);
    }

    #[test]
    fn the_free_space_is_read() {
        assert_eq!(parse_room(b"room 2048 1024\n"), Some(Room { state: 2 << 20, data: 1 << 20 }));
        assert_eq!(parse_room(b"room  1024\n"), None);
    }
}
