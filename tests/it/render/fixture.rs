//! The two clusters that kubeadm made and whose files are in `tests/render/kubeadm`, and the comparison of such files with clusterctl's.

use std::net::IpAddr;

use clusterctl::inventory::Inventory;
use clusterctl::layout::CA_DIRS;
use clusterctl::render::{Ctx, Node};
use clusterctl::versions;
use serde::Deserialize;
use serde_json::{Value, json};

pub const CASES: [Case; 2] =
    [Case { version: "v1.20.2", name: "n1", address: "172.30.0.11" }, Case { version: "v1.36.2", name: "m1", address: "172.30.0.21" }];

pub struct Case {
    pub version: &'static str,
    pub name: &'static str,
    pub address: &'static str,
}

impl Case {
    /// The inventory with the options with which kubeadm made the cluster.
    pub fn inventory(&self) -> Inventory {
        let mut kubelet = json!({ "config": { "failSwapOn": false } });
        if self.version == "v1.20.2" {
            kubelet["extraArgs"] = json!({ "cgroup-driver": "cgroupfs" });
        } else {
            kubelet["config"]["failCgroupV1"] = false.into();
        }
        let value = json!({
            "cluster": { "name": "kubernetes", "version": self.version },
            "hosts": [{ "name": self.name, "address": self.address, "roles": ["control-plane"] }],
            "kubelet": kubelet,
            "containerd": { "cgroupDriver": "cgroupfs" },
            "addons": { "kubeProxy": { "config": { "conntrack": { "maxPerCore": 0 } } } },
        });
        serde_json::from_value(value).unwrap()
    }

    pub fn with<T>(&self, inv: &Inventory, f: impl FnOnce(&Ctx<'_>, &Node<'_>) -> T) -> T {
        let v = versions::of(&inv.cluster.version).unwrap();
        let endpoint = format!("{}:6443", self.address);
        let ctx = Ctx { inv, v, endpoint: &endpoint, image_repository: v.images.repository, external_ca: false, files: &[] };
        // Of the folders in `CA_DIRS`, the hosts of these clusters had only those that end with `ca-certificates`.
        let ca_dirs: Vec<String> = CA_DIRS.iter().filter(|d| d.ends_with("ca-certificates")).map(|d| (*d).to_owned()).collect();
        let node = Node {
            entry: &inv.hosts[0],
            address: self.ip(),
            ca_dirs: &ca_dirs,
            systemd_resolved: false,
            hostname: self.name,
            encryption: None,
        };
        f(&ctx, &node)
    }

    pub fn ip(&self) -> IpAddr {
        self.address.parse().unwrap()
    }

    pub fn golden(&self, file: &str) -> String {
        let path = format!("{}/tests/render/kubeadm/{}/{file}", env!("CARGO_MANIFEST_DIR"), self.version);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    pub fn has_golden(&self, file: &str) -> bool {
        std::path::Path::new(&format!("{}/tests/render/kubeadm/{}/{file}", env!("CARGO_MANIFEST_DIR"), self.version)).exists()
    }
}

pub fn parse(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|e| panic!("{e} in\n{text}"))
}

pub fn parse_all(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|d| Value::deserialize(d).unwrap()).collect()
}

/// The places where two values differ. A field that only the golden value has is not reported if `spared(key, value)` is true.
pub fn differences(golden: &Value, ours: &Value, spared: &dyn Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut out = Vec::new();
    compare("", golden, ours, spared, &mut out);
    out
}

fn compare(path: &str, golden: &Value, ours: &Value, spared: &dyn Fn(&str, &Value) -> bool, out: &mut Vec<String>) {
    match (golden, ours) {
        (Value::Object(g), Value::Object(o)) => {
            for (key, value) in g {
                match o.get(key) {
                    Some(other) => compare(&format!("{path}/{key}"), value, other, spared, out),
                    None if spared(key, value) => {}
                    None => out.push(format!("{path}/{key}: only kubeadm has {value}")),
                }
            }
            for key in o.keys().filter(|key| !g.contains_key(*key)) {
                out.push(format!("{path}/{key}: only ours has {}", o[key]));
            }
        }
        (Value::Array(g), Value::Array(o)) if g.len() == o.len() => {
            for (i, (a, b)) in g.iter().zip(o).enumerate() {
                compare(&format!("{path}[{i}]"), a, b, spared, out);
            }
        }
        _ if golden == ours => {}
        _ => out.push(format!("{path}: kubeadm {golden}, ours {ours}")),
    }
}
