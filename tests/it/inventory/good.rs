//! Tests of good inventories: shipped inventories have no faults, an inventory that is shown can be read again, and the methods of an inventory
//! return what they should.

use std::net::IpAddr;
use std::time::Duration;

use clusterctl::inventory::{HostEntry, Inventory, Parsed, Profile, Role, parse_duration, schema, show, starter};
use proptest::prelude::*;

use super::{files, name, read};

fn good(text: &str) -> Parsed {
    read(text.as_bytes(), "test.yaml").unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

fn without_warnings(text: &str, name: &str) -> Inventory {
    let parsed = read(text.as_bytes(), name).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    parsed.inventory
}

fn shipped() -> Vec<(String, Inventory)> {
    let mut all: Vec<(String, Inventory)> = Vec::new();
    for file in files("inventories") {
        all.push((name(&file), without_warnings(&std::fs::read_to_string(&file).unwrap(), &name(&file))));
    }
    for profile in Profile::ALL {
        all.push((profile.name().into(), without_warnings(starter(profile), profile.name())));
    }
    all
}

#[test]
fn shipped_inventories_and_starters_have_no_fault_and_no_warning() {
    assert!(shipped().len() >= 6);
}

#[test]
fn what_is_shown_reads_as_the_same_inventory() {
    for (name, inventory) in shipped() {
        let shown = show(&inventory);
        let again = good(&shown).inventory;
        assert_eq!(inventory, again, "{name}\n{shown}");
        assert_eq!(shown, show(&again), "{name}");
    }
}

#[test]
fn what_is_shown_has_every_default() {
    let inventory = without_warnings(starter(Profile::Education), "education");
    let expected = include_str!("shown.yaml");
    assert_eq!(show(&inventory), expected, "tests/it/inventory/shown.yaml");
}

/// The lab (`tests/lab`) appends `site.yaml` to copies of these shipped inventories, so the results must be valid, too.
#[test]
fn the_labs_inventories_have_no_fault() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let site = std::fs::read_to_string(root.join("tests/lab/site.yaml")).unwrap().replace("@LAB@", "/lab");
    for lab in ["inventories/single.yaml", "inventories/ha-haproxy.yaml", "inventories/ha-nginx-keepalived.yaml"] {
        let mut text = std::fs::read_to_string(root.join(lab)).unwrap();
        text.push_str(&site);
        without_warnings(&text, lab);
    }
}

#[test]
fn an_even_number_of_members_is_a_warning_with_its_arithmetic() {
    let hosts: String = (1..=4).map(|n| format!("  - {{name: m{n}, address: 192.0.2.{n}, roles: [master, worker]}}\n")).collect();
    let text =
        format!("cluster: {{name: demo, version: v1.36.2, endpoint: k8s.example.org}}\nloadBalancer: {{kind: external}}\nhosts:\n{hosts}");
    let warnings = good(&text).warnings;
    let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["test.yaml:4:3: 4 etcd members: quorum is 3, so 1 member may fail, the same as with 3 members; use 3 or 5"]);
}

#[test]
fn other_warnings() {
    let base = "cluster: {name: demo, version: v1.36.2}\n";
    let cases = [
        (
            format!("{base}hosts:\n  - {{name: m1, address: 192.0.2.1, roles: [control-plane]}}\n"),
            "test.yaml:3:3: no host has the role `worker`: ordinary pods have nowhere to run; give a host the role `worker`",
        ),
        (
            format!("{base}network: {{nodeCidrMask: 26}}\nhosts:\n  - {{name: m1, address: 192.0.2.1, roles: [master, worker]}}\n"),
            "test.yaml:2:25: a node's /26 has addresses for 61 pods, and the kubelet's `maxPods` is 110; \
             lower `nodeCidrMask`, or set `kubelet.config.maxPods` to 61",
        ),
    ];
    for (text, expected) in cases {
        let said: Vec<String> = good(&text).warnings.iter().map(ToString::to_string).collect();
        assert_eq!(said, [expected]);
    }
}

#[test]
fn files_and_volumes() {
    let text = "
cluster: {name: demo, version: v1.36.2}
controlPlane:
  files:
  - path: /etc/kubernetes/audit/policy.yaml
    content: |
      apiVersion: audit.k8s.io/v1
      kind: Policy
      rules: [{level: Metadata}]
  - {path: /srv/alone, file: alone.txt, secret: true}
  apiServer:
    extraArgs: {audit-policy-file: /audit/policy.yaml, audit-log-path: /var/log/audit.log}
    extraVolumes:
    - {name: audit, hostPath: /etc/kubernetes/audit, mountPath: /audit, readOnly: true, pathType: Directory}
hosts:
- {name: m1, address: 192.0.2.1, roles: [master, worker]}
";
    let Parsed { inventory, warnings } = good(text);
    assert_eq!(inventory, good(&show(&inventory)).inventory);
    let content = inventory.control_plane.files[0].content.as_deref();
    assert_eq!(content, Some("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"));
    assert_eq!(inventory.control_plane.files.iter().map(|f| f.bits()).collect::<Vec<_>>(), [Some(0o644), Some(0o600)]);
    let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "test.yaml:10:12: no component mounts the file `/srv/alone`; mount its folder with the `extraVolumes` of a component",
        "test.yaml:12:72: the audit log `/var/log/audit.log` is in no volume, so it is lost when the API server restarts; mount a folder for the \
         log with `extraVolumes`, or write `-` for the output of the container",
    ];
    assert_eq!(
        said.iter().collect::<std::collections::BTreeSet<_>>(),
        expected.iter().map(|e| e.to_string()).collect::<Vec<_>>().iter().collect()
    );
}

const MERGED: &str = r#"
cluster: {name: demo, version: v1.36.2, endpoint: "[2001:db8::31]:8443"}
network: {podCidr: "fd00:10:244::/56", serviceCidr: "fd00:10:96::/112"}
loadBalancer: {kind: external}
ssh: {user: admin, port: 2222, jump: [admin@bastion], identityFiles: [~/.ssh/a], connectTimeout: 5s}
kubelet:
  config: {maxPods: 50, evictionHard: {memory.available: 100Mi, nodefs.available: 5%}, featureGates: {A: true}}
  extraArgs: {v: "2"}
hosts:
  - &node
    name: m1
    address: m1.example.org
    privateAddress: 2001:db8::11
    roles: [master]
  - <<: *node
    name: w1
    address: w1.example.org
    privateAddress: 2001:db8::21
    roles: [worker]
    ssh: {jump: [none], port: 22}
    kubelet:
      config: {maxPods: 20, evictionHard: {memory.available: 1Gi}, featureGates: null}
      extraArgs: {v: "4"}
"#;

#[test]
fn a_host_lays_its_own_over_the_defaults() {
    let inventory = good(MERGED).inventory;
    let worker = inventory.host("w1").unwrap();
    let ssh = inventory.ssh_for(worker);
    assert_eq!((ssh.user.as_deref(), ssh.port, ssh.jump.len()), (Some("admin"), Some(22), 0));
    assert_eq!(ssh.identity_files, ["~/.ssh/a"]);
    assert_eq!(ssh.connect_timeout, Some(Duration::from_secs(5)));
    assert_eq!(inventory.ssh_for(inventory.host("m1").unwrap()).jump, ["admin@bastion"]);
    let kubelet = inventory.kubelet_for(worker);
    let expected = serde_json::json!({ "maxPods": 20, "evictionHard": { "memory.available": "1Gi", "nodefs.available": "5%" } });
    assert_eq!(serde_json::Value::Object(kubelet.config), expected);
    assert_eq!(kubelet.extra_args["v"], "4");
    assert_eq!(inventory, good(&show(&inventory)).inventory);
}

#[test]
fn questions_about_roles_and_addresses() {
    let inventory = good(MERGED).inventory;
    let names = |hosts: Vec<&HostEntry>| hosts.iter().map(|h| h.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(inventory.control_planes().collect()), ["m1"]);
    assert_eq!(names(inventory.etcd_hosts()), ["m1"]);
    assert_eq!(names(inventory.nodes().collect()), ["m1", "w1"]);
    assert!(inventory.etcd_is_stacked());
    assert!(inventory.with_role(Role::LoadBalancer).next().is_none());
    assert_eq!(inventory.endpoint(), ("2001:db8::31".into(), 8443));
    assert_eq!(inventory.endpoint_authority(), "[2001:db8::31]:8443");
    assert_eq!(inventory.network.node_cidr_mask, 64, "the default follows the pods' family");
    assert_eq!(inventory.host("w1").unwrap().node_address(), "2001:db8::21".parse::<IpAddr>().unwrap());
    let single = good("cluster: {name: a, version: v1.36.2}\nhosts: [{name: m, address: 192.0.2.1, roles: [master, worker]}]").inventory;
    assert_eq!(single.endpoint_authority(), "192.0.2.1:6443");
}

#[test]
fn shared_address_with_forwarded_ports() {
    let text = "cluster: {name: a, version: v1.36.2}\nhosts:\n\
        - {name: m, address: 127.0.0.1, ssh: {port: 2200}, privateAddress: 192.0.2.1, roles: [master]}\n\
        - {name: w, address: 127.0.0.1, ssh: {port: 2201}, privateAddress: 192.0.2.2, roles: [worker]}\n";
    assert!(good(text).warnings.is_empty());
}

#[test]
fn sections_with_nothing_in_them_are_as_if_absent() {
    let text = "cluster:\n  name: a\n  version: v1.36.2\n  endpoint:\netcd:\nssh:\n  # user: x\nhosts:\n- name: m\n  address: 192.0.2.1\n  roles: [master, worker]\n  labels:\n";
    good(text);
}

/// The schema has a description of every field of the inventory.
#[test]
fn the_schema_describes_every_field() {
    let schema = schema();
    let mut bare = Vec::new();
    let own_words = |of: &serde_json::Value| {
        let target = of["$ref"].as_str().and_then(|r| r.strip_prefix("#/$defs/")).map(|n| &schema["$defs"][n]["description"]);
        of["description"].is_string() || target.is_some_and(serde_json::Value::is_string)
    };
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        for (field, of) in definition["properties"].as_object().into_iter().flatten() {
            if !own_words(of) {
                bare.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(bare.is_empty(), "{bare:?}");
}

proptest! {
    #[test]
    fn durations_survive(millis in 0..u64::MAX / 2) {
        let shown = clusterctl::inventory::show_duration(Duration::from_millis(millis));
        prop_assert_eq!(parse_duration(&shown), Some(Duration::from_millis(millis)));
    }

    /// Whatever text an operator writes into a free field, the text is shown in such a way that it reads back unchanged.
    #[test]
    fn free_texts_survive_being_shown(texts in proptest::collection::vec("[^\\p{C}\\p{Zl}\\p{Zp}]{0,12}|yes|~|0755|1e3|2026-01-01|- a|a: b|#c|true", 6)) {
        let mut inventory = good(MERGED).inventory;
        inventory.etcd.extra_args.insert("v".into(), texts[0].clone());
        inventory.hosts[0].annotations.insert("a".into(), texts[1].clone());
        inventory.pki.existing = Some(format!("x{}", texts[2]));
        inventory.ssh.identity_files = vec![format!("x{}", texts[3]), format!(".{}", texts[4])];
        inventory.kubelet.config.insert("x".into(), serde_json::json!({ (texts[5].clone()): [texts[4], null, true, 1.5, {}, [], [[1, {"a": [{}]}]]] }));
        let shown = show(&inventory);
        prop_assert_eq!(inventory, good(&shown).inventory, "{}", shown);
    }
}
