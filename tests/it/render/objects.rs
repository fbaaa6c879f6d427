//! Tests of the API objects that clusterctl renders: they are compared with the objects that kubeadm 1.20.2 and 1.36.2 left in the API.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clusterctl::host::Secret;
use clusterctl::inventory::{Inventory, Role, TaintEffect};
use clusterctl::render::objects::{bootstrap_kubeconfig, bootstrap_token, cluster_objects, node_meta};
use clusterctl::step::kept::is_zero;
use serde_json::{Value, json};

use super::fixture::{CASES, Case, differences, parse, parse_all};

fn objects(case: &Case, inv: &Inventory) -> Vec<Value> {
    case.with(inv, |ctx, node| cluster_objects(ctx, "CA", &[(node.entry.name.clone(), node.address)]))
}

fn key(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    format!("{} {}/{}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

fn by_key(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let count = objects.len();
    let map: BTreeMap<String, Value> = objects.into_iter().map(|o| (key(&o), o)).collect();
    assert_eq!(map.len(), count, "an object twice");
    map
}

/// Whether a field that only kubeadm's object has is no difference: the API server fills in the value as a default, or the field is a mark that the
/// API server or kubeadm's output adds.
fn filled_in(key: &str, value: &Value) -> bool {
    let defaults = [
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("restartPolicy", json!("Always")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
        ("resources", json!({})),
        ("serviceAccount", json!("kube-proxy")),
        ("serviceAccount", json!("coredns")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("revisionHistoryLimit", json!(10)),
        ("progressDeadlineSeconds", json!(600)),
        ("rollingUpdate", json!({ "maxUnavailable": 1 })),
        ("rollingUpdate", json!({ "maxSurge": 0, "maxUnavailable": 1 })),
        ("maxSurge", json!("25%")),
        ("defaultMode", json!(420)),
        ("apiVersion", json!("v1")),
        ("type", json!("")),
        ("type", json!("ClusterIP")),
        ("sessionAffinity", json!("None")),
        ("clusterIPs", json!(["10.96.0.10"])),
        ("periodSeconds", json!(10)),
        ("successThreshold", json!(1)),
        ("timeoutSeconds", json!(1)),
        ("failureThreshold", json!(3)),
        ("resourceVersion", json!("0")),
        ("annotations", json!({ "deprecated.daemonset.template.generation": "1" })),
    ];
    key == "status" || key == "secrets" || defaults.iter().any(|(k, v)| *k == key && v == value)
}

#[test]
fn bindings_are_kubeadms() {
    for case in &CASES {
        let ours = by_key(objects(case, &case.inventory()));
        let show = |o: &Value| {
            let subject = &o["subjects"][0];
            let text = |v: &Value| v.as_str().unwrap().to_owned();
            let role = format!("{}/{}", text(&o["roleRef"]["kind"]), text(&o["roleRef"]["name"]));
            format!("{}\t{role}\t{}:{}", text(&o["metadata"]["name"]), text(&subject["kind"]), text(&subject["name"]))
        };
        let mut found: Vec<String> = ours.values().filter(|o| o["kind"] == "ClusterRoleBinding").map(show).collect();
        found.retain(|line| line.starts_with("kubeadm:"));
        found.sort();
        assert_eq!(found.join("\n"), case.golden("objects/clusterrolebindings.tsv").trim_end(), "{}", case.version);

        for (file, namespace) in [("rbac-kube-system.yaml", "kube-system"), ("rbac-kube-public.yaml", "kube-public")] {
            let list = parse(&case.golden(&format!("objects/{file}")));
            let theirs = list["items"].as_array().unwrap().iter().filter(|o| o["metadata"].get("labels").is_none());
            let theirs = by_key(theirs.cloned().collect());
            for (key, golden) in &theirs {
                assert_eq!(differences(golden, &ours[key], &|_, _| false), Vec::<String>::new(), "{} {key}", case.version);
            }
            let mine = |o: &&Value| o["metadata"]["namespace"] == namespace && o["kind"].as_str().unwrap().starts_with("Role");
            assert_eq!(ours.values().filter(mine).count(), theirs.len(), "{} {namespace}", case.version);
        }
    }
}

/// Compares the texts inside two ConfigMaps as YAML.
fn compare_data(case: &Case, golden: &Value, ours: &Value, spared: &dyn Fn(&str, &Value) -> bool) {
    let (golden_data, our_data) = (golden["data"].as_object().unwrap(), ours["data"].as_object().unwrap());
    // The keys with `jws-` are signatures, which the cluster itself adds to cluster-info.
    let keys: Vec<&String> = golden_data.keys().filter(|k| !k.starts_with("jws-")).collect();
    assert_eq!(keys, our_data.keys().collect::<Vec<_>>(), "{}", key(ours));
    for k in keys {
        let [a, b] = [golden_data, our_data].map(|data| parse(data[k].as_str().unwrap()));
        assert_eq!(differences(&a, &b, spared), Vec::<String>::new(), "{} {} {k}", case.version, key(ours));
    }
    let [a, b] = [golden, ours].map(|o| o["metadata"].clone());
    assert_eq!(differences(&a, &b, &|_, _| false), Vec::<String>::new(), "{} {}", case.version, key(ours));
}

#[test]
fn config_maps_are_kubeadms() {
    for case in &CASES {
        let mut inv = case.inventory();
        // These clusters were made without CoreDNS, and only kubeadm 1.36 records that in kubeadm-config.
        inv.addons.core_dns.enabled = false;
        let ours = by_key(objects(case, &inv));
        let kubelet = if case.version == "v1.20.2" { "kubelet-config-1.20" } else { "kubelet-config" };
        for name in ["kubeadm-config", kubelet, "kube-proxy"] {
            let golden = parse(&case.golden(&format!("objects/cm-{name}.yaml")));
            // In component configurations, clusterctl omits fields that are not set, where kubeadm writes zero values, so such fields are no
            // difference. In kubeadm-config, they are a difference.
            let strict = name == "kubeadm-config";
            compare_data(case, &golden, &ours[&key(&golden)], &|_, value| !strict && is_zero(value));
        }
        let golden = case.golden("objects/cm-cluster-info.yaml").replace("<base64>", "Q0E=");
        let golden = parse(&golden);
        compare_data(case, &golden, &ours[&key(&golden)], &|key, value| key == "preferences" && is_zero(value));
    }
}

#[test]
fn cluster_info_is_byte_for_byte_kubeadms() {
    let case = &CASES[1];
    let golden = parse(&case.golden("objects/cm-cluster-info.yaml"));
    let ours = by_key(objects(case, &case.inventory()));
    let text = ours["ConfigMap kube-public/cluster-info"]["data"]["kubeconfig"].as_str().unwrap().replace("Q0E=", "<base64>");
    assert_eq!(Some(text.as_str()), golden["data"]["kubeconfig"].as_str());
}

#[test]
fn add_ons_are_kubeadms() {
    for case in &CASES {
        let ours = by_key(objects(case, &case.inventory()));
        let mut golden = parse_all(&case.golden("objects/coredns-addon.yaml"));
        golden.extend(parse_all(&case.golden("objects/ds-kube-proxy.yaml")));
        for theirs in golden {
            let mut mine = ours[&key(&theirs)].clone();
            if case.version == "v1.20.2" && theirs["kind"] == "Service" {
                assert_eq!(mine["metadata"]["labels"]["kubernetes.io/name"], "KubeDNS");
            }
            if theirs["kind"] == "DaemonSet" {
                // kubeadm lets one pod of kube-proxy be replaced at a time, and clusterctl 10% of them: an upgrade waits for the pods on all nodes,
                // and with one node after another that would take hours in a large cluster.
                assert_eq!(mine["spec"]["updateStrategy"]["rollingUpdate"].take(), json!({ "maxUnavailable": "10%" }));
                mine["spec"]["updateStrategy"] = theirs["spec"]["updateStrategy"].clone();
            }
            // The order of tolerations has no meaning, so they are sorted.
            let mut theirs = theirs;
            for o in [&mut theirs, &mut mine] {
                if let Some(list) = o.pointer_mut("/spec/template/spec/tolerations").and_then(Value::as_array_mut) {
                    list.sort_by_key(Value::to_string);
                }
                if let Some(list) = o.pointer_mut("/spec/template/spec/tolerations").and_then(Value::as_array_mut) {
                    list.sort_by_key(|t| t["key"].to_string());
                }
            }
            assert_eq!(differences(&theirs, &mine, &filled_in), Vec::<String>::new(), "{} {}", case.version, key(&theirs));
        }
    }
}

#[test]
fn add_ons_can_be_left_out_and_their_images_changed() {
    let case = &CASES[1];
    let mut inv = case.inventory();
    inv.addons.core_dns.enabled = false;
    inv.addons.kube_proxy.enabled = false;
    let ours = by_key(objects(case, &inv));
    assert!(!ours.keys().any(|k| k.contains("coredns") || k.contains("kube-proxy") || k.contains("kube-dns")));
    let config = parse(ours["ConfigMap kube-system/kubeadm-config"]["data"]["ClusterConfiguration"].as_str().unwrap());
    assert_eq!((&config["dns"], &config["proxy"]), (&json!({ "disabled": true }), &json!({ "disabled": true })));
    inv.addons.core_dns.enabled = true;
    inv.addons.core_dns.image_tag = Some("v9".into());
    let ours = by_key(objects(case, &inv));
    assert_eq!(
        ours["Deployment kube-system/coredns"]["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.k8s.io/coredns/coredns:v9"
    );
}

/// From 1.37 on, kubeadm writes the mode into kube-proxy's configuration, because kube-proxy is about to change the mode that it uses when none is
/// configured.
#[test]
fn kube_proxys_mode_is_named_from_1_37_on_unless_the_operator_names_one() {
    let mode = |version: &'static str, config: Value| {
        let case = Case { version, name: "m1", address: "172.30.0.21" };
        let mut inv = case.inventory();
        inv.addons.kube_proxy.config = config.as_object().unwrap().clone();
        let ours = by_key(objects(&case, &inv));
        parse(ours["ConfigMap kube-system/kube-proxy"]["data"]["config.conf"].as_str().unwrap()).get("mode").cloned()
    };
    assert_eq!(mode("v1.36.2", json!({})), None);
    assert_eq!(mode("v1.37.1", json!({})), Some(json!("iptables")));
    assert_eq!(mode("v1.37.1", json!({ "mode": "nftables" })), Some(json!("nftables")));
}

#[test]
fn generated_configuration_is_marked_and_the_operators_is_not() {
    let case = &CASES[1];
    let mark = |inv: &Inventory, name: &str| {
        let ours = by_key(objects(case, inv));
        ours[&format!("ConfigMap kube-system/{name}")]
            .pointer("/metadata/annotations/kubeadm.kubernetes.io~1component-config.hash")
            .cloned()
    };
    let mut inv = case.inventory();
    assert_eq!((mark(&inv, "kubelet-config"), mark(&inv, "kube-proxy")), (None, None));
    inv.kubelet.config.clear();
    inv.containerd = Default::default();
    inv.addons.kube_proxy.config.clear();
    for name in ["kubelet-config", "kube-proxy"] {
        let hash = mark(&inv, name).unwrap();
        assert!(hash.as_str().unwrap().strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64));
    }
}

#[test]
fn kubeadm_config_tells_everything_a_real_kubeadm_needs() {
    for (case, form) in CASES.iter().zip(["map", "list"]) {
        let mut inv = case.inventory();
        inv.cluster.endpoint = Some("lb.example.com:6443".into());
        inv.control_plane.api_server.cert_sans = vec!["lb.example.com".into()];
        inv.control_plane.scheduler.extra_args = BTreeMap::from([("v".into(), "4".into())]);
        inv.etcd.image_tag = Some("3.5.24-0".into());
        let config = |inv: &Inventory| {
            let ours = by_key(objects(case, inv));
            parse(ours["ConfigMap kube-system/kubeadm-config"]["data"]["ClusterConfiguration"].as_str().unwrap())
        };
        let found = config(&inv);
        assert_eq!(found["controlPlaneEndpoint"], format!("{}:6443", case.address));
        assert_eq!(found["apiServer"]["certSANs"], json!(["lb.example.com"]));
        let wanted = if form == "list" { json!([{ "name": "v", "value": "4" }]) } else { json!({ "v": "4" }) };
        assert_eq!(found["scheduler"]["extraArgs"], wanted);
        assert_eq!(found["etcd"]["local"], json!({ "dataDir": "/var/lib/etcd", "imageTag": "3.5.24-0" }));
        let mut etcd = inv.hosts[0].clone();
        (etcd.name, etcd.address, etcd.roles) = ("e1".into(), "10.0.0.9".into(), vec![Role::Etcd]);
        inv.hosts.push(etcd);
        assert_eq!(config(&inv)["etcd"]["external"]["endpoints"], json!(["https://10.0.0.9:2379"]));
    }
}

#[test]
fn nodes_are_marked_as_kubeadm_marks_them() {
    for case in &CASES {
        let mut inv = case.inventory();
        let golden: Value = serde_json::from_str(&case.golden("objects/node.json")).unwrap();
        let meta = |inv: &Inventory| case.with(inv, |ctx, node| node_meta(ctx, node.entry));
        let found = meta(&inv);
        let marks = |v: &Value| {
            v.as_object()
                .unwrap()
                .keys()
                .filter(|k| k.starts_with("node-role") || k.starts_with("node.kubernetes.io/excl"))
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(found.labels.keys().cloned().collect::<Vec<_>>(), marks(&golden["metadata"]["labels"]));
        let socket = "kubeadm.alpha.kubernetes.io/cri-socket";
        assert_eq!(found.annotations.get(socket).map(String::as_str), golden["metadata"]["annotations"][socket].as_str());
        assert_eq!(found.taints.iter().map(|t| t.key.as_str()).collect::<Vec<_>>(), [golden["spec"]["taints"][0]["key"].as_str().unwrap()]);
        assert_eq!(found.taints[0].effect, TaintEffect::NoSchedule);

        inv.hosts[0].roles.push(Role::Worker);
        assert!(meta(&inv).taints.is_empty(), "a master that is a worker too takes pods");
        inv.hosts[0].roles = vec![Role::Worker];
        inv.hosts[0].labels = BTreeMap::from([("disk".into(), "ssd".into())]);
        assert_eq!(meta(&inv).labels, inv.hosts[0].labels);
    }
}

#[test]
fn tokens_are_kubeadms() {
    for case in &CASES {
        let golden = parse(&case.golden("objects/secret-bootstrap-token.yaml"))["items"][0].clone();
        let text = |v: &Value| String::from_utf8(STANDARD.decode(v.as_str().unwrap()).unwrap()).unwrap();
        let id = text(&golden["data"]["token-id"]);
        let mut ours = bootstrap_token(&id, "0123456789abcdef", &text(&golden["data"]["expiration"]), "");
        ours["data"]["token-secret"] = "<base64>".into();
        assert_eq!(differences(&golden, &ours, &|_, _| false), Vec::<String>::new());
    }
    let case = &CASES[1];
    let conf = case.with(&case.inventory(), |ctx, _| bootstrap_kubeconfig(ctx, "CA", &Secret::from("abcdef.0123456789abcdef")));
    let conf = parse(std::str::from_utf8(conf.expose()).unwrap());
    assert_eq!(conf["users"], json!([{ "name": "tls-bootstrap-token-user", "user": { "token": "abcdef.0123456789abcdef" } }]));
    assert_eq!(conf["current-context"], "tls-bootstrap-token-user@kubernetes");
}
