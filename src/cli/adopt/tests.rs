//! Tests that the configuration of a kubeadm cluster becomes an inventory for which clusterctl would write the same configuration. The oldest and the
//! newest recorded versions are tested.

use serde_json::{Map, Value, json};

use super::read::{Found, Login};
use super::{draft, refine, text};
use crate::facts::{ClusterFacts, Facts, ObjectRef, kubeadm};
use crate::inventory::{self, Inventory};
use crate::step::kept::text_says;
use crate::{cli::session, versions};

fn recorded(version: &str, file: &str) -> Vec<Value> {
    use serde::Deserialize;
    let path = format!("{}/tests/render/kubeadm/{version}/objects/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).expect("it is YAML")).collect()
}

fn data(version: &str, map: &str, key: &str) -> String {
    recorded(version, &format!("cm-{map}.yaml"))[0]["data"][key].as_str().expect("it is text").to_string()
}

/// What was recorded of a kubeadm cluster of this version with one control-plane node.
fn found(version: &str) -> Found {
    let v = versions::of(&version.parse().expect("a version")).expect("it is supported");
    let mut node = recorded(version, "node.json")[0].clone();
    node["status"]["addresses"] = json!([{ "type": "InternalIP", "address": "172.30.0.11" }, { "type": "Hostname", "address": "x" }]);
    let name = node["metadata"]["name"].as_str().expect("it has a name").to_string();
    let yaml = |text: String| serde_yaml::from_str::<Value>(&text).expect("it is YAML");
    Found {
        config: kubeadm::cluster_configuration(&data(version, "kubeadm-config", "ClusterConfiguration")).expect("it is readable"),
        version: version.parse().expect("a version"),
        v,
        nodes: [(name, node)].into(),
        address: "172.30.0.11".into(),
        kubelet: yaml(data(version, v.kubelet_config, "kubelet")),
        proxy: Some(yaml(data(version, "kube-proxy", "config.conf"))),
        core_dns: None,
        etcd: Some(format!("registry.k8s.io/etcd:{}", v.images.etcd)),
    }
}

fn written(found: &Found, host: &str) -> (String, Inventory) {
    let mut given = Map::new();
    let login = Login::of(host, &mut given);
    let fields = draft::with_given(refine::with_components(draft::inventory(found, &login, None), found), &given);
    let text = text::of(&fields, &login.host, &[]);
    let parsed = inventory::parse(&text, "adopted.yaml", &session::supported).unwrap_or_else(|f| panic!("{f}\n{text}"));
    (text, parsed.inventory)
}

#[test]
fn clusterctl_would_write_what_kubeadm_wrote() {
    for version in ["v1.20.2", "v1.36.2"] {
        let found = found(version);
        let (text, inv) = written(&found, "admin@172.30.0.11:2222");
        assert_eq!((inv.ssh.user.as_deref(), inv.ssh.port), (Some("admin"), Some(2222)));
        let ours = refine::objects(&inv, found.v);
        for (map, key) in [("kubeadm-config", "ClusterConfiguration"), (found.v.kubelet_config, "kubelet"), ("kube-proxy", "config.conf")] {
            let object = ours.iter().find(|o| o["kind"] == "ConfigMap" && o["metadata"]["name"] == map).expect("it is written");
            let (ours, theirs) = (object["data"][key].as_str().expect("it is text"), data(version, map, key));
            assert!(text_says(ours, &theirs), "{version} {map}:\n{ours}\n---\n{theirs}\n---\n{text}");
        }
    }
}

#[test]
fn a_cluster_that_is_too_new_is_not_sent_to_kubeadm() {
    let hint =
        |version: &str| super::read::unsupported(&versions::lookup(&version.parse().expect("a version")).expect_err("it is not supported"));
    assert_eq!(hint("v1.27.4"), "upgrade the cluster with kubeadm first");
    assert_eq!(hint("v1.38.0"), "adopt the cluster with a newer clusterctl");
}

#[test]
fn the_inventory_says_what_is_not_a_default_and_nothing_else() {
    let (text, inv) = written(&found("v1.36.2"), "m1.example.org");
    let sections: Vec<&str> = text.lines().filter(|l| l.ends_with(':') && !l.starts_with([' ', '#'])).collect();
    assert_eq!(sections, ["cluster:", "network:", "kubelet:", "addons:", "containerd:", "hosts:"]);
    assert_eq!(Value::Object(inv.kubelet.config.clone()), json!({ "failCgroupV1": false, "failSwapOn": false }));
    assert_eq!(Value::Object(inv.addons.kube_proxy.config.clone()), json!({ "conntrack": { "maxPerCore": 0 } }));
    assert_eq!((inv.hosts[0].address.as_str(), inv.hosts[0].node_address().to_string().as_str()), ("m1.example.org", "172.30.0.11"));
    assert_eq!(inv.hosts[0].taints, None);
    assert!(text.contains("# `external`: the CNI that is there stays its owner's"), "{text}");
}

#[test]
fn flags_names_and_marks_are_carried_over() {
    let mut found = found("v1.36.2");
    let args = |list: &[(&str, &str)]| list.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    found.config.endpoint = "api.example.org:443".into();
    found.config.cert_sans = vec!["api.example.org".into()];
    found.config.certificate_validity = "1000h0m0s".into();
    found.config.extra_args.insert("apiServer", args(&[("authorization-mode", "Node,RBAC"), ("audit-log-path", "-")]));
    found.config.extra_args.insert("controllerManager", args(&[("node-cidr-mask-size", "26"), ("leader-elect-retry-period", "1m30s")]));
    let volume = json!({ "name": "audit", "hostPath": "/etc/kubernetes/audit", "mountPath": "/audit", "readOnly": true });
    found.config.extra_volumes.insert("apiServer", vec![volume]);
    found.etcd = Some("registry.k8s.io/etcd:3.5.24-0".into());
    let node = found.nodes.values_mut().next().expect("there is a node");
    node["metadata"]["labels"]["example.org/rack"] = "r1".into();
    node["spec"]["taints"][1] = json!({ "key": "example.org/only", "value": "db", "effect": "NoExecute" });
    let mut fields = draft::inventory(&found, &Login { host: "172.30.0.11".into() }, None);
    let text = text::of(&fields, "172.30.0.11", &[("pki", "a remark".into())]);
    for line in [
        "  endpoint: api.example.org:443",
        "  nodeCidrMask: 26",
        "  kind: external",
        "    certSANs: [api.example.org]",
        "      audit-log-path: \"-\"",
        "      - name: audit\n        hostPath: /etc/kubernetes/audit\n        mountPath: /audit\n        readOnly: true",
        "    retryPeriod: 90s",
        "  imageTag: 3.5.24-0",
        "# a remark\npki:\n  certificateValidity: 1000h",
        "      example.org/rack: r1",
        "      - key: example.org/only\n        value: db\n        effect: NoExecute",
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line}\n---\n{text}");
    }
    assert!(!text.contains("authorization-mode"), "{text}");
    let balancer = ("lb1".to_string(), "172.30.0.31".to_string());
    fields = draft::inventory(&found, &Login { host: "172.30.0.11".into() }, Some(&balancer));
    assert_eq!(fields["loadBalancer"]["kind"], "haproxy");
    assert_eq!(fields["hosts"][1], json!({ "name": "lb1", "address": "172.30.0.31", "roles": ["load-balancer"] }));
}

#[test]
fn a_core_dns_that_somebody_changed_is_left_alone() {
    for version in ["v1.20.2", "v1.36.2"] {
        let mut found = found(version);
        found.core_dns = Some(format!("registry.k8s.io/coredns:{}", found.v.images.core_dns));
        let (_, inv) = written(&found, "172.30.0.11");
        assert!(inv.addons.core_dns.enabled);
        let objects = recorded(version, "coredns-addon.yaml").into_iter().map(|o| (ObjectRef::of(&o), o)).collect();
        let mut facts = Facts { cluster: Some(ClusterFacts { objects, ..ClusterFacts::default() }), ..Facts::default() };
        let mut fields = Map::new();
        let remarks = |fields: &mut Map<String, Value>, facts: &Facts| refine::with_hosts(fields, &inv, found.v, facts);
        assert_eq!((remarks(&mut fields, &facts), fields.len()), (vec![], 0), "{version}");
        let cluster = facts.cluster.as_mut().expect("it is there");
        let corefile = cluster.objects.iter_mut().find(|(o, _)| o.kind == "ConfigMap").expect("it was recorded").1;
        corefile["data"]["Corefile"] = ".:53 { forward . 192.0.2.1 }\n".into();
        let said = remarks(&mut fields, &facts);
        assert!(said[0].1.contains("ConfigMap kube-system/coredns"), "{said:?}");
        assert_eq!(fields["addons"]["coreDns"]["enabled"], false);
    }
}
