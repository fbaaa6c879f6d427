//! The labels, annotations and taints of a Node object.

use std::collections::BTreeMap;

use crate::inventory::{HostEntry, Role, Taint, TaintEffect};
use crate::layout;
use crate::render::Ctx;

/// Labels, annotations and taints of a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeMeta {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub taints: Vec<Taint>,
}

/// The labels, annotations and taints that the Node of a host must have: those of its role and those of the inventory.
pub fn node_meta(ctx: &Ctx<'_>, entry: &HostEntry) -> NodeMeta {
    let marks = &ctx.v.node;
    let master = entry.roles.contains(&Role::ControlPlane);
    let mut meta = NodeMeta { labels: entry.labels.clone(), annotations: entry.annotations.clone(), taints: Vec::new() };
    if master {
        meta.labels.extend(marks.labels.iter().map(|label| ((*label).to_owned(), String::new())));
    }
    if let Some(scheme) = marks.cri_socket_annotation {
        let socket = format!("{scheme}{}", layout::CONTAINERD_SOCKET);
        meta.annotations.insert("kubeadm.alpha.kubernetes.io/cri-socket".into(), socket);
    }
    meta.taints = match &entry.taints {
        Some(taints) => taints.clone(),
        None if master && !entry.roles.contains(&Role::Worker) => {
            vec![Taint { key: marks.taint.into(), value: None, effect: TaintEffect::NoSchedule }]
        }
        None => Vec::new(),
    };
    meta
}
