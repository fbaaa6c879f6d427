//! Tests of the files that clusterctl renders for hosts: they are compared with the files that kubeadm 1.20.2 and 1.36.2 wrote.

mod balancers;
mod fixture;
mod hostile;
mod objects;

use std::collections::BTreeMap;
use std::net::IpAddr;

use clusterctl::host::Secret;
use clusterctl::inventory::{Inventory, Taint, TaintEffect};
use clusterctl::render::containerd::{ConfigVersion, Place, containerd_config, hosts_toml};
use clusterctl::render::{Component, Credential, Ctx, FileCopy, Node, cni, image, kernel, kubeconfig, kubelet, manifests};
use clusterctl::step::kept::is_zero;
use fixture::{CASES, Case, differences, parse};
use serde_json::{Value, json};

fn pod(ctx: &Ctx<'_>, node: &Node<'_>, name: &str) -> String {
    let members = [(node.entry.name.clone(), node.address)];
    match name {
        "etcd" => manifests::etcd(ctx, node, &members, false),
        "kube-apiserver" => manifests::kube_apiserver(ctx, node, &["https://127.0.0.1:2379".into()]),
        "kube-controller-manager" => manifests::kube_controller_manager(ctx, node),
        _ => manifests::kube_scheduler(ctx, node),
    }
}

const PODS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

#[test]
fn manifests_are_kubeadms_byte_by_byte() {
    for case in &CASES {
        let inv = case.inventory();
        for name in PODS {
            let ours = case.with(&inv, |ctx, node| pod(ctx, node, name));
            // kubeadm 1.20 wrote a `creationTimestamp` without a meaning, which is removed before the comparison.
            let golden = case.golden(&format!("manifests/{name}.yaml")).replace("  creationTimestamp: null\n", "");
            // clusterctl's default etcd is newer than that of this kubeadm, because etcd requires 3.6.11 before an upgrade to 3.7.
            let golden = golden.replace("etcd:3.6.8-0", "etcd:3.6.11-0");
            assert_eq!(ours, golden, "{} {name}", case.version);
        }
    }
}

fn command(text: &str) -> Vec<String> {
    serde_json::from_value(parse(text)["spec"]["containers"][0]["command"].clone()).unwrap()
}

#[test]
fn extra_args_replace_ours_and_stand_behind_them() {
    for case in &CASES {
        let mut inv = case.inventory();
        let extra = [("authorization-config", "/etc/x.yaml"), ("allow-privileged", "false"), ("zz", "a b")];
        inv.control_plane.api_server.extra_args = extra.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let args = command(&case.with(&inv, |ctx, node| pod(ctx, node, "kube-apiserver")));
        assert!(!args.iter().any(|a| a.starts_with("--authorization-mode") || a == "--allow-privileged=true"));
        let tail: Vec<&str> = args.iter().rev().take(3).rev().map(String::as_str).collect();
        if case.version == "v1.20.2" {
            assert!(args[1..].is_sorted(), "{args:?}");
        } else {
            assert_eq!(tail, ["--allow-privileged=false", "--authorization-config=/etc/x.yaml", "--zz=a b"]);
        }
    }
}

#[test]
fn extra_volumes_are_mounted_as_kubeadm_mounts_them_and_files_through_their_copies() {
    let files = [FileCopy { path: "/etc/kubernetes/audit/policy.yaml".into(), copy: "/copies/1-policy.yaml".into() }];
    for case in &CASES {
        let mut inv = case.inventory();
        inv.control_plane.api_server.extra_volumes = serde_json::from_value(json!([
            { "name": "audit", "hostPath": "/etc/kubernetes/audit", "mountPath": "/audit", "readOnly": true, "pathType": "DirectoryOrCreate" },
            { "name": "log", "hostPath": "/var/log/kubernetes", "mountPath": "/var/log/kubernetes" },
        ]))
        .unwrap();
        let text = case.with(&inv, |ctx, node| pod(&Ctx { files: &files, ..*ctx }, node, "kube-apiserver"));
        let spec = &parse(&text)["spec"];
        let own = |list: &Value| -> Vec<Value> {
            let named = |v: &&Value| ["audit", "log", "clusterctl-file-0"].contains(&v["name"].as_str().unwrap_or_default());
            list.as_array().unwrap().iter().filter(named).cloned().collect()
        };
        assert_eq!(
            own(&spec["volumes"]),
            [
                json!({ "name": "audit", "hostPath": { "path": "/etc/kubernetes/audit", "type": "DirectoryOrCreate" } }),
                json!({ "name": "clusterctl-file-0", "hostPath": { "path": "/copies/1-policy.yaml", "type": "File" } }),
                json!({ "name": "log", "hostPath": { "path": "/var/log/kubernetes" } }),
            ]
        );
        assert_eq!(
            own(&spec["containers"][0]["volumeMounts"]),
            [
                json!({ "name": "audit", "mountPath": "/audit", "readOnly": true }),
                json!({ "name": "clusterctl-file-0", "mountPath": "/audit/policy.yaml", "readOnly": true }),
                json!({ "name": "log", "mountPath": "/var/log/kubernetes" }),
            ]
        );
        for other in ["etcd", "kube-controller-manager", "kube-scheduler"] {
            let text = case.with(&inv, |ctx, node| pod(&Ctx { files: &files, ..*ctx }, node, other));
            assert!(!text.contains("clusterctl-file"), "{other} does not see the file");
        }
    }
}

#[test]
fn leader_election_flags_appear_only_when_asked_for() {
    let case = &CASES[1];
    let mut inv = case.inventory();
    inv.control_plane.leader_election =
        serde_json::from_value(json!({ "leaseDuration": "4s", "renewDeadline": "3s", "retryPeriod": "500ms" })).unwrap();
    inv.network.node_cidr_mask = 26;
    let args = command(&case.with(&inv, |ctx, node| pod(ctx, node, "kube-controller-manager")));
    for wanted in ["--leader-elect-lease-duration=4000ms", "--leader-elect-retry-period=500ms", "--node-cidr-mask-size=26"] {
        assert!(args.iter().any(|a| a == wanted), "{wanted} in {args:?}");
    }
    let args = command(&case.with(&inv, |ctx, node| pod(ctx, node, "kube-scheduler")));
    assert!(args.iter().any(|a| a == "--leader-elect-renew-deadline=3000ms") && !args.iter().any(|a| a.contains("mask")));
}

#[test]
fn etcd_fits_its_own_image_and_joins_when_told() {
    let case = &CASES[1];
    let mut inv = case.inventory();
    let members: Vec<(String, IpAddr)> = vec![("m1".into(), case.ip()), ("m2".into(), "fd00::2".parse().unwrap())];
    let text = case.with(&inv, |ctx, node| manifests::etcd(ctx, node, &members, true));
    let args = command(&text);
    assert!(args.contains(&"--initial-cluster=m1=https://172.30.0.21:2380,m2=https://[fd00::2]:2380".to_owned()));
    assert!(args.contains(&"--initial-cluster-state=existing".to_owned()));
    inv.etcd.image_tag = Some("3.5.24-0".into());
    let args = command(&case.with(&inv, |ctx, node| pod(ctx, node, "etcd")));
    assert!(args.contains(&"--experimental-watch-progress-notify-interval=5s".to_owned()));
    inv.etcd.image_tag = Some("3.4.23".into());
    let text = case.with(&inv, |ctx, node| pod(ctx, node, "etcd"));
    assert!(!text.contains("experimental") && text.contains("path: /health\n") && !text.contains("readinessProbe"));
}

#[test]
fn every_supported_version_renders() {
    for minor in [20, 28, 29, 30, 31, 32, 33, 34, 35, 36] {
        let case = Case { version: "v1.36.2", ..CASES[1] };
        let mut inv = case.inventory();
        inv.cluster.version = format!("v1.{minor}.1").parse().unwrap();
        case.with(&inv, |ctx, node| {
            for name in PODS {
                parse(&pod(ctx, node, name));
            }
            parse(&kubelet::kubelet_config(ctx, node));
            assert_eq!(kubelet::instance_config(ctx).is_some(), minor >= 34);
        });
    }
}

#[test]
fn images() {
    let case = &CASES[1];
    let mut inv = case.inventory();
    let at = |inv: &Inventory, repository: &str, what| case.with(inv, |ctx, _| image(&Ctx { image_repository: repository, ..*ctx }, what));
    assert_eq!(at(&inv, "registry.k8s.io", Component::CoreDns), "registry.k8s.io/coredns/coredns:v1.14.2");
    assert_eq!(at(&inv, "r.example.com/k8s", Component::CoreDns), "r.example.com/k8s/coredns:v1.14.2");
    assert_eq!(at(&inv, "registry.k8s.io", Component::Pause), "registry.k8s.io/pause:3.10.2");
    inv.cluster.version = "v1.36.2+build.7".parse().unwrap();
    assert_eq!(at(&inv, "registry.k8s.io", Component::Proxy), "registry.k8s.io/kube-proxy:v1.36.2_build.7");
}

#[test]
fn kubelet_files_are_kubeadms() {
    for case in &CASES {
        let inv = case.inventory();
        let config = case.with(&inv, |ctx, node| parse(&kubelet::kubelet_config(ctx, node)));
        let found = differences(&parse(&case.golden("kubelet-config.yaml")), &config, &|_, value| is_zero(value));
        assert_eq!(found, Vec::<String>::new(), "{}", case.version);
        assert_eq!(case.with(&inv, kubelet::kubelet_flags_env), case.golden("kubeadm-flags.env"));
        let instance = case.has_golden("instance-config.yaml").then(|| case.golden("instance-config.yaml"));
        assert_eq!(case.with(&inv, |ctx, _| kubelet::instance_config(ctx)), instance);
    }
}

#[test]
fn kubelet_options_of_the_host_win() {
    let case = &CASES[1];
    let mut inv = case.inventory();
    inv.kubelet.config =
        serde_json::from_value(json!({ "maxPods": 50, "authentication": { "webhook": { "cacheTTL": "1m" } }, "healthzPort": null }))
            .unwrap();
    inv.hosts[0].kubelet.config = serde_json::from_value(json!({ "maxPods": 200 })).unwrap();
    inv.hosts[0].kubelet.extra_args = BTreeMap::from([("v".into(), "4".into()), ("feature-gates".into(), "A=true \"x\"$HOME".into())]);
    inv.hosts[0].private_address = Some("10.0.0.7".parse().unwrap());
    inv.hosts[0].roles = vec![clusterctl::inventory::Role::Worker];
    inv.hosts[0].taints = Some(vec![Taint { key: "gpu".into(), value: Some("yes".into()), effect: TaintEffect::NoExecute }]);
    case.with(&inv, |ctx, node| {
        let node = Node { systemd_resolved: true, hostname: "Other", ..*node };
        let config = parse(&kubelet::kubelet_config(ctx, &node));
        assert_eq!((config["maxPods"].as_u64(), config.get("healthzPort")), (Some(200), None));
        assert_eq!(config["authentication"]["webhook"], json!({ "cacheTTL": "1m", "enabled": true }));
        assert_eq!(config["resolvConf"], "/run/systemd/resolve/resolv.conf");
        let env = kubelet::kubelet_flags_env(ctx, &node);
        let wanted = r#"KUBELET_KUBEADM_ARGS="--hostname-override=m1 --node-ip=10.0.0.7 --register-with-taints=gpu=yes:NoExecute \"--feature-gates=A=true \\\"x\\\"\$HOME\" --v=4""#;
        assert_eq!(env.trim_end(), wanted);
    });
}

#[test]
fn units_start_the_kubelet_with_kubeadms_files() {
    assert!(kubelet::kubelet_unit().contains("ExecStart=/usr/local/bin/kubelet\n"));
    let drop_in = kubelet::kubelet_drop_in();
    for line in [
        r#"Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf""#,
        r#"Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml""#,
        "EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env",
        "ExecStart=\nExecStart=/usr/local/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS",
    ] {
        assert!(drop_in.contains(line), "{line}");
    }
}

#[test]
fn kubeconfigs_are_kubeadms() {
    for case in &CASES {
        for (file, user) in [
            ("admin.conf", "kubernetes-admin"),
            ("super-admin.conf", "kubernetes-super-admin"),
            ("controller-manager.conf", "system:kube-controller-manager"),
            ("scheduler.conf", "system:kube-scheduler"),
        ] {
            if !case.has_golden(file) {
                continue;
            }
            let key = Secret::from("KEY");
            let credential = Credential::Inline { cert_pem: "CERT", key_pem: &key };
            let server = format!("https://{}:6443", case.address);
            let text = kubeconfig("kubernetes", user, &server, "CA", &credential);
            let mut text = String::from_utf8(text.expose().to_vec()).unwrap();
            for data in ["Q0E=", "Q0VSVA==", "S0VZ"] {
                text = text.replace(data, "<base64>");
            }
            // kubeadm 1.20 wrote an empty `preferences`, which is removed before the comparison.
            assert_eq!(text, case.golden(file).replace("preferences: {}\n", ""));
        }
        let node = format!("system:node:{}", case.name);
        let path = "/var/lib/kubelet/pki/kubelet-client-current.pem";
        let text = kubeconfig("kubernetes", &node, &format!("https://{}:6443", case.address), "CA", &Credential::File(path));
        let text = String::from_utf8(text.expose().to_vec()).unwrap().replace("Q0E=", "<base64>");
        assert_eq!(text, case.golden("kubelet.conf").replace("preferences: {}\n", ""));
    }
}

/// Compares the text with the snapshot of this name in `render/snapshots`.
fn snapshot(name: &str, text: &str) {
    insta::with_settings!({ snapshot_path => "render/snapshots", prepend_module_to_snapshot => false }, { insta::assert_snapshot!(name, text) });
}

#[test]
fn containerd_configs() {
    let case = &CASES[1];
    let mut inv = case.inventory();
    inv.containerd = serde_json::from_value(json!({ "cgroupDriver": "systemd", "restrictOomScoreAdj": true })).unwrap();
    case.with(&inv, |ctx, _| {
        snapshot("containerd-v2", &containerd_config(ctx, "registry.k8s.io/pause:3.10.2", ConfigVersion::V2));
        snapshot("containerd-v3", &containerd_config(ctx, "registry.k8s.io/pause:3.10.2", ConfigVersion::V3));
    });
    let place = |url: &str| Place { url: url.into(), ..Place::default() };
    let mirrors = [place("http://mirror.example.com:5000"), place("https://second.example.com")];
    snapshot("hosts-toml", &hosts_toml("docker.io", &mirrors, None));
    let own = Place {
        url: "https://r.example.com:5000".into(),
        ca: Some("/etc/containerd/certs.d/r.example.com:5000/ca-2.crt".into()),
        headers: [("Authorization", "Basic dTpw"), ("X-Team", "a \"b\"")].map(|(n, v)| (n.to_string(), v.to_string())).into(),
        override_path: false,
    };
    let proxy = Place { override_path: true, ..place("https://proxy.example.com/v2/r") };
    snapshot("hosts-toml-own", &hosts_toml("r.example.com:5000", &[proxy.clone(), own.clone()], Some(&own)));
    snapshot("hosts-toml-default", &hosts_toml("_default", &[proxy], None));
}

#[test]
fn bridge_network() {
    let case = &CASES[1];
    let inv = case.inventory();
    case.with(&inv, |ctx, _| {
        let conf: Value =
            serde_json::from_str(&cni::bridge_conflist(ctx, &["10.244.3.0/24".parse().unwrap(), "fd00:1::/64".parse().unwrap()])).unwrap();
        let bridge = &conf["plugins"][0];
        assert_eq!(bridge["ipam"]["ranges"], json!([[{ "subnet": "10.244.3.0/24" }], [{ "subnet": "fd00:1::/64" }]]));
        assert_eq!(bridge["ipam"]["routes"], json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }]));
        assert_eq!(
            (&bridge["isGateway"], &bridge["hairpinMode"], &conf["plugins"][1]["type"]),
            (&json!(true), &json!(true), &json!("portmap"))
        );
        serde_json::from_str::<Value>(cni::loopback_conf()).unwrap();
        let routes = [
            ("10.244.2.0/24".parse().unwrap(), "10.0.0.2".parse().unwrap()),
            ("10.244.1.0/24".parse().unwrap(), "10.0.0.1".parse().unwrap()),
        ];
        let text = cni::routes(ctx, &routes);
        assert!(text.ends_with("pods 10.244.0.0/16\n10.244.1.0/24 via 10.0.0.1\n10.244.2.0/24 via 10.0.0.2\n"), "{text}");
    });
}

#[test]
fn kernel_files() {
    let case = &CASES[1];
    let mut inv = case.inventory();
    assert!(kernel::modules().contains("\nbr_netfilter\n"));
    assert!(!case.with(&inv, |ctx, _| kernel::sysctl(ctx)).contains("ipv6"));
    inv.network.pod_cidr = "fd00::/48".parse().unwrap();
    assert!(case.with(&inv, |ctx, _| kernel::sysctl(ctx)).ends_with("net.ipv6.conf.all.forwarding = 1\n"));
}

#[test]
fn rendering_twice_gives_the_same_bytes() {
    let case = &CASES[0];
    let inv = case.inventory();
    let all = || case.with(&inv, |ctx, node| PODS.map(|name| pod(ctx, node, name)).join("") + &kubelet::kubelet_config(ctx, node));
    assert_eq!(all(), all());
}
