//! Tests with hostile strings in the inventory: whatever they contain, the structure of the rendered files around them stays the same.

use std::collections::BTreeMap;

use clusterctl::inventory::Inventory;
use clusterctl::render::containerd::{ConfigVersion, Place, containerd_config, hosts_toml};
use clusterctl::render::objects::{cluster_objects, node_meta};
use clusterctl::render::{Credential, Ctx, kubeconfig, kubelet, manifests};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixture::{CASES, Case, parse};

/// Any text without NUL, which no argument and no file name can contain; often a text that breaks templates, YAML or shells.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "\"",
        "'",
        "\n",
        "\r\n",
        "\t",
        "{{",
        "}}",
        "{% raw %}",
        "${HOME}",
        "$(id)",
        "`id`",
        "\\",
        "\\n",
        ": ",
        " #",
        "- ",
        "---",
        "...",
        "&a",
        "*a",
        "!!int",
        "|",
        ">",
        "%",
        "@",
        "?",
        "[",
        "]",
        "{",
        "}",
        ",",
        "=",
        "~",
        "null",
        "yes",
        "0x1f",
        "1e3",
        "12:30:45",
        "2026-01-01",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{7f}",
        "\u{1}",
        "é",
        "😀",
        " ",
        "a",
        "0",
        "-",
        "--",
        ".",
        "<<",
    ]);
    prop_oneof![
        prop::collection::vec(pieces, 0..8).prop_map(|parts| parts.concat()),
        any::<String>().prop_map(|text| text.replace('\0', "")),
    ]
}

const CASE: &Case = &CASES[1];

fn commands(inv: &Inventory) -> Vec<(Vec<String>, Value)> {
    CASE.with(inv, |ctx, node| {
        let members = [(node.entry.name.clone(), node.address)];
        let texts = [
            manifests::etcd(ctx, node, &members, false),
            manifests::kube_apiserver(ctx, node, &[]),
            manifests::kube_controller_manager(ctx, node),
            manifests::kube_scheduler(ctx, node),
        ];
        let split = |text: &String| {
            let mut pod = parse(text);
            let command = pod["spec"]["containers"][0]["command"].take();
            (serde_json::from_value(command).unwrap(), pod)
        };
        texts.iter().map(split).collect()
    })
}

/// Splits the value of KUBELET_KUBEADM_ARGS in a systemd environment file into words as systemd does: it removes the quotes of the file, and then
/// splits the value at spaces outside of quotes.
fn systemd_words(env: &str) -> Vec<String> {
    let value = env.strip_prefix("KUBELET_KUBEADM_ARGS=\"").unwrap().strip_suffix("\"\n").unwrap();
    let mut plain = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|c| "\"\\`$".contains(*c)).unwrap()),
            '"' | '`' | '$' => panic!("not escaped: {c}"),
            c => plain.push(c),
        }
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = plain.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.get_or_insert_default().push(chars.next().unwrap()),
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\'' if !quoted => panic!("a quote systemd would read"),
            c if !quoted && " \t\r\n".contains(c) => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!quoted);
    words.extend(word);
    words
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arguments_stay_one_argument(name in hostile(), value in hostile(), tag in hostile()) {
        let plain = CASE.inventory();
        let mut inv = plain.clone();
        let extra = BTreeMap::from([(name.clone(), value.clone())]);
        let plane = &mut inv.control_plane;
        plane.api_server.extra_args = extra.clone();
        plane.controller_manager.extra_args = extra.clone();
        plane.scheduler.extra_args = extra.clone();
        inv.etcd.extra_args = extra.clone();
        inv.kubelet.extra_args = extra;
        let wanted = format!("--{name}={value}");
        for ((before, pod), (after, same)) in commands(&plain).into_iter().zip(commands(&inv)) {
            prop_assert_eq!(pod, same);
            prop_assert_eq!(after.last(), Some(&wanted));
            prop_assert_eq!(&after[..after.len() - 1], before.as_slice());
        }
        prop_assert_eq!(systemd_words(&CASE.with(&inv, kubelet::kubelet_flags_env)), vec![wanted]);

        inv.etcd.image_tag = Some(tag.clone());
        let pod = &commands(&inv)[0].1;
        prop_assert_eq!(&pod["spec"]["containers"][0]["image"], &json!(format!("registry.k8s.io/etcd:{tag}")));
    }

    #[test]
    fn configuration_comes_back_as_it_went_in(key in hostile(), value in hostile(), name in hostile(), domain in hostile()) {
        let mut inv = CASE.inventory();
        inv.cluster.name = name.clone();
        inv.network.dns_domain = domain.clone();
        inv.control_plane.api_server.extra_args = BTreeMap::from([(key.clone(), value.clone())]);
        inv.control_plane.api_server.cert_sans = vec![value.clone()];
        let field = format!("x{key}");
        inv.kubelet.config = serde_json::Map::from_iter([(field.clone(), json!([value, { value.clone(): [[value]] }]))]);
        inv.addons.kube_proxy.config = inv.kubelet.config.clone();
        let (config, objects) = CASE.with(&inv, |ctx, node| (kubelet::kubelet_config(ctx, node), cluster_objects(ctx, "CA", &[])));
        let config = parse(&config);
        prop_assert_eq!(&config[&field], &inv.kubelet.config[&field]);
        prop_assert_eq!(&config["clusterDomain"], &json!(domain));
        let data = |name: &str, key: &str| {
            let map = objects.iter().find(|o| o["kind"] == "ConfigMap" && o["metadata"]["name"] == name).unwrap();
            parse(map["data"][key].as_str().unwrap())
        };
        prop_assert_eq!(&data("kubelet-config", "kubelet")[&field], &inv.kubelet.config[&field]);
        prop_assert_eq!(&data("kube-proxy", "config.conf")[&field], &inv.kubelet.config[&field]);
        let cluster = data("kubeadm-config", "ClusterConfiguration");
        prop_assert_eq!(&cluster["clusterName"], &json!(name));
        prop_assert_eq!(&cluster["apiServer"], &json!({ "certSANs": [value], "extraArgs": [{ "name": key, "value": value }] }));
        // Hostile strings in the inventory neither add nor remove objects: their number is that of an ordinary inventory.
        prop_assert_eq!(objects.len(), CASE.with(&CASE.inventory(), |ctx, _| cluster_objects(ctx, "CA", &[])).len());
    }

    #[test]
    fn names_stay_names(name in hostile(), user in hostile(), repository in hostile()) {
        let text = kubeconfig(&name, &user, &format!("https://{repository}"), "CA", &Credential::File(&repository));
        let conf = parse(std::str::from_utf8(text.expose()).unwrap());
        prop_assert_eq!(&conf["current-context"], &json!(format!("{user}@{name}")));
        prop_assert_eq!(&conf["clusters"][0]["cluster"]["server"], &json!(format!("https://{repository}")));
        prop_assert_eq!(conf["users"].clone(), json!([{ "name": user, "user": { "client-certificate": repository, "client-key": repository } }]));

        let mut inv = CASE.inventory();
        inv.hosts[0].labels = BTreeMap::from([(name.clone(), user.clone())]);
        let meta = CASE.with(&inv, |ctx, node| node_meta(ctx, node.entry));
        prop_assert_eq!(&meta.labels[&name], &user);

        let objects = CASE.with(&inv, |ctx, _| cluster_objects(&Ctx { image_repository: &repository, endpoint: &user, ..*ctx }, "CA", &[]));
        let images = objects.iter().filter_map(|o| o.pointer("/spec/template/spec/containers/0/image")?.as_str());
        prop_assert_eq!(images.collect::<Vec<_>>(), [format!("{repository}/kube-proxy:v1.36.2"), format!("{repository}/coredns:v1.14.2")]);
    }

    #[test]
    fn toml_strings_stay_strings(image in hostile(), mirror in hostile()) {
        let inv = CASE.inventory();
        for version in [ConfigVersion::V2, ConfigVersion::V3] {
            let plain = CASE.with(&inv, |ctx, _| containerd_config(ctx, "PAUSE", version));
            let ours = CASE.with(&inv, |ctx, _| containerd_config(ctx, &image, version));
            prop_assert_eq!(ours.lines().count(), plain.lines().count());
            let line = ours.lines().find_map(|l| l.trim().strip_prefix("sandbox_image = ").or(l.trim().strip_prefix("sandbox = "))).unwrap();
            prop_assert_eq!(toml_string(line), image.clone());
        }
        let headers = BTreeMap::from([(mirror.clone(), mirror.clone())]);
        let place = Place { url: mirror.clone(), ca: Some(mirror.clone()), headers, override_path: true };
        let hosts = hosts_toml("registry.example.com", std::slice::from_ref(&place), Some(&place));
        let line = hosts.lines().find_map(|l| l.strip_prefix("[host.")?.strip_suffix(']')).unwrap();
        prop_assert_eq!(toml_string(line), mirror.clone());
        for line in hosts.lines().filter_map(|l| l.trim().strip_prefix("ca = ").or(l.strip_prefix("server = "))) {
            prop_assert_eq!(toml_string(line), mirror.clone());
        }
        let written = toml_text(&mirror);
        prop_assert_eq!(hosts.lines().filter(|l| *l == format!("  {written} = {written}")).count(), 2);
        prop_assert_eq!(hosts.lines().count(), 15);
    }
}

/// Writes a basic string of TOML as the templates do.
fn toml_text(text: &str) -> String {
    let hosts = hosts_toml("r", &[text.into()].map(|url: String| Place { url, ..Place::default() }), None);
    hosts.lines().find_map(|l| l.strip_prefix("[host.")?.strip_suffix(']')).unwrap().to_string()
}

/// Reads a basic string of TOML, which is written like a string of JSON as long as it contains no control character.
fn toml_string(text: &str) -> String {
    assert!(!text.chars().any(char::is_control));
    serde_json::from_str(text).unwrap()
}
