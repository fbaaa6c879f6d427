//! The steps for etcd members: the members that start the etcd cluster, the members that join it, and the systemd service on etcd hosts.

use std::net::IpAddr;

use super::master::{pki_files, watch};
use super::{HostSteps, Phases, host_steps, phase};
use crate::facts::{Facts, MemberFact};
use crate::inventory::HostEntry;
use crate::layout;
use crate::plan::members::{client_url, is_listed, peer_url};
use crate::plan::situation::{ClusterState, EtcdMember};
use crate::plan::{Phase, Width};
use crate::render::{self, Component};
use crate::step::{self, File, Member, MemberState, RollbackCopy, Snapshot, Step, Unit, wait};

/// The hosts with the etcd leader last. Each time the leadership moves, requests in flight can fail. If the leader is changed last, the
/// leadership moves exactly once, to a member that has been changed already.
pub(super) fn leader_last<'a>(mut hosts: Vec<&'a HostEntry>, facts: &Facts) -> Vec<&'a HostEntry> {
    let leader = facts.members().and_then(|all| all.iter().find(|m| m.leader));
    hosts.sort_by_key(|h| leader.is_some_and(|m| m.name == h.name));
    hosts
}

impl Phases<'_> {
    /// The phase that changes etcd on hosts of its own. Empty if the members are static pods, which change with their API servers.
    pub(super) fn etcd(&self) -> Phase<Step> {
        let services = self.etcd_hosts.iter().filter(|h| self.runs_etcd_service(h));
        let hosts = services.map(|h| HostSteps { guards: self.guards(h), ..host_steps(h, self.etcd_host(h)) });
        phase("etcd", self.situation.cluster.width(), hosts.collect())
    }

    /// The phase that takes a snapshot of etcd, on a host whose member answers if there is one. Empty if the operator wants none, or if etcd is
    /// external.
    pub(super) fn snapshot(&self) -> Phase<Step> {
        let members = self.i.inv.etcd_hosts();
        let member = members.iter().find(|m| self.i.facts.host(&m.name).members.is_some()).or(members.first());
        let before_version = || self.i.inv.cluster.version.to_string();
        let snapshot = member.zip(self.i.kubelet_policy.snapshot.clone());
        let steps = snapshot.map(|(member, to)| host_steps(member, vec![Snapshot { to, before_version: before_version() }.into()]));
        phase("snapshot", Width::All, steps.into_iter().collect())
    }

    /// The guards of a control-plane host or an etcd host: the check that etcd keeps its quorum without this host, and a copy of etcd's files
    /// for a rollback if etcd is a systemd service. Empty for a host whose etcd member does not count for the quorum, and for a host without a
    /// member.
    pub(super) fn guards(&self, h: &HostEntry) -> Vec<Step> {
        let rollback_copy = self.runs_etcd_service(h).then(|| RollbackCopy.into());
        match self.situation.host(h).counts_for_quorum {
            true => [wait::Quorum.into()].into_iter().chain(rollback_copy).collect(),
            false => vec![],
        }
    }

    /// The steps for a host with the role `etcd`, on which etcd is a systemd service.
    fn etcd_host(&self, h: &HostEntry) -> Vec<Step> {
        let (ctx, node) = (self.ctx(), self.node(h));
        let (members, existing) = self.initial_cluster(h);
        let env = render::etcd::environment(&ctx, &node, &members, existing);
        let unit = render::etcd::unit();
        let digest = step::digest(format!("{env}{unit}{}", self.image(Component::Etcd)).as_bytes());
        let mut files: Vec<File> = vec![self.ownership()];
        files.extend(self.i.pki.get(&h.name).map(|files| pki_files(files)).unwrap_or_default());
        files.extend([
            File::folder(layout::ETCD_DATA_DIR, 0o700),
            File::text(layout::ETCD_ENV, env).unit("etcd"),
            File::text(layout::ETCD_UNIT, unit).unit("etcd"),
        ]);
        let unit: Step = Unit { watch: watch(h, &self.etcd_hosts), ..Unit::new("etcd", digest) }.into();
        let program = self.etcd_binary("etcd", false);
        match self.joins_etcd(h) {
            true => {
                let (learner, voter) = (self.member(h, MemberState::Learner), self.member(h, MemberState::Voter));
                vec![files.into(), program, learner, unit, voter, self.established()]
            }
            false if self.situation.cluster == ClusterState::Standing => vec![files.into(), program, unit, self.established()],
            false => vec![files.into(), program, unit],
        }
    }

    /// Whether the host's etcd member is a static pod beside its API server.
    pub(super) fn runs_etcd_pod(&self, h: &HostEntry) -> bool {
        self.i.inv.etcd_is_stacked() && self.i.inv.runs_etcd(h)
    }

    /// Whether the host's etcd member is a systemd service.
    pub(super) fn runs_etcd_service(&self, h: &HostEntry) -> bool {
        !self.i.inv.etcd_is_stacked() && self.i.inv.runs_etcd(h)
    }

    /// The etcd endpoints that the API server of this host uses.
    pub(super) fn etcd_clients_see(&self, h: &HostEntry) -> Vec<String> {
        match &self.i.inv.etcd.external {
            Some(external) => external.endpoints.clone(),
            None if self.runs_etcd_pod(h) => vec![format!("https://127.0.0.1:{}", layout::ETCD_CLIENT_PORT)],
            None => self.i.inv.etcd_hosts().into_iter().map(client_url).collect(),
        }
    }

    /// Whether the host's etcd member has yet to join an existing cluster.
    pub(super) fn joins_etcd(&self, h: &HostEntry) -> bool {
        self.situation.host(h).etcd == EtcdMember::Joining
    }

    pub(super) fn member(&self, h: &HostEntry, want: MemberState) -> Step {
        let members = self.i.inv.etcd_hosts().into_iter().filter(|m| m.name != h.name && !self.joins_etcd(m));
        let through = members.map(client_url).collect();
        Member { name: h.name.clone(), peer_url: peer_url(h), through, want }.into()
    }

    /// The members for `--initial-cluster` of this host's etcd member, and whether it joins an existing cluster. A member that was started
    /// before keeps its value, because etcd reads the flag only at its first start.
    pub(super) fn initial_cluster(&self, h: &HostEntry) -> (Vec<(String, IpAddr)>, bool) {
        let hosts = self.i.inv.etcd_hosts();
        let all = || hosts.iter().copied();
        let f = self.i.facts.host(&h.name);
        let has_data = f.files.contains_key(layout::ETCD_MEMBER_DIR);
        let manifest = format!("{}/etcd.yaml", layout::MANIFESTS_DIR);
        let started_with = if self.i.inv.etcd_is_stacked() { manifest.as_str() } else { layout::ETCD_ENV };
        if has_data && let Some(present) = f.text(started_with).and_then(founders) {
            return present;
        }
        if self.situation.host(h).etcd == EtcdMember::Founding {
            return (all().map(|m| (m.name.clone(), m.node_address())).collect(), false);
        }
        // Members join one after another in the order of the inventory, so a member after this one is included only if etcd already lists it.
        let listed = |m: &HostEntry| is_listed(m, self.i.facts) == Some(true);
        let position = all().position(|m| m.name == h.name).unwrap_or(0);
        let here = all().enumerate().filter(|(at, m)| *at <= position || listed(m)).map(|(_, m)| (m.name.clone(), m.node_address()));
        let is_unknown = |l: &&MemberFact| !all().any(|m| l.peer_urls.contains(&peer_url(m)));
        let strangers = self.i.facts.members().into_iter().flatten().filter(is_unknown);
        let strangers = strangers.filter_map(|l| {
            let name = if l.name.is_empty() { &l.id } else { &l.name };
            Some((name.clone(), address_of(l.peer_urls.first()?)?))
        });
        (here.chain(strangers).collect(), true)
    }
}

fn address_of(url: &str) -> Option<IpAddr> {
    url.strip_prefix("https://")?.rsplit_once(':')?.0.trim_matches(['[', ']']).parse().ok()
}

/// The value of `--initial-cluster` in an etcd manifest or environment file, and whether the member joined an existing cluster.
fn founders(manifest: &str) -> Option<(Vec<(String, IpAddr)>, bool)> {
    // The flag is in a line of a manifest, or, as a variable, in a line of an environment file.
    let flag = |name: &str| {
        let variable = format!("ETCD_{}=", name.trim_end_matches('=').to_ascii_uppercase().replace('-', "_"));
        manifest.lines().find_map(|l| {
            let line = l.trim().trim_start_matches("- ").trim_matches('"');
            let value = line.strip_prefix(&format!("--{name}")).or_else(|| line.strip_prefix(&variable))?;
            Some(value.trim_matches('"').to_string())
        })
    };
    let list = flag("initial-cluster=")?;
    let members = list.split(',').map(|m| {
        let (name, url) = m.split_once('=')?;
        Some((name.to_string(), address_of(url)?))
    });
    Some((members.collect::<Option<Vec<_>>>()?, flag("initial-cluster-state=").is_some_and(|s| s == "existing")))
}
