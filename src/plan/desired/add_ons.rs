//! The waits for the rollouts of the add-ons, and the end of a stage.

use std::net::IpAddr;

use super::{Phases, host_steps, phase};
use crate::facts::ObjectRef;
use crate::inventory::CniKind;
use crate::plan::{Part, Phase, Width};
use crate::step::{Ids, Step, TokensGone, wait};

impl Phases<'_> {
    /// The phase that waits for the rollout of kube-proxy before nodes are drained. Empty if this stage does not change kubelets to another
    /// version.
    pub(super) fn kube_proxy_before_nodes(&self) -> Phase<Step> {
        let drains = self.i.kubelet_policy.changes_version;
        let wait = |address| drains.then(|| self.proxy(address, false)).flatten().into_iter().collect();
        Phase { part: Part::BeforeNodes, name: "kube-proxy", width: Width::All, hosts: self.through_api(wait) }
    }

    /// The phase at the end of a stage: each control-plane node that may change becomes Ready, the rollouts of kube-proxy and CoreDNS end, and
    /// the bootstrap tokens that runs of clusterctl created are removed.
    pub(super) fn settle(&self) -> Phase<Step> {
        let nodes = self.masters.iter().filter(|h| !self.situation.host(h).is_held).map(|h| host_steps(h, vec![self.node_ready(h)]));
        phase("settle", Width::All, nodes.chain(self.through_api(|address| self.end_of_stage(address))).collect())
    }

    fn end_of_stage(&self, address: IpAddr) -> Vec<Step> {
        let (dns, policy) = (&self.i.inv.addons.core_dns, self.i.kubelet_policy);
        // The rollout of kube-proxy takes the longest. If the next stage changes kubelets, this stage does not wait for the rollout, because
        // that stage waits for it before it drains a node.
        let later = policy.next.is_some() && policy.later.is_empty();
        let mut steps: Vec<Step> = if later { vec![] } else { self.proxy(address, !policy.held.is_empty()).into_iter().collect() };
        if dns.enabled && dns.wait && self.i.inv.network.cni.kind != CniKind::None {
            steps.push(wait::Rollout { address, object: add_on("Deployment", "coredns"), first: false }.into());
        }
        steps.push(TokensGone { address, ids: Ids::OfRuns }.into());
        steps
    }

    /// The wait for the rollout of kube-proxy: on every node, or, if `first` is true, only for its first new pod. `None` if the inventory
    /// disables kube-proxy.
    fn proxy(&self, address: IpAddr, first: bool) -> Option<Step> {
        let object = add_on("DaemonSet", "kube-proxy");
        self.i.inv.addons.kube_proxy.enabled.then(|| wait::Rollout { address, object, first }.into())
    }
}

fn add_on(kind: &str, name: &str) -> ObjectRef {
    ObjectRef { group: "apps".into(), kind: kind.into(), namespace: "kube-system".into(), name: name.into() }
}
