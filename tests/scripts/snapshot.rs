//! Tests of `snapshot.sh`, which prints a snapshot of etcd and its SHA-256: the snapshot is whole or nothing is printed, and no snapshot stays on the
//! host, whatever fails.

use clusterctl::host::{Cmd, Output};
use clusterctl::script;
use clusterctl::step::digest;

use super::pods::same;
use super::sandbox::Sandbox;
use super::table::Table;

/// A script for the stub of etcdctl: `endpoint status` prints the file `size`, and `snapshot save` writes the content of the file `db`.
const ETCDCTL: &str = r#"
case "$*" in
  *'endpoint status'*) /bin/cat "$STUB/size"; exit 0 ;;
  *'snapshot save'*) for to; do :; done; /bin/cat "$STUB/db" >"$to"; exit 0 ;;
esac
"#;

/// A snapshot as etcd writes it: `body` and, as the last 32 bytes, its SHA-256. If `torn`, the first byte is missing, so that the SHA-256 does not
/// match.
fn database(body: &[u8], torn: bool) -> Vec<u8> {
    let sum = digest(body);
    let bytes = (0..sum.len()).step_by(2).map(|at| u8::from_str_radix(&sum[at..at + 2], 16).unwrap_or_default());
    let whole: Vec<u8> = body.iter().copied().chain(bytes).collect();
    if torn { whole[1..].to_vec() } else { whole }
}

fn host(size: &str, torn: bool) -> Sandbox {
    let host = Sandbox::new();
    host.write("/var/lib/clusterctl/snapshot.killed/db", "of a run that was killed");
    host.stub("etcdctl.script", ETCDCTL);
    host.stub("size", size);
    std::fs::write(host.path("/stub/db"), database(&b"keys and values ".repeat(1000), torn)).expect("the case can be written");
    host
}

fn taken(host: &Sandbox) -> Output {
    host.output(Cmd::script(script!("lib/etcdctl.sh", "steps/snapshot.sh")))
}

fn left(host: &Sandbox) -> Vec<String> {
    host.list("/var/lib/clusterctl").into_iter().filter(|name| name.starts_with("snapshot.")).collect()
}

const SMALL: &str = r#"[{"Status":{"dbSize":16032}}]"#;

pub fn table(t: &mut Table) {
    t.row("there is room -> the snapshot and its digest are handed over, and none is left", || {
        let host = host(SMALL, false);
        let (out, db) = (taken(&host), database(&b"keys and values ".repeat(1000), false));
        same(out.stdout, [&db[..], digest(&db).as_bytes()].concat(), "what is handed over")?;
        same(left(&host), vec![], "left on the host")
    });
    for (what, size, torn, why) in [
        ("the database has no room for a copy of itself", r#"[{"Status":{"dbSize":9000000000000000}}]"#, false, "free below"),
        ("the size of the database is not told", "[]", false, "does not tell the size"),
        ("the snapshot is torn", SMALL, true, "does not match the sha256 at its own end"),
    ] {
        t.row(format!("{what} -> it fails with that, nothing is handed over, and none is left"), || {
            let host = host(size, torn);
            let out = taken(&host);
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            same(said.contains(why), true, &format!("says so: {said}"))?;
            same(out.stdout, vec![], "what is handed over")?;
            same(left(&host), vec![], "left on the host")
        });
    }
}
