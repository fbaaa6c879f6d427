//! Tests of `sources.sh`, which checks whether a host can download programs and images, and changes nothing: it names each source that the host
//! cannot get, and a server that does not answer delays it only up to a limit.

use std::collections::BTreeMap;

use clusterctl::facts::sources::{parse, request};

use super::pods::{all, same};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

/// Runs `sources.sh` for the program `kubelet` and for an image that has a mirror. Returns the sources that are missing, sorted, each with the
/// reason.
fn missing(host: &Sandbox) -> Vec<String> {
    let mirrors = BTreeMap::from([("registry.k8s.io".to_string(), vec!["http://mirror:5000".to_string()])]);
    let out = host.output(request(&["http://files/kubelet"], &["registry.k8s.io/pause:3.9"], &mirrors));
    let mut all: Vec<String> = parse(&out.stdout).into_iter().map(|m| format!("{} {}", m.what, m.why)).collect();
    all.sort();
    all
}

fn answers(by_url: &str) -> Sandbox {
    let host = Sandbox::new();
    host.stub(
        "curl.script",
        &format!("for url; do case $url in http://*|https://*) break ;; esac; done\ncase $url in\n{by_url}\n*) echo 200 ;; esac\nexit 0\n"),
    );
    host
}

pub fn table(t: &mut Table) {
    let rows: [(&str, &str, &[&str]); 6] = [
        ("everything is there", "", &[]),
        ("the program is not there", "*/kubelet) echo 404 ;;", &["http://files/kubelet it is not there (HTTP status 404)"]),
        ("its checksum is not there", "*.sha256) echo 404 ;;", &["http://files/kubelet it is not there (HTTP status 404)"]),
        ("the mirror has no image, the registry has it", "http://mirror*) echo 404 ;;", &[]),
        ("the registry wants a token first", "*/v2/*) echo 401 ;;", &[]),
        ("nobody has the image", "*/v2/*) echo 404 ;;", &["registry.k8s.io/pause:3.9 it is not there (HTTP status 404)"]),
    ];
    for (what, by_url, wanted) in rows {
        t.row(format!("{what} -> missing: {wanted:?}"), || {
            let host = answers(by_url);
            all(&host, [same(missing(&host), wanted.iter().map(ToString::to_string).collect(), "missing")])
        });
    }
    t.row("nobody answers -> both are named, and the question ends", || {
        let host = answers("");
        host.inject(Fault::Hangs("curl", "*"));
        let wanted = ["http://files/kubelet nobody answers", "registry.k8s.io/pause:3.9 nobody answers"];
        all(&host, [same(missing(&host), wanted.map(String::from).to_vec(), "missing")])
    });
}
