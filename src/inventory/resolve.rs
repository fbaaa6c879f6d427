//! Answers questions about an inventory: which hosts have a role, and which settings apply to a host after its overrides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use super::{HostEntry, Inventory, Kubelet, LoadBalancerKind, Role, Ssh};

/// The port of the API server. It is also the port of an endpoint that the operator writes without a port.
pub const DEFAULT_ENDPOINT_PORT: u16 = 6443;

/// As the only jump host of a list, this word means that the host is reached directly, as with `ProxyJump none` of OpenSSH.
pub const NO_JUMP: &str = "none";

impl Inventory {
    /// The host with this name.
    pub fn host(&self, name: &str) -> Option<&HostEntry> {
        self.hosts.iter().find(|h| h.name == name)
    }

    /// Whether the host runs a member of etcd.
    pub fn runs_etcd(&self, host: &HostEntry) -> bool {
        self.etcd_hosts().iter().any(|e| e.name == host.name)
    }

    /// Whether the whole cluster depends on the host: it runs the control plane or a member of etcd.
    pub fn is_core(&self, host: &HostEntry) -> bool {
        host.has(Role::ControlPlane) || self.runs_etcd(host)
    }

    /// The hosts that run the control plane or a member of etcd, in the inventory's order.
    pub fn core_hosts(&self) -> impl Iterator<Item = &HostEntry> {
        self.hosts.iter().filter(|h| self.is_core(h))
    }

    /// A copy of the inventory without the hosts that have these names.
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

    /// Whether clusterctl sets up a load balancer on the host. With the kind `local`, it does so on every node without an API server.
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

    /// The hosts that run an etcd member: the hosts with the role `etcd`, or the control planes if no host has that role. Empty if etcd is
    /// external.
    pub fn etcd_hosts(&self) -> Vec<&HostEntry> {
        if self.etcd.external.is_some() {
            return Vec::new();
        }
        let own: Vec<_> = self.with_role(Role::Etcd).collect();
        if own.is_empty() { self.control_planes().collect() } else { own }
    }

    /// Whether every etcd member runs on a control-plane host. `false` if etcd is external.
    pub fn etcd_is_stacked(&self) -> bool {
        self.etcd.external.is_none() && self.etcd_hosts().iter().all(|h| h.has(Role::ControlPlane))
    }

    /// Host (an IPv6 address has no brackets) and port of the control-plane endpoint. If the inventory has no endpoint and the load balancer is
    /// `local`, the host is the loopback address. If it has no endpoint and any other load balancer, the host is the address of the first control
    /// plane.
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

    /// The SSH settings of a host: a field of the host's `ssh` overrides the same field of the inventory's `ssh`.
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

    /// The kubelet settings of a host: the host's fields and flags override those of the inventory.
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

/// The loopback address of the same address family as `like`.
pub(super) fn loopback(like: IpAddr) -> IpAddr {
    if like.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
}

/// Applies `over` to `base` as a JSON merge patch (RFC 7386): objects are merged, `null` removes a field, and any other value replaces the
/// field.
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

/// Splits `host`, `host:port`, `[ipv6]:port` or a bare IPv6 address. Without a port in the text, the port is 6443. `None` if the text has
/// another form.
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
