//! The situation that a run meets, decided from the facts: whether the cluster is being founded or exists, and how far each host has joined it.

use std::collections::BTreeMap;

use super::kubelet_policy::KubeletPolicy;
use super::{Width, identity, members};
use crate::facts::Facts;
use crate::host::HostName;
use crate::inventory::{HostEntry, Inventory, Role};
use crate::layout;

/// The state of the cluster as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// The cluster is being founded, or does not exist at all: no host has the mark of a finished cluster. The hosts change side by side, and
    /// all etcd members start together.
    Founding,
    /// The cluster exists, and an API server answers. Control planes change one at a time, and new etcd members join the existing ones.
    Standing,
    /// The cluster exists, but no API server answers. Facts that only an API server knows, such as the nodes, are missing.
    WithoutApi,
}

impl ClusterState {
    /// The state of the cluster according to these facts.
    pub fn of(facts: &Facts) -> ClusterState {
        let finished = facts.hosts.values().any(|f| f.files.contains_key(layout::ESTABLISHED));
        match (finished, &facts.cluster) {
            (false, _) => ClusterState::Founding,
            (true, Some(_)) => ClusterState::Standing,
            (true, None) => ClusterState::WithoutApi,
        }
    }

    /// Whether the cluster exists already, with or without an API server that answers. Such a cluster may serve users, so it never gets a new
    /// CA, and its hosts must not be out of service at the same time.
    pub fn exists(self) -> bool {
        self != ClusterState::Founding
    }

    /// How many hosts that others depend on, such as control-plane hosts, may change at once.
    pub fn width(self) -> Width {
        if self.exists() { Width::One } else { Width::All }
    }
}

/// How far a host's kubelet has joined the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeState {
    /// The API does not report a kubelet of this host, so no pods of the cluster are expected on it. Every host is treated like this in a
    /// founding, and while no API server answers.
    #[default]
    Joining,
    /// The kubelet of a worker has registered, but its client certificate is absent or not usable, so it joins again with a bootstrap token.
    /// Pods may still run on the node.
    JoiningAgain,
    /// The kubelet has registered, and pods may run on the node.
    InService,
}

/// How far a host's etcd member has joined etcd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EtcdMember {
    /// The host runs no etcd member of the cluster.
    #[default]
    None,
    /// The member starts etcd together with all other members of a cluster that is being founded.
    Founding,
    /// The member is added to the existing members, first as a learner and then as a voter.
    Joining,
    /// The member has its data, and etcd lists it as a voter. If no member answers, the data alone decides, because the member needs only to be
    /// started.
    Joined,
}

/// The situation of one host in a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostSituation {
    pub node: NodeState,
    pub etcd: EtcdMember,
    /// Whether other hosts count on the host's etcd member for the quorum: the member was in service when a run ended well. The member of a
    /// host that joins for the first time does not count.
    pub counts_for_quorum: bool,
    /// Whether this stage leaves the host's kubelet and its container runtime as they are.
    pub is_held: bool,
    /// Whether kubeadm created the host's node and clusterctl adopted it. clusterctl does not change the container runtime of such a host.
    pub is_adopted: bool,
}

impl HostSituation {
    /// Whether pods may run on the host's node. The container runtime is then changed only after the node was drained.
    pub fn runs_pods(&self) -> bool {
        self.node != NodeState::Joining
    }
}

/// The situation in which a stage is planned.
pub struct Situation {
    pub cluster: ClusterState,
    hosts: BTreeMap<HostName, HostSituation>,
}

impl Situation {
    /// Decides the situation of the cluster and of each host in the inventory. `ca_pem` is the ca.crt of the cluster.
    pub fn of(inv: &Inventory, facts: &Facts, ca_pem: &str, kubelet_policy: &KubeletPolicy) -> Situation {
        let cluster = ClusterState::of(facts);
        let host = |h: &HostEntry| {
            let f = facts.host(&h.name);
            HostSituation {
                node: node_state(h, inv, facts, ca_pem, cluster),
                etcd: etcd_member(h, inv, facts, cluster),
                counts_for_quorum: inv.runs_etcd(h) && f.files.contains_key(layout::ESTABLISHED),
                is_held: kubelet_policy.held.contains_key(&h.name),
                is_adopted: f.files.contains_key(layout::ADOPTED),
            }
        };
        Situation { cluster, hosts: inv.hosts.iter().map(|h| (h.name.clone(), host(h))).collect() }
    }

    /// The situation of a host of the inventory.
    pub fn host(&self, h: &HostEntry) -> HostSituation {
        self.hosts.get(&h.name).copied().unwrap_or_default()
    }
}

fn node_state(h: &HostEntry, inv: &Inventory, facts: &Facts, ca_pem: &str, cluster: ClusterState) -> NodeState {
    let registered = facts.node(&h.name).is_some_and(|n| n["status"]["nodeInfo"]["kubeletVersion"].is_string());
    if !cluster.exists() || !registered {
        return NodeState::Joining;
    }
    // clusterctl itself creates the client certificate of the kubelet on a control-plane host, so this kubelet never joins again.
    match h.has(Role::ControlPlane) || identity::is_usable(inv, facts.host(&h.name), ca_pem) {
        true => NodeState::InService,
        false => NodeState::JoiningAgain,
    }
}

fn etcd_member(h: &HostEntry, inv: &Inventory, facts: &Facts, cluster: ClusterState) -> EtcdMember {
    let has_data = facts.host(&h.name).files.contains_key(layout::ETCD_MEMBER_DIR);
    match (inv.runs_etcd(h), cluster.exists()) {
        (false, _) => EtcdMember::None,
        (true, false) => EtcdMember::Founding,
        (true, true) if has_data && members::votes(h, facts) != Some(false) => EtcdMember::Joined,
        (true, true) => EtcdMember::Joining,
    }
}

/// Whether a host has joined the cluster or has begun to join. A host that answers has done so if it has the ownership mark. For a host that
/// does not answer, the member list of etcd and the nodes of the API decide. If neither is known, the host counts as joined, because an outage
/// must not lead to a plan without the host. A load balancer that does not answer always counts as joined.
pub(super) fn has_begun_to_join(h: &HostEntry, inv: &Inventory, facts: &Facts) -> bool {
    if let Some(f) = facts.hosts.get(&h.name) {
        return f.files.contains_key(layout::OWNERSHIP);
    }
    if !ClusterState::of(facts).exists() {
        return h.has(Role::ControlPlane) || h.has(Role::Etcd) || h.has(Role::LoadBalancer);
    }
    let (member, node) = (members::is_listed(h, facts) != Some(false), has_node(h, facts) != Some(false));
    h.has(Role::LoadBalancer) || (inv.runs_etcd(h) && member) || (h.is_node() && node)
}

/// Whether a host has joined completely: its etcd member is a voter, and the API lists its node.
pub(super) fn has_joined(name: &HostName, inv: &Inventory, facts: &Facts) -> bool {
    let Some(h) = inv.host(name) else { return false };
    (!inv.runs_etcd(h) || members::votes(h, facts) == Some(true)) && (!h.is_node() || has_node(h, facts) == Some(true))
}

/// Whether the removal of any of these hosts has begun. It has begun if the configuration of a load balancer does not contain the host's API
/// server any more, if clusterctl has cordoned the host's node, if etcd does not list the host's member, or if the API does not list the host's
/// node.
pub(super) fn removal_has_begun(leaving: &[HostName], inv: &Inventory, facts: &Facts) -> bool {
    let configs = [layout::HAPROXY_CONFIG, layout::NGINX_CONFIG];
    let balancers = || inv.hosts.iter().filter(|h| h.has(Role::LoadBalancer)).filter_map(|h| facts.hosts.get(&h.name));
    let left_out = |h: &HostEntry| {
        // Whole words are compared, because one address with its port can be a part of another, as `10.0.0.1:6443` is of `110.0.0.1:6443`.
        let server = layout::join_host_port(h.node_address(), layout::API_SERVER_PORT);
        let names = |config: &str| config.split([' ', ';', '\n']).any(|word| word == server);
        balancers().flat_map(|f| configs.iter().filter_map(|c| f.text(c))).any(|config| !names(config))
    };
    let cordoned = |h: &HostEntry| {
        let node = facts.node(&h.name);
        node.is_some_and(|n| facts.ledger.drained.contains(&h.name) || !n["metadata"]["annotations"][layout::CORDONED_ANNOTATION].is_null())
    };
    let unlisted = |h: &HostEntry| {
        (inv.runs_etcd(h) && members::is_listed(h, facts) == Some(false)) || (h.is_node() && has_node(h, facts) == Some(false))
    };
    let mut hosts = leaving.iter().filter_map(|name| inv.host(name));
    hosts.any(|h| (h.has(Role::ControlPlane) && left_out(h)) || cordoned(h) || unlisted(h))
}

/// Whether neither etcd nor the API lists any of these hosts. `false` also if no etcd member or no API server answered.
pub(super) fn are_removed(leaving: &[HostName], inv: &Inventory, facts: &Facts) -> bool {
    let mut hosts = leaving.iter().filter_map(|name| inv.host(name));
    hosts.all(|h| (!inv.runs_etcd(h) || members::is_listed(h, facts) == Some(false)) && (!h.is_node() || has_node(h, facts) == Some(false)))
}

/// Whether the API lists the node of this host. `None` if no API server answered.
fn has_node(h: &HostEntry, facts: &Facts) -> Option<bool> {
    Some(facts.cluster.as_ref()?.nodes.contains_key(&h.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ClusterFacts, FileFact, FileKind, HostFacts, MemberFact};

    fn inventory() -> Inventory {
        let text = "cluster: {name: c, version: v1.34.2, endpoint: \"10.0.0.9:6443\"}\nloadBalancer: {kind: haproxy}\nhosts:\n\
            - {name: m1, address: 10.0.0.1, roles: [control-plane]}\n- {name: e1, address: 10.0.0.2, roles: [etcd]}\n\
            - {name: e2, address: 10.0.0.3, roles: [etcd]}\n- {name: w1, address: 10.0.0.4, roles: [worker]}\n\
            - {name: w2, address: 10.0.0.5, roles: [worker]}\n- {name: lb1, address: 10.0.0.9, roles: [load-balancer]}\n";
        serde_yaml::from_str(text).expect("the inventory is valid")
    }

    fn folder() -> FileFact {
        FileFact { kind: FileKind::Directory, mode: 0, uid: 0, gid: 0 }
    }

    /// An existing cluster of which only m1 answers. `members` are the addresses in etcd's member list, `nodes` the names of the API's nodes;
    /// `None` if not known.
    fn standing(members: Option<&[&str]>, nodes: Option<&[&str]>) -> Facts {
        let member = |address: &&str| MemberFact {
            id: String::new(),
            name: String::new(),
            peer_urls: vec![format!("https://{address}:2380")],
            learner: false,
            leader: true,
        };
        let m1 = HostFacts {
            files: [layout::OWNERSHIP, layout::ESTABLISHED].map(|path| (path.to_string(), folder())).into(),
            members: members.map(|list| list.iter().map(member).collect()),
            ..HostFacts::default()
        };
        let node = || serde_json::json!({"status": {"nodeInfo": {"kubeletVersion": "v1.34.2"}}});
        let nodes = nodes.map(|names| names.iter().map(|n| (n.to_string(), node())).collect());
        let cluster = nodes.map(|nodes| ClusterFacts { nodes, ..ClusterFacts::default() });
        Facts { hosts: [("m1".to_string(), m1)].into(), cluster, ledger: Default::default() }
    }

    fn in_it(facts: &Facts) -> Vec<String> {
        let inv = inventory();
        inv.hosts.iter().filter(|h| has_begun_to_join(h, &inv, facts)).map(|h| h.name.clone()).collect()
    }

    fn host(name: &str, facts: &Facts) -> HostSituation {
        let inv = inventory();
        let policy = KubeletPolicy { held: [("m1".into(), inv.cluster.version.clone())].into(), ..KubeletPolicy::default() };
        Situation::of(&inv, facts, "", &policy).host(inv.host(name).expect("the host is in the inventory"))
    }

    #[test]
    fn the_mark_of_a_finished_cluster_and_the_api_decide_the_state_of_the_cluster() {
        assert_eq!(ClusterState::of(&Facts::default()), ClusterState::Founding);
        assert_eq!(ClusterState::of(&standing(None, Some(&["m1"]))), ClusterState::Standing);
        assert_eq!(ClusterState::of(&standing(Some(&["10.0.0.2"]), None)), ClusterState::WithoutApi);
        let mut unfinished = standing(None, Some(&["m1"]));
        unfinished.host_mut("m1").files.remove(layout::ESTABLISHED);
        assert_eq!(ClusterState::of(&unfinished), ClusterState::Founding, "an API server answers, but the founding has not finished");
    }

    #[test]
    fn a_registered_kubelet_is_in_service_unless_it_needs_a_new_certificate() {
        let facts = standing(None, Some(&["m1", "w1"]));
        let m1 = host("m1", &facts);
        assert_eq!((m1.node, m1.is_held, m1.runs_pods()), (NodeState::InService, true, true));
        let w1 = host("w1", &facts);
        assert_eq!((w1.node, w1.is_held, w1.runs_pods()), (NodeState::JoiningAgain, false, true), "it has no certificate");
        assert_eq!(host("w2", &facts), HostSituation::default());
        assert_eq!(host("m1", &standing(None, None)).node, NodeState::Joining, "no API server answers");
    }

    #[test]
    fn an_etcd_member_has_joined_with_its_data_and_its_vote() {
        let member = |members: Option<&[&str]>, has_data: bool| {
            let mut facts = standing(members, None);
            if has_data {
                facts.host_mut("e1").files.insert(layout::ETCD_MEMBER_DIR.into(), folder());
            }
            host("e1", &facts).etcd
        };
        assert_eq!(member(Some(&["10.0.0.2"]), true), EtcdMember::Joined);
        assert_eq!(member(Some(&["10.0.0.2"]), false), EtcdMember::Joining, "it has lost its data");
        assert_eq!(member(Some(&["10.0.0.3"]), true), EtcdMember::Joining, "etcd does not list it");
        assert_eq!(member(None, true), EtcdMember::Joined, "no member answers");
        assert_eq!(host("e1", &Facts::default()).etcd, EtcdMember::Founding);
        assert_eq!(host("m1", &standing(None, None)).etcd, EtcdMember::None);
    }

    #[test]
    fn a_removal_has_begun_once_a_balancer_no_longer_has_the_server() {
        let inv = inventory();
        let has_begun = |server: &str| {
            let mut facts = standing(Some(&["10.0.0.1"]), Some(&["m1"]));
            let config = format!("backend kube-apiserver\n    server m1 {server}\n");
            let file = FileFact { kind: FileKind::File(config.into()), mode: 0o644, uid: 0, gid: 0 };
            facts.host_mut("lb1").files.insert(layout::HAPROXY_CONFIG.into(), file);
            removal_has_begun(&["m1".into()], &inv, &facts)
        };
        assert!(!has_begun("10.0.0.1:6443"));
        assert!(has_begun("10.0.0.11:6443"), "the address of another host begins with the one of m1");
    }

    #[test]
    fn who_does_not_answer_is_judged_by_what_others_say() {
        let facts = standing(Some(&["10.0.0.2"]), Some(&["m1", "w1"]));
        assert_eq!(in_it(&facts), ["m1", "e1", "w1", "lb1"]);
    }

    #[test]
    fn an_outage_takes_nobody_out() {
        assert_eq!(in_it(&standing(None, None)), ["m1", "e1", "e2", "w1", "w2", "lb1"]);
    }
}
