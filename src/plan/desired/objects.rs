//! The steps that use the API: the metadata of nodes, the objects of the cluster, and the bootstrap token of the run.

use std::net::IpAddr;

use super::{HostSteps, Phases, PlanDefect, all_objects, core_dns, host_steps, phase};
use crate::host::HostName;
use crate::inventory::{CniKind, HostEntry};
use crate::plan::{Phase, Width};
use crate::render;
use crate::step::token::Purpose;
use crate::step::{NodeMeta, Object, ObjectsGone, Step, Token, node_meta, objects_gone};

/// The kubelet's default for `maxPods`.
const PODS_PER_NODE: u32 = 110;

impl Phases<'_> {
    /// The phase that gives the nodes their metadata and their pod subnets.
    pub(super) fn nodes(&self) -> Phase<Step> {
        phase("nodes", Width::All, self.through_api(|address| self.all_node_meta(address)))
    }

    /// The phase that gives the nodes their metadata and their pod subnets, and that creates the bindings for the groups and users in the
    /// certificates of the cluster.
    pub(super) fn nodes_and_bindings(&self) -> Phase<Step> {
        let bindings = self.through_api(|address| self.bindings(address).into_iter().collect());
        phase("nodes", Width::All, self.through_api(|address| self.all_node_meta(address)).into_iter().chain(bindings).collect())
    }

    /// The phase that applies the objects of the cluster.
    pub(super) fn cluster_objects(&self) -> Result<Phase<Step>, PlanDefect> {
        Ok(phase("cluster objects", self.situation.cluster.width(), self.objects()?))
    }

    /// The phase of a founding that starts the controller managers and applies the objects of the cluster.
    pub(super) fn controller_managers_and_objects(&self) -> Result<Phase<Step>, PlanDefect> {
        let managers = self.masters.iter().map(|h| Ok(host_steps(h, vec![self.controller_manager(h)?])));
        let mut hosts = managers.collect::<Result<Vec<_>, PlanDefect>>()?;
        hosts.extend(self.objects()?);
        Ok(phase("cluster objects", self.situation.cluster.width(), hosts))
    }

    fn all_node_meta(&self, address: IpAddr) -> Vec<Step> {
        self.i.inv.nodes().map(|h| self.node_meta(h, address)).collect()
    }

    fn node_meta(&self, h: &HostEntry, address: IpAddr) -> Step {
        let mut meta = render::objects::node_meta(&self.ctx(), h);
        let taints: Vec<String> =
            meta.taints.iter().map(|t| format!("{}={}:{:?}", t.key, t.value.as_deref().unwrap_or(""), t.effect)).collect();
        if h.taints.as_ref().is_some_and(|taints| !taints.is_empty()) {
            meta.annotations.insert(node_meta::TAINTS.into(), taints.join(","));
        }
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
        let (node, outdated_taints) = (h.name.clone(), vec![]);
        NodeMeta { address, node, labels: meta.labels, annotations: meta.annotations, taints, outdated_taints, pod_cidr, capacity }.into()
    }

    /// The steps for the objects of the cluster and for the bootstrap token of the run.
    fn objects(&self) -> Result<Vec<HostSteps<Step>>, PlanDefect> {
        let mut objects = all_objects(self.i.inv, self.i.v, self.i.ca_pem, self.i.manifests);
        core_dns::keep(&mut objects, self.i.inv, self.i.facts);
        // A worker that does not answer cannot join, so the bootstrap token is not created for it.
        let workers = self.workers().filter(|h| self.i.facts.hosts.contains_key(&h.name));
        let workers: Vec<HostName> = workers.map(|h| h.name.clone()).collect();
        let token = self.i.token;
        let secret = std::str::from_utf8(token.secret.expose()).map_err(|_| PlanDefect::Token)?;
        let object = render::objects::bootstrap_token(&token.id, secret, &token.expires, crate::facts::cluster::TOKEN_DESCRIPTION);
        let token = |address| Token { address, id: token.id.clone(), object: object.to_string().into(), purpose: Purpose::Hosts(workers) };
        let wanted = objects_gone::entries(self.i.manifests);
        let record = objects_gone::record_before(&wanted, self.i.facts);
        Ok(self.through_api(|address| {
            let mut steps: Vec<Step> = record.map(|record| Object { address, objects: vec![record] }.into()).into_iter().collect();
            steps.extend([Object { address, objects }.into(), ObjectsGone { address, wanted, gone: vec![] }.into(), token(address).into()]);
            steps
        }))
    }

    /// The bindings for the groups and users in the certificates of the cluster. `None` for a Kubernetes version that has no such bindings.
    pub(super) fn bindings(&self, address: IpAddr) -> Option<Step> {
        let objects = render::objects::admins(&self.ctx());
        (!objects.is_empty()).then(|| Object { address, objects }.into())
    }
}
