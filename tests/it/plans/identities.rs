//! Tests of plans for kubelets whose client certificate is expired or damaged: a worker joins the cluster again, and a control-plane host gets
//! another certificate from clusterctl.

use std::collections::BTreeMap;
use std::time::Duration;

use clusterctl::facts::{Facts, FileFact, FileKind};
use clusterctl::host::Secret;
use clusterctl::inventory::{Inventory, PkiOptions};
use clusterctl::pki::{Cluster, HostRequest, Keys, Observed, Opts, Wants, authorities, host_files};
use clusterctl::plan::{Goal, Plan, Width};
use clusterctl::{layout, versions};
use jiff::Timestamp;

use super::{adopted, world};

/// 2026-11-21 in seconds since 1970, the time that the clocks of the hosts show.
const NOW: f64 = 1_795_219_200.0;

/// The client certificate of a host's kubelet with its key, made on `day`, such as 2026-10-01, and valid for 30 days.
pub fn made(host: &str, day: &str) -> Secret {
    let inv = world::hosts("v1.36.2", &[("m1", 11, "control-plane"), ("lb1", 31, "load-balancer")]);
    let pki = PkiOptions { certificate_validity: Duration::from_secs(30 * 86_400), ..PkiOptions::default() };
    let now: Timestamp = format!("{day}T00:00:00Z").parse().expect("it is a time");
    let (keys, none) = (Keys::new(pki.algorithm), Observed::new());
    let opts = Opts { pki: &pki, allow_new: true, keys: &keys, external_etcd: None, renew: None };
    let auth = authorities(&BTreeMap::new(), &world::authorities(), &opts, now).expect("it can be made");
    let cluster = Cluster { inv: &inv, v: versions::of(&inv.cluster.version).expect("supported"), endpoint: "172.30.0.31:6443" };
    let wants = Wants { control_plane: true, ..Wants::default() };
    let address = [172, 30, 0, 21].into();
    let files = host_files(&auth, cluster, &HostRequest { name: host, address, wants, observed: &none }, &opts, now);
    let file = files.expect("they can be made").into_iter().find(|f| f.path == layout::KUBELET_CLIENT_INITIAL);
    file.expect("it is among them").content
}

fn expired(host: &str) -> Secret {
    made(host, "2026-10-01")
}

fn file(content: Secret) -> FileFact {
    FileFact { kind: FileKind::File(content), mode: 0o600, uid: 0, gid: 0 }
}

/// Replaces the client certificate of a host's kubelet with `content`, in the way in which the kubelet itself renews it: with a new file and a link
/// to it.
pub fn rotate(facts: &mut Facts, host: &str, content: Secret) {
    let f = facts.host_mut(host);
    f.clock = NOW;
    let rotated = format!("{}/kubelet-client-2026-10-01.pem", layout::KUBELET_PKI_DIR);
    let link = FileFact { kind: FileKind::Link(rotated.clone()), mode: 0o777, uid: 0, gid: 0 };
    f.files.insert(layout::KUBELET_CLIENT_CURRENT.into(), link);
    f.files.insert(rotated, file(content));
}

/// Finished clusters in which the client certificate of a worker's kubelet is expired, and in some of which other kubelets have expired or damaged
/// certificates, too.
pub fn worlds() -> Vec<(String, Inventory, Facts)> {
    let inv = world::inventory("v1.36.2");
    let mut one = world::finished(&inv);
    rotate(&mut one, "w1", expired("w1"));
    let mut all = one.clone();
    rotate(&mut all, "w2", "cut off".into());
    rotate(&mut all, "m2", expired("m2"));
    let theirs = adopted::inventory("v1.36.2");
    let mut facts = world::plan(&theirs, &adopted::adopted(&theirs)).1;
    rotate(&mut facts, "w1", expired("w1"));
    rotate(&mut facts, "m1", expired("m1"));
    vec![
        ("expired certificate of a kubelet".into(), inv.clone(), one),
        ("dead certificates of kubelets".into(), inv, all),
        ("adopted with dead certificates of kubelets".into(), theirs, facts),
    ]
}

fn titles(plan: &Plan) -> Vec<String> {
    plan.steps().map(|(phase, host, s)| format!("{phase} / {host}: {}", s.title)).collect()
}

#[test]
fn a_worker_whose_certificate_has_expired_joins_again() {
    let (_, inv, facts) = worlds().remove(0);
    let (plan, after) = world::plan(&inv, &facts);
    assert_eq!(
        titles(&plan),
        [
            "dead kubelet certificates / w1: remove /var/lib/kubelet/pki/kubelet-client-current.pem",
            "cluster objects / m1: make a bootstrap token for w1",
            "workers / w1: hand over the bootstrap token",
            "workers / w1: start or restart kubelet",
            "workers / w1: wait until node w1 is Ready at v1.36.2",
            "workers / w1: remove /etc/kubernetes/bootstrap-kubelet.conf",
            "settle / m1: delete 1 bootstrap token",
        ]
    );
    let why = "the kubelet's client certificate: expired; the kubelet gets another one with a bootstrap token";
    assert!(plan.to_string().contains(why), "{plan}");
    assert!(world::plan(&inv, &after).0.is_empty());
}

#[test]
fn a_certificate_counts_until_its_end_by_the_clock_of_its_host() {
    let (_, inv, mut facts) = worlds().remove(0);
    facts.host_mut("w1").clock = NOW - 86_400.0 * 30.0;
    assert!(world::plan(&inv, &facts).0.is_empty());
}

/// Workers that join again use one bootstrap token. If they joined one after another, the token might expire before the last one joins, so all of
/// them join at the same time.
#[test]
fn workers_without_certificates_of_use_join_side_by_side() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    rotate(&mut facts, "w1", expired("w1"));
    rotate(&mut facts, "w2", "cut off".into());
    let plan = world::plan(&inv, &facts).0;
    let phases: Vec<(usize, Width)> = plan.phases.iter().filter(|p| p.name == "workers").map(|p| (p.hosts.len(), p.width)).collect();
    assert_eq!(phases, [(2, Width::All)]);
    assert!(titles(&plan).contains(&"cluster objects / m1: make a bootstrap token for w1 w2".to_string()));
}

#[test]
fn a_control_plane_host_whose_kubelet_did_not_renew_gets_a_certificate_from_us() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    rotate(&mut facts, "m2", expired("m2"));
    let plan = titles(&world::plan(&inv, &facts).0);
    assert!(plan.contains(&"control plane / m2: write /var/lib/kubelet/pki/kubelet-client-current.pem".into()), "{plan:?}");
    assert!(plan.contains(&"control plane / m2: start or restart kubelet".into()), "{plan:?}");
}

#[test]
fn no_token_is_made_for_a_worker_that_does_not_answer() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    facts.hosts.remove("w2");
    assert_eq!(titles(&world::plan(&inv, &facts).0), [""; 0]);
    rotate(&mut facts, "w1", expired("w1"));
    let plan = titles(&world::plan(&inv, &facts).0);
    assert!(plan.contains(&"cluster objects / m1: make a bootstrap token for w1".into()), "{plan:?}");
}

/// clusterctl does not restart a kubelet that is left as kubeadm set it up, so such a kubelet would go on with the certificate that it has. Therefore
/// a kubelet that needs another certificate is taken over from kubeadm.
#[test]
fn an_adopted_kubelet_that_needs_another_certificate_becomes_ours() {
    let (_, inv, facts) = worlds().remove(2);
    let plan = titles(&world::plan(&inv, &facts).0);
    for step in [
        "workers / w1: hand over the bootstrap token",
        "workers / w1: start or restart kubelet",
        "control plane / m1: start or restart kubelet",
    ] {
        assert!(plan.contains(&step.into()), "{step}: {plan:?}");
    }
    assert!(!plan.iter().any(|t| t.contains("m2: start or restart kubelet")), "{plan:?}");
}

#[test]
fn while_the_cluster_takes_certificates_of_others_only_their_end_counts() {
    let (_, mut inv, mut facts) = worlds().remove(0);
    rotate(&mut facts, "w1", made("w1", "2026-11-01"));
    assert!(world::plan(&inv, &facts).0.is_empty(), "it was signed by the cluster's CA, and is good");
    inv.control_plane.controller_manager.extra_args.insert("cluster-signing-cert-file".into(), "/other.crt".into());
    assert_eq!(clusterctl::plan::identity::fault(&inv, facts.host("w1"), &other_ca()), None);
    inv.control_plane.controller_manager.extra_args.clear();
    let fault = clusterctl::plan::identity::fault(&inv, facts.host("w1"), &other_ca());
    assert_eq!(fault.map(|f| f.to_string()).as_deref(), Some("signed by another authority"));
}

/// The certificate of an authority that signed none of the certificates in this file.
fn other_ca() -> String {
    let pki = PkiOptions::default();
    let keys = Keys::new(pki.algorithm);
    let opts = Opts { pki: &pki, allow_new: true, keys: &keys, external_etcd: None, renew: None };
    authorities(&BTreeMap::new(), &BTreeMap::new(), &opts, Timestamp::UNIX_EPOCH).expect("it can be made").ca_pem()
}

#[test]
fn a_host_under_another_name_than_that_of_its_node_is_refused() {
    let inv = world::inventory("v1.36.2");
    let mut facts = world::finished(&inv);
    rotate(&mut facts, "w2", made("w9", "2026-11-01"));
    let refused = world::whole(&Goal::Keep, &inv, &facts).refusals;
    assert_eq!(refused.iter().map(|b| (b.host.as_str(), b.name)).collect::<Vec<_>>(), [("w2", "node-name")]);
    assert!(refused[0].message.contains("node w9"), "{refused:?}");
    rotate(&mut facts, "w2", made("w2", "2026-11-01"));
    assert_eq!(world::whole(&Goal::Keep, &inv, &facts).refusals, []);
}
