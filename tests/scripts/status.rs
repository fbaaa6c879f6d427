//! Tests of `status.sh`, which reports the health of components: if a component does not answer 200, the script repeats the request for three seconds
//! before it reports the HTTP status.

use clusterctl::host::Cmd;
use clusterctl::script;

use super::pods::{manifest, same};
use super::sandbox::Sandbox;
use super::table::Table;

pub fn table(t: &mut Table) {
    for (what, on_sleep, wanted) in [
        ("answers 503 once and then 200", "echo 200 >\"$STUB/serves-etcd\"\n", "check etcd 200\n"),
        ("goes on to answer 503", "", "check etcd 503\n"),
    ] {
        t.row(format!("a member of etcd {what} -> {}", wanted.trim_end()), || {
            let host = Sandbox::new();
            host.write("/etc/kubernetes/manifests/etcd.yaml", &manifest("etcd", "old", ""));
            host.tick();
            host.stub("serves-etcd", "503\n");
            host.stub("on-sleep", on_sleep);
            let out = host.output(Cmd::script(script!("observe/status.sh")).words(["etcd", "http://127.0.0.1:2381/health"]));
            same(String::from_utf8_lossy(&out.stdout).as_ref(), wanted, "what it prints")
        });
    }
}
