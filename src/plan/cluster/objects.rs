//! The steps that use the API: the metadata of nodes, the objects of the cluster, and the bootstrap token of the run.

use std::net::IpAddr;

use super::{PODS_PER_NODE, Parts, PlanDefect, all_objects};
use crate::host::HostName;
use crate::inventory::{CniKind, HostEntry, Role};
use crate::render;
use crate::step::token::Purpose;
use crate::step::{NodeMeta, Object, Step, Token};

impl Parts<'_> {
    pub(super) fn node_meta(&self, h: &HostEntry, address: IpAddr) -> Step {
        let meta = render::objects::node_meta(&self.ctx(), h);
        let taints = meta.taints.iter().map(|t| format!("{}={}:{:?}", t.key, t.value.as_deref().unwrap_or(""), t.effect)).collect();
        let pod_cidr = (self.i.inv.network.cni.kind == CniKind::Bridge).then(|| self.subnets.get(&h.name).copied()).flatten();
        let f = self.i.facts.host(&h.name);
        let disk = f.disk_free.values().max().copied().unwrap_or_default();
        let capacity = [
            ("cpu", f.cpus.to_string()),
            ("memory", format!("{}Ki", f.memory_kib)),
            ("ephemeral-storage", disk.to_string()),
            ("pods", PODS_PER_NODE.to_string()),
        ];
        let capacity = capacity.map(|(k, v)| (k.to_string(), v)).into();
        NodeMeta { address, node: h.name.clone(), labels: meta.labels, annotations: meta.annotations, taints, pod_cidr, capacity }.into()
    }

    pub(super) fn objects(&self, address: IpAddr) -> Result<Vec<Step>, PlanDefect> {
        let objects = all_objects(self.i.inv, self.i.v, self.i.ca_pem, self.i.manifests);
        let mut steps: Vec<Step> = vec![Object { address, objects }.into()];
        // A worker that does not answer cannot join, so the bootstrap token is not created for it.
        let workers = self.i.inv.nodes().filter(|h| !h.has(Role::ControlPlane) && self.i.facts.hosts.contains_key(&h.name));
        let workers: Vec<HostName> = workers.map(|h| h.name.clone()).collect();
        let token = self.i.token;
        let secret = std::str::from_utf8(token.secret.expose()).map_err(|_| PlanDefect::Token)?;
        let object = render::objects::bootstrap_token(&token.id, secret, &token.expires, crate::facts::cluster::TOKEN_DESCRIPTION);
        steps.push(Token { address, id: token.id.clone(), object: object.to_string().into(), purpose: Purpose::Hosts(workers) }.into());
        Ok(steps)
    }

    /// The bindings for the groups and users in the certificates of the cluster. `None` for a Kubernetes version that has no such bindings.
    pub(super) fn bindings(&self, address: IpAddr) -> Option<Step> {
        let objects = render::objects::admins(&self.ctx());
        (!objects.is_empty()).then(|| Object { address, objects }.into())
    }
}
