//! The files and settings of a node that kubeadm created, and the steps that are therefore not desired for this node.
//!
//! clusterctl never changes the container runtime of such a node, the configuration of the runtime, or the CNI plugins. The kubelet is not
//! changed while its configuration means the same as the configuration that clusterctl would write. With the kubelet's first change, such as
//! another version, clusterctl replaces its unit, program and configuration together.

use super::Phases;
use crate::facts::kubeadm::{kubelet_flags, tells};
use crate::inventory::HostEntry;
use crate::layout;
use crate::render;
use crate::step::kept;

/// The path by which kubeadm names containerd's socket; `/var/run` is a link to `/run`.
const OTHER_SOCKET: &str = "/var/run/containerd/containerd.sock";

impl Phases<'_> {
    /// Whether the host's kubelet is still the one that kubeadm set up, and its configuration means the same as the one that clusterctl would
    /// write.
    pub(super) fn keeps_kubelet(&self, h: &HostEntry) -> bool {
        let f = self.i.facts.host(&h.name);
        let Some(mark) = f.text(layout::ADOPTED) else { return false };
        let runs = f.units.get("kubelet").is_some_and(|u| u.active == "active" && u.enabled == "enabled");
        // The kubelet's files are written in order, and the unit and its drop-in are the first of them: if one of these two is clusterctl's,
        // the replacement of the kubelet has begun and must be completed.
        let begun = f.text(layout::KUBELET_UNIT) == Some(&render::kubelet::kubelet_unit())
            || f.text(layout::KUBELET_DROP_IN) == Some(&render::kubelet::kubelet_drop_in());
        if !runs || begun || !self.keeps_identity(h) || mark != mark_of(&self.kubelet_version(h).to_string()) {
            return false;
        }
        let (ctx, node) = (self.kubelet_ctx(h), self.node(h));
        let config = render::kubelet::kubelet_config(&ctx, &node);
        let theirs = |path: &str| f.text(path).map(|text| text.replace(OTHER_SOCKET, layout::CONTAINERD_SOCKET));
        let same_meaning = |path: &str, ours: &str| theirs(path).is_some_and(|theirs| kept::text_says(ours, &theirs));
        let instance = render::kubelet::instance_config(&ctx).is_none_or(|ours| same_meaning(layout::KUBELET_INSTANCE_CONFIG, &ours));
        let flags = |env: &str| kubelet_flags(env).into_iter().filter(|(name, _)| tells(name)).collect::<Vec<_>>();
        let ours = flags(&render::kubelet::kubelet_flags_env(&ctx, &node));
        instance && ours == flags(f.text(layout::KUBELET_FLAGS_ENV).unwrap_or_default()) && same_meaning(layout::KUBELET_CONFIG, &config)
    }
}

/// The content of the mark file of an adopted host; `kubelet` is the version of the host's kubelet.
pub fn mark_of(kubelet: &str) -> String {
    format!("kubelet: {kubelet}\n")
}
