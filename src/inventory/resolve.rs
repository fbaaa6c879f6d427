//! Questions an inventory answers: who has which role, and what holds for one host once its overrides are laid over the defaults.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use super::{HostEntry, Inventory, Kubelet, LoadBalancerKind, Role, Ssh, Taint};

/// The API server's port, and the endpoint's where none is written.
pub const DEFAULT_ENDPOINT_PORT: u16 = 6443;

/// In place of a list of jump hosts: reach this host directly, as `ProxyJump none` of OpenSSH.
pub const NO_JUMP: &str = "none";

impl Inventory {
    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<&HostEntry> {
        self.hosts.iter().find(|h| h.name == name)
    }

    /// Whether the host runs a member of etcd.
    pub fn runs_etcd(&self, host: &HostEntry) -> bool {
        self.etcd_hosts().iter().any(|e| e.name == host.name)
    }

    /// The same cluster without these hosts.
    pub fn without(&self, names: &[String]) -> Inventory {
        let mut out = self.clone();
        out.hosts.retain(|h| !names.contains(&h.name));
        out
    }

    /// The hosts with a role, in the inventory's order.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &HostEntry> {
        self.hosts.iter().filter(move |h| h.has(role))
    }

    /// The hosts that run the control plane, in the inventory's order.
    pub fn control_planes(&self) -> impl Iterator<Item = &HostEntry> {
        self.with_role(Role::ControlPlane)
    }

    /// The load-balancer hosts, in the inventory's order.
    pub fn balancers(&self) -> impl Iterator<Item = &HostEntry> {
        self.with_role(Role::LoadBalancer)
    }

    /// Whether clusterctl sets up a balancer on the host. With `local` that is every node without an API server of its own.
    pub fn runs_balancer(&self, host: &HostEntry) -> bool {
        match self.load_balancer.kind {
            LoadBalancerKind::Haproxy | LoadBalancerKind::Nginx => host.has(Role::LoadBalancer),
            LoadBalancerKind::Local => host.is_node() && !host.has(Role::ControlPlane),
            LoadBalancerKind::External | LoadBalancerKind::None => false,
        }
    }

    /// The hosts that become Kubernetes Nodes: control planes and workers.
    pub fn nodes(&self) -> impl Iterator<Item = &HostEntry> {
        self.hosts.iter().filter(|h| h.is_node())
    }

    /// The hosts that run an etcd member: those with role `etcd`, else the control planes; none if etcd is external.
    pub fn etcd_hosts(&self) -> Vec<&HostEntry> {
        if self.etcd.external.is_some() {
            return Vec::new();
        }
        let own: Vec<_> = self.with_role(Role::Etcd).collect();
        if own.is_empty() { self.control_planes().collect() } else { own }
    }

    /// Whether every etcd member runs beside an API server.
    pub fn etcd_is_stacked(&self) -> bool {
        self.etcd.external.is_none() && self.etcd_hosts().iter().all(|h| h.has(Role::ControlPlane))
    }

    /// Control-plane endpoint: what the inventory says, else each node's own loopback address with `local` balancers, else the first
    /// control plane's address; host (IPv6 without brackets) and port.
    pub fn endpoint(&self) -> (String, u16) {
        let written = self.cluster.endpoint.as_deref().and_then(split_endpoint);
        written.unwrap_or_else(|| {
            let local = self.load_balancer.kind == LoadBalancerKind::Local;
            let first = self.control_planes().next().map(HostEntry::node_address);
            (first.map(|a| if local { loopback(a) } else { a }.to_string()).unwrap_or_default(), DEFAULT_ENDPOINT_PORT)
        })
    }

    /// The endpoint as `host:port`, IPv6 in brackets.
    pub fn endpoint_authority(&self) -> String {
        let (host, port) = self.endpoint();
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// How a host is reached: its own `ssh` over the inventory's.
    pub fn ssh_for(&self, host: &HostEntry) -> Ssh {
        let (own, all) = (&host.ssh, &self.ssh);
        let list = |own: &Vec<String>, all: &Vec<String>| if own.is_empty() { all.clone() } else { own.clone() };
        let mut jump = list(&own.jump, &all.jump);
        if jump == [NO_JUMP] {
            jump.clear();
        }
        Ssh {
            user: own.user.clone().or_else(|| all.user.clone()),
            port: own.port.or(all.port),
            identity_files: list(&own.identity_files, &all.identity_files),
            agent: own.agent.or(all.agent),
            jump,
            known_hosts: list(&own.known_hosts, &all.known_hosts),
            sudo: own.sudo.or(all.sudo),
            connect_timeout: own.connect_timeout.or(all.connect_timeout),
        }
    }

    /// The kubelet of a host: its own fields and flags over the inventory's.
    pub fn kubelet_for(&self, host: &HostEntry) -> Kubelet {
        let mut kubelet = self.kubelet.clone();
        merge(&mut kubelet.config, &host.kubelet.config);
        kubelet.extra_args.extend(host.kubelet.extra_args.clone());
        kubelet
    }
}

impl HostEntry {
    /// Whether the host has a role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether the host becomes a Kubernetes Node.
    pub fn is_node(&self) -> bool {
        self.has(Role::ControlPlane) || self.has(Role::Worker)
    }

    /// The address the cluster uses between hosts. `parse` refuses a host that has none.
    pub fn node_address(&self) -> IpAddr {
        self.private_address.or_else(|| self.address.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// The taints written for this host; without any, the role's own hold: none if the host is a worker too.
    pub fn own_taints(&self) -> Option<&[Taint]> {
        match &self.taints {
            Some(taints) => Some(taints),
            None if self.has(Role::Worker) => Some(&[]),
            None => None,
        }
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::ControlPlane, Role::Worker, Role::Etcd, Role::LoadBalancer];

    /// The role's name in an inventory.
    pub fn name(self) -> &'static str {
        match self {
            Role::ControlPlane => "control-plane",
            Role::Worker => "worker",
            Role::Etcd => "etcd",
            Role::LoadBalancer => "load-balancer",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The loopback address of the same family.
pub(super) fn loopback(like: IpAddr) -> IpAddr {
    if like.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
}

/// Lays `over` upon `base` as a JSON merge patch (RFC 7386): objects merge, `null` removes, everything else replaces.
pub fn merge(base: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (_, Value::Null) => {
                base.shift_remove(key);
            }
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            (_, Value::Object(above)) => {
                let mut fresh = Map::new();
                merge(&mut fresh, above);
                base.insert(key.clone(), Value::Object(fresh));
            }
            (_, other) => {
                base.insert(key.clone(), other.clone());
            }
        }
    }
}

/// Splits `host`, `host:port`, `[ipv6]:port` or a bare IPv6 address; the port is 6443 where none is written.
pub(super) fn split_endpoint(text: &str) -> Option<(String, u16)> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text.to_string(), DEFAULT_ENDPOINT_PORT));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<u16>().ok().filter(|p| *p > 0)?,
        Some(_) => return None,
        None => DEFAULT_ENDPOINT_PORT,
    };
    if host.is_empty() { None } else { Some((host.to_string(), port)) }
}
