//! The page's part of one control-plane host: its PKI, its static pods, its kubelet.

use std::net::IpAddr;

use super::{PageError, Parts, bracketed, established};
use crate::facts::{Facts, FileKind, MemberFact};
use crate::inventory::HostEntry;
use crate::layout;
use crate::pki::FileOut;
use crate::render;
use crate::step::{Content, File, Member, Standing, StaticPod, Step, Wait};

impl Parts<'_> {
    pub(super) fn master(&self, h: &HostEntry) -> Result<Vec<Step>, PageError> {
        let (ctx, node) = (self.ctx(), self.node(h));
        let mut files: Vec<File> = self.i.pki.get(&h.name).map(|files| pki_files(files, self.i.facts, &h.name)).unwrap_or_default();
        let kubelet = self.kubelet_files(h);
        let units = self.units(&kubelet);
        files.extend(kubelet);
        files.push(File::folder(layout::ETCD_DATA_DIR, 0o700));
        let mut steps: Vec<Step> = vec![files.into()];
        let address = h.node_address();
        let joins = self.joins_etcd(h);
        if self.i.inv.etcd_is_stacked() {
            let (members, existing) = self.initial_cluster(h);
            let manifest = render::manifests::etcd(&ctx, &node, &members, existing);
            // A learner refuses to say that it is healthy; that it votes is waited for by name.
            let says = if joins { "metrics" } else { "health" };
            let probe = format!("http://127.0.0.1:{}/{says}", layout::ETCD_METRICS_PORT);
            let etcd = self.static_pod(h, "etcd", manifest, probe)?;
            if joins {
                steps.push(self.member(h, Standing::Learner));
                steps.push(etcd);
                steps.extend(units.clone());
                steps.push(self.member(h, Standing::Voter));
            } else {
                steps.push(etcd);
            }
        }
        let etcd = vec![format!("https://127.0.0.1:{}", layout::ETCD_CLIENT_PORT)];
        let api = format!("https://{}:{}", bracketed(address), layout::API_SERVER_PORT);
        steps.push(self.static_pod(h, "kube-apiserver", render::manifests::kube_apiserver(&ctx, &node, &etcd), format!("{api}/readyz"))?);
        let probe = format!("https://127.0.0.1:{}/healthz", layout::SCHEDULER_PORT);
        steps.push(self.static_pod(h, "kube-scheduler", render::manifests::kube_scheduler(&ctx, &node), probe)?);
        if !joins {
            steps.extend(units);
        }
        steps.push(Wait::Api { address, version: self.i.inv.cluster.version.to_string() }.into());
        Ok(steps)
    }

    /// Whether the host's member of etcd has yet to come into a cluster that stands.
    fn joins_etcd(&self, h: &HostEntry) -> bool {
        let f = self.i.facts.host(&h.name);
        let votes = |list: &[MemberFact]| list.iter().any(|m| m.peer_urls.contains(&peer_url(h)) && !m.learner);
        // While no member answers, a host with data is one that has only to be started again.
        let known = self.i.facts.members().is_none_or(votes);
        established(self.i.facts) && self.i.inv.etcd_is_stacked() && !(f.files.contains_key(layout::ETCD_MEMBER_DIR) && known)
    }

    fn member(&self, h: &HostEntry, want: Standing) -> Step {
        let members = self.i.inv.control_planes().filter(|m| m.name != h.name && !self.joins_etcd(m));
        let through = members.map(client_url).collect();
        Member { name: h.name.clone(), peer_url: peer_url(h), through, want }.into()
    }

    /// Who founds the cluster with this member, or whom it finds there. What a running member was started with stays: etcd reads it only once.
    fn initial_cluster(&self, h: &HostEntry) -> (Vec<(String, IpAddr)>, bool) {
        let all = || self.i.inv.control_planes();
        let f = self.i.facts.host(&h.name);
        let has_data = f.files.contains_key(layout::ETCD_MEMBER_DIR);
        if has_data && let Some(kept) = f.text(&format!("{}/etcd.yaml", layout::MANIFESTS_DIR)).and_then(founders) {
            return kept;
        }
        if !established(self.i.facts) {
            return (all().map(|m| (m.name.clone(), m.node_address())).collect(), false);
        }
        // Masters join one after another, in the inventory's order: those after this one are not in the list yet.
        let listed = |m: &&HostEntry| self.i.facts.members().into_iter().flatten().any(|l| l.peer_urls.contains(&peer_url(m)));
        let position = all().position(|m| m.name == h.name).unwrap_or(0);
        let here = all().enumerate().filter(|(at, m)| *at <= position || listed(m)).map(|(_, m)| (m.name.clone(), m.node_address()));
        let known = |l: &&MemberFact| !all().any(|m| l.peer_urls.contains(&peer_url(m)));
        let strangers = self.i.facts.members().into_iter().flatten().filter(known);
        let strangers = strangers.filter_map(|l| {
            let name = if l.name.is_empty() { &l.id } else { &l.name };
            Some((name.clone(), address_of(l.peer_urls.first()?)?))
        });
        (here.chain(strangers).collect(), true)
    }

    fn static_pod(&self, h: &HostEntry, component: &'static str, manifest: String, probe: String) -> Result<Step, PageError> {
        let pod = StaticPod::new(component, manifest, probe);
        pod.map(Step::from).map_err(|source| PageError::Manifest { host: h.name.clone(), component, source })
    }

    /// Apart from the others: on a fresh cluster it starts only once every node has its pod subnet, or it would hand out its own.
    pub(super) fn controller_manager(&self, h: &HostEntry) -> Result<Step, PageError> {
        let probe = format!("https://127.0.0.1:{}/healthz", layout::CONTROLLER_MANAGER_PORT);
        let manifest = render::manifests::kube_controller_manager(&self.ctx(), &self.node(h));
        self.static_pod(h, "kube-controller-manager", manifest, probe)
    }
}

/// Where a host's member listens for the others.
pub fn peer_url(h: &HostEntry) -> String {
    format!("https://{}", layout::join_host_port(h.node_address(), layout::ETCD_PEER_PORT))
}

/// Where a host's member listens for clients.
pub fn client_url(h: &HostEntry) -> String {
    format!("https://{}", layout::join_host_port(h.node_address(), layout::ETCD_CLIENT_PORT))
}

fn address_of(url: &str) -> Option<IpAddr> {
    url.strip_prefix("https://")?.rsplit_once(':')?.0.trim_matches(['[', ']']).parse().ok()
}

/// `--initial-cluster` of an etcd manifest, and whether it joined an existing cluster.
fn founders(manifest: &str) -> Option<(Vec<(String, IpAddr)>, bool)> {
    let flag = |name: &str| {
        manifest.lines().find_map(|l| l.trim().trim_start_matches("- ").trim_matches('"').strip_prefix(name).map(String::from))
    };
    let list = flag("--initial-cluster=")?;
    let members = list.split(',').map(|m| {
        let (name, url) = m.split_once('=')?;
        Some((name.to_string(), address_of(url)?))
    });
    Some((members.collect::<Option<Vec<_>>>()?, flag("--initial-cluster-state=existing").is_some()))
}

/// The minted or kept files of a host. The kubelet's current certificate is a link that the kubelet moves when it rotates: once it has, the first one is its own affair.
fn pki_files(files: &[FileOut], facts: &Facts, host: &str) -> Vec<File> {
    let f = facts.host(host);
    let first = layout::KUBELET_CLIENT_INITIAL;
    let rotated = f.resolved(layout::KUBELET_CLIENT_CURRENT).is_some()
        && !matches!(f.files.get(layout::KUBELET_CLIENT_CURRENT).map(|l| &l.kind), Some(FileKind::Link(to)) if to.ends_with(layout::basename(first)));
    let mut out: Vec<File> = files
        .iter()
        .filter(|f| !(rotated && f.path == first))
        .map(|f| {
            let unit = (f.path == layout::KUBELET_CONF || f.path == first).then_some("kubelet");
            File { path: f.path.clone(), content: Content::Bytes(f.content.clone()), mode: f.mode, secret: f.secret, unit, check: None }
        })
        .collect();
    if !rotated && files.iter().any(|f| f.path == first) {
        out.push(File::link(layout::KUBELET_CLIENT_CURRENT, first).unit("kubelet"));
    }
    out
}
