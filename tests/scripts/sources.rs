//! Tests of `sources.sh`, which checks whether a host can download programs and images, and changes nothing: it names each source that the host
//! cannot get, and a server that does not answer delays it only up to a limit.

use clusterctl::facts::sources::{Place, Places, parse, request};
use clusterctl::host::Secret;

use super::pods::{all, same};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

/// Runs `sources.sh` for the program `kubelet` and for an image that has a mirror. Returns the sources that are missing, sorted, each with the
/// reason.
fn missing(host: &Sandbox) -> Vec<String> {
    let registry = Place::of_registry("registry.k8s.io");
    asked(host, vec![Place { api: "http://mirror:5000/v2".into(), is_mirror: true, ..registry.clone() }, registry])
}

/// As [`missing`], if the image has these places.
fn asked(host: &Sandbox, places: Vec<Place>) -> Vec<String> {
    let places = Places::from([("registry.k8s.io".to_string(), places)]);
    let out = host.output(request(&["http://files/kubelet"], &["registry.k8s.io/pause:3.9"], &places));
    let mut all: Vec<String> = parse(&out.stdout).into_iter().map(|m| format!("{} {}", m.what, m.why)).collect();
    all.sort();
    all
}

fn answers(by_url: &str) -> Sandbox {
    answers_after("", by_url)
}

/// A host whose curl answers by the URL, after these lines of shell.
fn answers_after(lines: &str, by_url: &str) -> Sandbox {
    let host = Sandbox::new();
    let find = "for url; do case $url in http://*|https://*) break ;; esac; done\n";
    host.stub("curl.script", &format!("{find}{lines}case $url in\n{by_url}\n*) echo 200 ;; esac\nexit 0\n"));
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
    let mirror = Place {
        api: "https://private/v2".into(),
        is_mirror: true,
        headers: vec![("Authorization".into(), Secret::from("Basic CANARY"))],
        ca: Some("PEM of the CA".into()),
        is_plain: false,
        has_password: true,
    };
    let places = [mirror, Place::of_registry("registry.k8s.io")];
    // curl finds the password on its input and not among its arguments, and the CA in the file that an argument names.
    let private = "case \"$*\" in *CANARY*) echo 500; exit 0 ;; esac\nca=\nfor a; do [ \"$ca\" != next ] || ca=$a; [ \"$a\" != --cacert ] || ca=next; done\n\
        case $url in https://private*) ;; *) ca=none ;; esac\n";
    let told = "[ \"$(cat)\" = 'header = \"Authorization: Basic CANARY\"' ] && grep -q 'PEM of the CA' \"$ca\" && echo 200 || echo 500";
    let refused = "the registry refuses the user or the password (HTTP status 401)";
    let untrusted = "the certificate of the server is signed neither by an authority that the host trusts nor by one in `caFile`";
    let rows: [(&str, String, Option<&str>); 5] = [
        ("the password and the CA are right", format!("https://private*) {told} ;;\n*k8s.io*) echo 404 ;;"), None),
        ("the password is refused", "https://private*) echo 401 ;;\n*k8s.io*) echo 404 ;;".into(), Some(refused)),
        (
            "the password is refused, and the registry does not answer",
            "https://private*) echo 401 ;;\n*k8s.io*) echo 000 ;;".into(),
            Some(refused),
        ),
        ("the password is refused, and the registry has the image", "https://private*) echo 401 ;;".into(), None),
        ("the certificate is not trusted", "https://private*) echo 000; exit 60 ;;\n*k8s.io*) echo 404 ;;".into(), Some(untrusted)),
    ];
    for (what, by_url, why) in rows {
        t.row(format!("{what} -> missing: {why:?}"), || {
            let host = answers_after(private, &by_url);
            let wanted = why.map(|why| format!("registry.k8s.io/pause:3.9 {why}"));
            all(&host, [same(asked(&host, places.to_vec()), wanted.into_iter().collect(), "missing")])
        });
    }
    t.row("nobody answers -> both are named, and the question ends", || {
        let host = answers("");
        host.inject(Fault::Hangs("curl", "*"));
        let wanted = ["http://files/kubelet nobody answers", "registry.k8s.io/pause:3.9 nobody answers"];
        all(&host, [same(missing(&host), wanted.map(String::from).to_vec(), "missing")])
    });
}
