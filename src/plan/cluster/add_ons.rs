//! The waits for the rollouts of the add-ons.

use std::net::IpAddr;

use super::Parts;
use crate::facts::ObjectRef;
use crate::inventory::CniKind;
use crate::step::{Ids, Step, TokensGone, Wait};

impl Parts<'_> {
    /// The wait for the rollout of kube-proxy: on every node, or, if `first` is true, only for its first new pod. `None` if the inventory
    /// disables kube-proxy.
    pub(super) fn proxy(&self, address: IpAddr, first: bool) -> Option<Step> {
        let object = add_on("DaemonSet", "kube-proxy");
        self.i.inv.addons.kube_proxy.enabled.then(|| Wait::Rollout { address, object, first }.into())
    }

    /// The steps at the end of a stage that use the API: the waits for the rollouts of kube-proxy and CoreDNS, and the removal of the bootstrap
    /// tokens that runs of clusterctl created.
    pub(super) fn settle(&self, address: IpAddr) -> Vec<Step> {
        let (dns, roll) = (&self.i.inv.addons.core_dns, &self.i.roll);
        // The rollout of kube-proxy takes the longest. If the next stage changes kubelets, this stage does not wait for the rollout, because
        // that stage waits for it before it drains a node.
        let later = roll.next.is_some() && roll.later.is_empty();
        let mut steps: Vec<Step> = if later { vec![] } else { self.proxy(address, !roll.held.is_empty()).into_iter().collect() };
        if dns.enabled && dns.wait && self.i.inv.network.cni.kind != CniKind::None {
            steps.push(Wait::Rollout { address, object: add_on("Deployment", "coredns"), first: false }.into());
        }
        steps.push(TokensGone { address, ids: Ids::OfRuns }.into());
        steps
    }
}

fn add_on(kind: &str, name: &str) -> ObjectRef {
    ObjectRef { group: "apps".into(), kind: kind.into(), namespace: "kube-system".into(), name: name.into() }
}
