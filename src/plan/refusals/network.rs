//! The connections between hosts that a cluster needs, and the refusals for those that are not possible.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Refusal, listed};
use crate::facts::Facts;
use crate::facts::reach::{Question, REFUSED, Reached};
use crate::host::HostName;
use crate::inventory::{CniKind, HostEntry, Inventory, Role};
use crate::layout;

/// How many hosts a message names; of more it gives the number.
const NAMED: usize = 5;

/// A connection that the cluster needs.
struct Connection<'a> {
    from: &'a HostEntry,
    to: &'a HostEntry,
    port: u16,
    /// What listens on the port, for messages.
    what: &'static str,
}

/// The questions to the hosts: each host tries all connections that the cluster needs, if one of its two hosts is not in the cluster yet. A host that
/// is in the cluster does not listen for the check, because its own components need the ports. `changed` are the hosts that the plan changes. Empty if
/// all of them are in the cluster already.
pub fn questions(inv: &Inventory, facts: &Facts, changed: &BTreeSet<HostName>) -> BTreeMap<HostName, Question> {
    let is_new = |h: &&HostEntry| changed.contains(&h.name) && has_no_cluster(facts, h);
    let new_hosts: BTreeSet<&str> = inv.hosts.iter().filter(is_new).map(|h| h.name.as_str()).collect();
    let mut out: BTreeMap<HostName, Question> = BTreeMap::new();
    // A large cluster has many pairs of hosts, and most runs add no host.
    if new_hosts.is_empty() {
        return out;
    }
    let new = |h: &HostEntry| new_hosts.contains(h.name.as_str());
    for c in connections(inv, facts).filter(|c| new(c.from) || new(c.to)) {
        out.entry(c.from.name.clone()).or_default().connect.insert((c.to.node_address(), c.port));
        let held = facts.host(&c.to.name).listeners.iter().any(|l| l.port == c.port);
        if new(c.to) && !held {
            out.entry(c.to.name.clone()).or_default().listen.insert(c.port);
        }
    }
    if inv.network.cni.kind == CniKind::Bridge {
        for (from, to) in pairs(inv, facts).filter(|(from, to)| from.is_node() && to.is_node() && (new(from) || new(to))) {
            out.entry(from.name.clone()).or_default().beside.insert(to.node_address());
        }
    }
    out
}

/// Whether the host answers and has no mark of a cluster.
fn has_no_cluster(facts: &Facts, host: &HostEntry) -> bool {
    facts.hosts.get(&host.name).is_some_and(|f| !f.files.contains_key(layout::OWNERSHIP))
}

/// All pairs of different hosts that answer.
fn pairs<'a>(inv: &'a Inventory, facts: &'a Facts) -> impl Iterator<Item = (&'a HostEntry, &'a HostEntry)> {
    let answers = |h: &&HostEntry| facts.hosts.contains_key(&h.name);
    let all = move || inv.hosts.iter().filter(answers);
    all().flat_map(move |from| all().filter(move |to| to.name != from.name).map(move |to| (from, to)))
}

/// All connections that the cluster needs between hosts that answer.
fn connections<'a>(inv: &'a Inventory, facts: &'a Facts) -> impl Iterator<Item = Connection<'a>> {
    pairs(inv, facts).flat_map(|(from, to)| {
        let plane = |h: &HostEntry| h.has(Role::ControlPlane);
        let mut ports = Vec::new();
        // Pods on every node use the addresses of the API servers, and so do the load balancers.
        if plane(to) && (from.is_node() || from.has(Role::LoadBalancer)) {
            ports.push((layout::API_SERVER_PORT, "the API server"));
        }
        if to.has(Role::LoadBalancer) && inv.runs_balancer(to) && from.is_node() {
            ports.push((inv.endpoint().1, "the load balancer"));
        }
        if inv.runs_etcd(to) && (plane(from) || inv.runs_etcd(from)) {
            ports.push((layout::ETCD_CLIENT_PORT, "etcd"));
        }
        if inv.runs_etcd(to) && inv.runs_etcd(from) {
            ports.push((layout::ETCD_PEER_PORT, "etcd"));
        }
        if to.is_node() && plane(from) {
            ports.push((layout::KUBELET_PORT, "the kubelet"));
        }
        ports.into_iter().map(move |(port, what)| Connection { from, to, port, what })
    })
}

/// The refusals for connections that the cluster needs and that are not possible. `answers` are the hosts' answers to [`questions`].
pub fn refusals(inv: &Inventory, facts: &Facts, answers: &BTreeMap<HostName, Reached>) -> Vec<Refusal> {
    let mut blocked: BTreeMap<(&str, u16, &str), Vec<Connection<'_>>> = BTreeMap::new();
    for c in connections(inv, facts) {
        let Some(why) = answers.get(&c.from.name).and_then(|a| a.blocked.get(&(c.to.node_address(), c.port))) else { continue };
        // Where nothing listens, a refused connection shows that packets arrive.
        let listened = answers.get(&c.to.name).is_some_and(|a| a.listens.contains(&c.port));
        if why != REFUSED || listened {
            blocked.entry((&c.to.name, c.port, why)).or_default().push(c);
        }
    }
    let none = Reached::default();
    let mut out: Vec<Refusal> = blocked
        .into_iter()
        .map(|((to, port, why), connections)| {
            let to_host = answers.get(to).unwrap_or(&none);
            let from: Vec<&HostEntry> = connections.iter().map(|c| c.from).collect();
            let what = connections.first().map_or("", |c| c.what);
            let rules = if to_host.rules.is_empty() { String::new() } else { format!("; it has the rules: {}", to_host.rules.join("; ")) };
            let message = format!("{} cannot connect to its port {port}, which {what} needs ({why}){rules}", names(&from));
            Refusal::new(to, "network", message, opening(to, to_host, &from, port))
        })
        .collect();
    for (from, answer) in answers {
        let Some(gateway) = answer.routed.values().next() else { continue };
        let to: Vec<&HostEntry> = inv.hosts.iter().filter(|h| answer.routed.contains_key(&h.node_address())).collect();
        let message = format!(
            "it reaches {} only through the gateway {gateway}, and with the CNI `bridge` nodes send packets of pods to each other directly",
            names(&to)
        );
        let fix =
            "put all nodes into one layer-2 network, or set `network.cni.kind: none` and use a CNI with an overlay or a routing protocol";
        out.push(Refusal::new(from, "layer-2", message, fix));
    }
    out
}

/// What lets these hosts connect to a port of the host `to`.
fn opening(to: &str, reach: &Reached, from: &[&HostEntry], port: u16) -> String {
    let addresses: Vec<IpAddr> = from.iter().map(|h| h.node_address()).collect();
    let each = |rule: &dyn Fn(IpAddr) -> String| addresses.iter().map(|a| format!("`{}`", rule(*a))).collect::<Vec<_>>().join(", ");
    match reach.firewalls.first().map(String::as_str) {
        Some("firewalld") => format!("on {to}: `firewall-cmd --permanent --add-port={port}/tcp && firewall-cmd --reload`"),
        Some("ufw") => format!("on {to}: {}", each(&|a| format!("ufw allow proto tcp from {a} to any port {port}"))),
        _ => {
            let tool = |a: IpAddr| if a.is_ipv6() { "ip6tables" } else { "iptables" };
            let rules = each(&|a| format!("{} -I INPUT -s {a} -p tcp --dport {port} -j ACCEPT", tool(a)));
            format!("on {to}: {rules}, and keep it over a reboot; or open the port in the firewall between the hosts")
        }
    }
}

fn names(hosts: &[&HostEntry]) -> String {
    let names: Vec<&str> = hosts.iter().map(|h| h.name.as_str()).collect();
    listed(&names, NAMED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::reach::parse;
    use crate::facts::{FileFact, FileKind, Listener};
    use crate::inventory;

    fn inventory() -> Inventory {
        let text = "
cluster: {name: prod, version: v1.36.2, endpoint: \"192.0.2.31:8443\"}
loadBalancer: {kind: haproxy}
hosts:
- {name: m1, address: 192.0.2.11, roles: [control-plane]}
- {name: m2, address: 192.0.2.12, roles: [control-plane]}
- {name: m3, address: 192.0.2.13, roles: [control-plane]}
- {name: w1, address: 192.0.2.21, roles: [worker]}
- {name: lb1, address: 192.0.2.31, roles: [load-balancer]}
";
        inventory::parse(text, "prod.yaml", &|_| Ok(())).expect("it is valid").inventory
    }

    /// Facts of all hosts that answer; those in `members` are in the cluster.
    fn facts(answer: &[&str], members: &[&str]) -> Facts {
        let mut facts = Facts::default();
        for host in answer {
            facts.host_mut(host);
        }
        let mark = || FileFact { kind: FileKind::File("cluster: prod\n".into()), mode: 0o600, uid: 0, gid: 0 };
        members.iter().for_each(|h| drop(facts.host_mut(h).files.insert(layout::OWNERSHIP.into(), mark())));
        facts
    }

    const ALL: [&str; 5] = ["m1", "m2", "m3", "w1", "lb1"];

    /// The questions, each as the ports on which the host listens, the last number of the address and the port of each connection, and the number of
    /// nodes that should be in the same network.
    fn asked(facts: &Facts) -> Vec<String> {
        let changed = ALL.map(String::from).into();
        let shown = |(host, q): (HostName, Question)| {
            let connect: Vec<String> =
                q.connect.iter().map(|(a, p)| format!("{}:{p}", a.to_string().trim_start_matches("192.0.2."))).collect();
            format!("{host} listens {:?}, connects {}, beside {}", q.listen.iter().collect::<Vec<_>>(), connect.join(" "), q.beside.len())
        };
        questions(&inventory(), facts, &changed).into_iter().map(shown).collect()
    }

    #[test]
    fn all_hosts_of_a_new_cluster_try_each_connection() {
        assert_eq!(
            asked(&facts(&ALL, &[])),
            [
                "lb1 listens [8443], connects 11:6443 12:6443 13:6443, beside 0",
                "m1 listens [2379, 2380, 6443, 10250], connects 12:2379 12:2380 12:6443 12:10250 13:2379 13:2380 13:6443 13:10250 21:10250 31:8443, beside 3",
                "m2 listens [2379, 2380, 6443, 10250], connects 11:2379 11:2380 11:6443 11:10250 13:2379 13:2380 13:6443 13:10250 21:10250 31:8443, beside 3",
                "m3 listens [2379, 2380, 6443, 10250], connects 11:2379 11:2380 11:6443 11:10250 12:2379 12:2380 12:6443 12:10250 21:10250 31:8443, beside 3",
                "w1 listens [10250], connects 11:6443 12:6443 13:6443 31:8443, beside 3",
            ]
        );
    }

    #[test]
    fn only_connections_of_a_new_host_are_tried_and_members_do_not_listen() {
        let members = ["m1", "m2", "m3", "lb1"];
        assert_eq!(
            asked(&facts(&ALL, &members)),
            [
                "m1 listens [], connects 21:10250, beside 1",
                "m2 listens [], connects 21:10250, beside 1",
                "m3 listens [], connects 21:10250, beside 1",
                "w1 listens [10250], connects 11:6443 12:6443 13:6443 31:8443, beside 3",
            ]
        );
        assert_eq!(asked(&facts(&ALL, &ALL)), [""; 0], "no host is new");
    }

    #[test]
    fn a_host_that_does_not_answer_is_left_out_and_a_port_that_is_held_is_not_listened_on() {
        let mut some = facts(&["m1", "w1"], &[]);
        some.host_mut("w1").listeners.push(Listener { port: 10250, process: "kubelet".into() });
        assert_eq!(asked(&some), ["m1 listens [6443], connects 21:10250, beside 1", "w1 listens [], connects 11:6443, beside 1"]);
    }

    /// The refusals for these answers, each with its fix.
    fn refused(answers: &[(&str, &str)]) -> Vec<String> {
        let answers = answers.iter().map(|(host, text)| (host.to_string(), parse(text))).collect();
        let found = refusals(&inventory(), &facts(&ALL, &[]), &answers);
        found.into_iter().map(|b| format!("{} [{}] {} -> {}", b.host, b.name, b.message, b.fix)).collect()
    }

    #[test]
    fn a_blocked_port_is_named_with_its_hosts_and_what_opens_it() {
        let two = [
            ("m1", "listens 6443\nfirewall ufw\nrule -A INPUT -j DROP\n"),
            ("m2", "blocked 192.0.2.11 6443 no answer within 5 s\n"),
            ("w1", "blocked 192.0.2.11 6443 no answer within 5 s\n"),
        ];
        assert_eq!(
            refused(&two),
            [
                "m1 [network] m2, w1 cannot connect to its port 6443, which the API server needs (no answer within 5 s); it has the rules: -A INPUT -j DROP \
              -> on m1: `ufw allow proto tcp from 192.0.2.12 to any port 6443`, `ufw allow proto tcp from 192.0.2.21 to any port 6443`"
            ]
        );
        let one = refused(&[("m1", "blocked 192.0.2.21 10250 No route to host\n"), ("w1", "firewall firewalld\n")]);
        assert!(one[0].ends_with("-> on w1: `firewall-cmd --permanent --add-port=10250/tcp && firewall-cmd --reload`"), "{one:?}");
        let one = refused(&[("m1", "blocked 192.0.2.21 10250 No route to host\n")]);
        assert!(one[0].contains("`iptables -I INPUT -s 192.0.2.11 -p tcp --dport 10250 -j ACCEPT`"), "{one:?}");
    }

    #[test]
    fn a_refused_connection_counts_only_where_the_host_listened() {
        let blocked = ("w1", "blocked 192.0.2.11 6443 refused\n");
        assert_eq!(refused(&[blocked, ("m1", "ready\n")]), [""; 0], "m1 has no program that listens");
        assert_eq!(refused(&[blocked, ("m1", "listens 6443\nready\n")]).len(), 1);
    }

    #[test]
    fn nodes_behind_a_gateway_are_refused_for_the_bridge() {
        let found = refused(&[("m1", "routed 192.0.2.21 192.0.2.1\nrouted 192.0.2.13 192.0.2.1\n")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("m1 [layer-2] it reaches m3, w1 only through the gateway 192.0.2.1"), "{found:?}");
    }
}
