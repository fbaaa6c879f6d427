//! What a node that kubeadm made brought along, and so which steps are not desired for it.
//!
//! The container runtime, its configuration and the CNI plugins stay their owner's for good. The kubelet stays as it is while it says what
//! ours would say; with its first change, such as another version, unit, program and configuration become ours together.

use super::Parts;
use crate::facts::kubeadm::{kubelet_flags, tells};
use crate::inventory::HostEntry;
use crate::layout;
use crate::render;
use crate::step::kept;

/// The name by which kubeadm calls containerd's socket: `/var/run` leads to `/run`.
const OTHER_SOCKET: &str = "/var/run/containerd/containerd.sock";

impl Parts<'_> {
    /// Whether kubeadm made the host's node.
    pub(super) fn adopted(&self, h: &HostEntry) -> bool {
        self.i.facts.host(&h.name).files.contains_key(layout::ADOPTED)
    }

    /// Whether the host's kubelet is the one that kubeadm set up, and does what ours would do.
    pub(super) fn keeps_kubelet(&self, h: &HostEntry) -> bool {
        let f = self.i.facts.host(&h.name);
        let Some(mark) = f.text(layout::ADOPTED) else { return false };
        let runs = f.units.get("kubelet").is_some_and(|u| u.active == "active" && u.enabled == "enabled");
        // Files are written in order, these first: from here on it is on its way to be ours.
        let begun = f.text(layout::KUBELET_UNIT) == Some(&render::kubelet::kubelet_unit())
            || f.text(layout::KUBELET_DROP_IN) == Some(&render::kubelet::kubelet_drop_in());
        if !runs || begun || !self.keeps_identity(h) || mark != mark_of(&self.kubelet_version(h).to_string()) {
            return false;
        }
        let (ctx, node) = (self.kubelet_ctx(h), self.node(h));
        let config = render::kubelet::kubelet_config(&ctx, &node);
        let theirs = |path: &str| f.text(path).map(|text| text.replace(OTHER_SOCKET, layout::CONTAINERD_SOCKET));
        let says = |path: &str, ours: &str| theirs(path).is_some_and(|theirs| kept::text_says(ours, &theirs));
        let instance = render::kubelet::instance_config(&ctx).is_none_or(|ours| says(layout::KUBELET_INSTANCE_CONFIG, &ours));
        let flags = |env: &str| kubelet_flags(env).into_iter().filter(|(name, _)| tells(name)).collect::<Vec<_>>();
        let ours = flags(&render::kubelet::kubelet_flags_env(&ctx, &node));
        instance && ours == flags(f.text(layout::KUBELET_FLAGS_ENV).unwrap_or_default()) && says(layout::KUBELET_CONFIG, &config)
    }
}

/// What the mark of an adopted host says.
pub fn mark_of(kubelet: &str) -> String {
    format!("kubelet: {kubelet}\n")
}
