//! Tests of `kubeconfig --user` with a real OpenSSH server, whose host has the CA of a cluster and no API server.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::hosts::place;
use super::{Ended, Place, ended};
use crate::needs::needs;
use crate::ssh::sshd::{Sshd, keygen};

/// A server on a host that has ca.crt and ca.key and the mark of this cluster. Returns the server and the text of ca.key.
fn with_ca(cluster: &str) -> (Sshd, String) {
    let folder = tempfile::tempdir().unwrap();
    keygen(&folder.path().join("host"), "ed25519", "");
    keygen(&folder.path().join("user"), "ed25519", "");
    std::fs::copy(folder.path().join("user.pub"), folder.path().join("authorized_keys")).unwrap();
    let dir = folder.path().display().to_string();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=kubernetes"])
        .args(["-addext", "keyUsage=critical,keyCertSign", "-keyout", &format!("{dir}/ca.key"), "-out", &format!("{dir}/ca.crt")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = std::fs::read_to_string(folder.path().join("ca.key")).unwrap();
    std::fs::write(folder.path().join("mark"), format!("cluster: {cluster}\n")).unwrap();
    let prelude = format!(
        "set -e; mount --make-rprivate /\n\
         cp -a /etc {dir}/etc; rm -rf {dir}/etc/kubernetes; mkdir -p {dir}/etc/kubernetes/pki {dir}/lib/clusterctl\n\
         cp {dir}/ca.crt {dir}/ca.key {dir}/etc/kubernetes/pki/; cp {dir}/mark {dir}/lib/clusterctl/cluster\n\
         mount --bind {dir}/etc /etc; mount --bind {dir}/lib /var/lib"
    );
    (Sshd::after(folder, "", Some(prelude)).known(), key)
}

/// Whether a text contains a part of the key, also if the text is in base64.
fn holds(text: &str, key: &str) -> bool {
    let body: Vec<&str> = key.lines().filter(|l| !l.starts_with('-')).collect();
    text.contains(&STANDARD.encode(key)) || body.iter().any(|line| text.contains(line))
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn decoded(value: &Value) -> String {
    String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
}

/// The subject of a certificate and the hours until it expires, rounded up.
fn read(pem: &str) -> (String, i64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crt");
    std::fs::write(&path, pem).unwrap();
    let text =
        crate::pki::fixture::openssl(&["x509", "-in", path.to_str().unwrap(), "-noout", "-subject", "-enddate", "-dateopt", "iso_8601"]);
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).unwrap().to_string();
    let until: jiff::Timestamp = field("notAfter=").replace(' ', "T").parse().unwrap();
    (field("subject="), (until.as_second() - jiff::Timestamp::now().as_second() + 3599) / 3600)
}

#[test]
fn a_user_gets_a_certificate_of_its_own() {
    needs!(Root, Sshd, Openssl);
    let (sshd, ca_key) = with_ca("t");
    let place = place(&sshd);
    let Ended { code, out, err } = place.run(&["kubeconfig", "--user", "jane", "--group", "dev", "--group", "ops", "--ttl", "2h"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("`kubectl create clusterrolebinding dev-view --clusterrole view --group 'dev'`"), "{err}");
    let config = yaml(&out);
    assert_eq!(config["current-context"], "jane@t");
    assert_eq!(config["contexts"][0]["context"], serde_json::json!({"cluster": "t", "user": "jane@t"}));
    assert_eq!(config["clusters"][0]["cluster"]["server"], "https://192.0.2.11:6443");
    assert_eq!(decoded(&config["clusters"][0]["cluster"]["certificate-authority-data"]), sshd.read("ca.crt"));
    let user = &config["users"][0]["user"];
    assert_eq!(read(&decoded(&user["client-certificate-data"])), ("O = dev, O = ops, CN = jane".into(), 2));
    assert!(decoded(&user["client-key-data"]).contains("PRIVATE KEY"));
    assert!(!holds(&out, &ca_key) && !holds(&err, &ca_key) && !err.contains("PRIVATE KEY"));
}

#[test]
fn kubectl_gets_a_certificate_whenever_it_needs_one() {
    needs!(Root, Sshd, Openssl);
    let (sshd, ca_key) = with_ca("t");
    let place = place(&sshd);
    let written = place.run(&["kubeconfig", "--user", "jane", "--exec", "--output-file", "jane.conf"]);
    assert_eq!(written.code, 0, "{}", written.err);
    let config = yaml(&std::fs::read_to_string(place.path().join("jane.conf")).unwrap());
    let exec = &config["users"][0]["user"]["exec"];
    assert_eq!((exec["command"].as_str(), exec["apiVersion"].as_str()), (Some("clusterctl"), Some("client.authentication.k8s.io/v1")));
    assert_eq!(exec["interactiveMode"], "IfAvailable");
    let args: Vec<&str> = exec["args"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    for api in ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"] {
        // kubectl runs the program in the folder in which it was itself started.
        let mut command = place.command();
        command.current_dir("/").args(&args);
        command.env("KUBERNETES_EXEC_INFO", format!(r#"{{"kind":"ExecCredential","apiVersion":"{api}","spec":{{"interactive":false}}}}"#));
        let Ended { code, out, err } = ended(command.output().unwrap());
        assert_eq!((code, err.as_str()), (0, ""));
        let credential: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((credential["kind"].as_str(), credential["apiVersion"].as_str()), (Some("ExecCredential"), Some(api)));
        let status = &credential["status"];
        assert_eq!(read(status["clientCertificateData"].as_str().unwrap()), ("CN = jane".into(), 24));
        assert!(status["clientKeyData"].as_str().unwrap().contains("PRIVATE KEY"));
        let until: jiff::Timestamp = status["expirationTimestamp"].as_str().unwrap().parse().unwrap();
        assert!((until.as_second() - jiff::Timestamp::now().as_second() - 86_400).abs() < 120, "{until}");
        assert!(!holds(&out, &ca_key));
    }
}

#[test]
fn a_host_of_another_cluster_signs_nothing() {
    needs!(Root, Sshd, Openssl);
    let (sshd, _) = with_ca("other");
    let ended = place(&sshd).run(&["kubeconfig", "--user", "jane"]);
    assert_eq!((ended.code, ended.out.as_str()), (4, ""), "{}", ended.err);
    assert!(ended.err.contains("belongs to cluster other"), "{}", ended.err);
}

#[test]
fn kubernetes_own_names_are_refused_before_a_host_is_asked() {
    let place = Place::new();
    place.run(&["inventory", "new", "--profile", "education", "--output-file", "inventory.yaml"]);
    for args in [&["--user", "system:admin"][..], &["--user", "jane", "--group", "system:masters"]] {
        let ended = place.run(&[&["kubeconfig"], args].concat());
        assert_eq!((ended.code, ended.out.as_str()), (4, ""), "{}", ended.err);
        assert!(ended.err.contains("[system-identity]") && ended.err.contains("--allow-system-masters"), "{}", ended.err);
    }
}
