//! The inventory of an adopted cluster as a commented text.

use serde_json::{Map, Value};

use super::refine::Remark;
use crate::inventory;

/// The name of a section of the inventory, and the comment that is written before it if [`fits`] allows the comment.
const COMMENTS: [(&str, &str); 9] = [
    ("cluster", "Name, version and endpoint are in certificates and kubeconfigs, as kubeadm made them."),
    ("network", "`external`: the CNI that is there stays its owner's; a node that joins is expected to become Ready by it."),
    ("loadBalancer", "`external`: the balancer at the endpoint stays its owner's and has to be told of control planes that come and go."),
    ("controlPlane", "Flags and names that kubeadm was given."),
    ("kubelet", "Beyond clusterctl's own configuration, from the cluster's kubelet-config."),
    ("addons", "Beyond clusterctl's own configuration, from what runs."),
    (
        "containerd",
        "For the kubelets, and for containerd on hosts that join; on adopted hosts containerd and its configuration stay as they are.",
    ),
    ("ssh", "How hosts are reached; what is left out here comes from ~/.ssh/config."),
    ("hosts", "In the order in which they came; a new host is written here, then `clusterctl join NAME`."),
];

/// The sections in the order in which they are written. Other sections follow them.
const ORDER: [&str; 12] =
    ["cluster", "network", "loadBalancer", "controlPlane", "etcd", "kubelet", "addons", "containerd", "artifacts", "pki", "ssh", "hosts"];

/// The inventory with these fields as text. `host` is the host through which the cluster was read.
pub(super) fn of(fields: &Map<String, Value>, host: &str, remarks: &[Remark]) -> String {
    let mut out = format!(
        "# A cluster that kubeadm made, as clusterctl found it through {host}. What is not here has its default:\n\
         # `clusterctl inventory show -i THIS-FILE` prints every field.\n"
    );
    let known = ORDER.iter().filter_map(|key| fields.get_key_value(*key));
    for (key, value) in known.chain(fields.iter().filter(|(key, _)| !ORDER.contains(&key.as_str()))) {
        out.push('\n');
        let said = COMMENTS.iter().filter(|(section, text)| section == key && fits(text, value)).map(|(_, text)| *text);
        let said = said.chain(remarks.iter().filter(|(section, _)| section == key).map(|(_, text)| text.as_str()));
        said.for_each(|text| out.push_str(&format!("# {text}\n")));
        out.push_str(&inventory::fields(&Map::from_iter([(key.clone(), value.clone())])));
    }
    out
}

/// Whether a comment applies to a section. A comment that begins with a kind in backticks is left out if the section has another kind.
fn fits(text: &str, value: &Value) -> bool {
    let kind = value["kind"].as_str().or(value["cni"]["kind"].as_str());
    !text.starts_with('`') || kind.is_some_and(|k| text.starts_with(&format!("`{k}`")))
}
