//! The etcd member of a host: its URLs, and its entry in etcd's member list.

use crate::facts::Facts;
use crate::inventory::HostEntry;
use crate::layout;

/// The peer URL of a host's etcd member.
pub fn peer_url(h: &HostEntry) -> String {
    format!("https://{}", layout::join_host_port(h.node_address(), layout::ETCD_PEER_PORT))
}

/// The client URL of a host's etcd member.
pub fn client_url(h: &HostEntry) -> String {
    format!("https://{}", layout::join_host_port(h.node_address(), layout::ETCD_CLIENT_PORT))
}

/// Whether etcd lists a member on this host. `None` if no member answered.
pub fn is_listed(h: &HostEntry, facts: &Facts) -> Option<bool> {
    Some(facts.members()?.iter().any(|m| m.peer_urls.contains(&peer_url(h))))
}

/// Whether etcd lists a member on this host that votes. `None` if no member answered.
pub fn votes(h: &HostEntry, facts: &Facts) -> Option<bool> {
    Some(facts.members()?.iter().any(|m| !m.learner && m.peer_urls.contains(&peer_url(h))))
}
