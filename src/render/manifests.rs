//! The control plane's static pods.

use std::net::IpAddr;

use serde::Serialize;

use super::args::{Flags, command, flags};
use super::volumes::{self, Volume};
use super::{Component, Ctx, Node, image, templates};
use crate::inventory::LeaderElection;
use crate::layout::{self, join_host_port};

/// The static pod of etcd. `initial_cluster` has the host name and the address of every member that the cluster will have. `existing` is true if
/// the member joins a running cluster.
pub fn etcd(ctx: &Ctx<'_>, node: &Node<'_>, initial_cluster: &[(String, IpAddr)], existing: bool) -> String {
    let client = format!("https://{}", join_host_port(node.address, layout::ETCD_CLIENT_PORT));
    let shape = ctx.v.etcd(ctx.inv.etcd.image_tag.as_deref());
    let base = etcd_flags(ctx, node, initial_cluster, existing);
    let mut requests = vec![("cpu", "100m"), ("memory", "100Mi")];
    if shape.ephemeral_storage {
        requests.insert(1, ("ephemeral-storage", "100Mi"));
    }
    let certs = format!("{}/etcd", layout::PKI_DIR);
    StaticPod {
        name: "etcd",
        annotations: vec![("kubeadm.kubernetes.io/etcd.advertise-client-urls", client)],
        args: command(base, &ctx.inv.etcd.extra_args, ctx.v.config_api),
        image: image(ctx, Component::Etcd),
        probe: Probe {
            scheme: "HTTP",
            ..Probe::new(ctx, "127.0.0.1".into(), layout::ETCD_METRICS_PORT, shape.liveness, shape.readiness, shape.startup)
        },
        requests,
        volumes: vec![Volume::writable("etcd-data", layout::ETCD_DATA_DIR), Volume::writable("etcd-certs", &certs)],
        ..StaticPod::new(ctx)
    }
    .render()
}

/// The flags of etcd that clusterctl sets, without those of the operator.
pub(super) fn etcd_flags(ctx: &Ctx<'_>, node: &Node<'_>, initial_cluster: &[(String, IpAddr)], existing: bool) -> Flags {
    let client = format!("https://{}", join_host_port(node.address, layout::ETCD_CLIENT_PORT));
    let peer_of = |address: IpAddr| format!("https://{}", join_host_port(address, layout::ETCD_PEER_PORT));
    let peer = peer_of(node.address);
    let members: Vec<String> = initial_cluster.iter().map(|(name, address)| format!("{name}={}", peer_of(*address))).collect();
    let [crt, key, peer_crt, peer_key, ca] =
        ["server.crt", "server.key", "peer.crt", "peer.key", "ca.crt"].map(|file| format!("{}/etcd/{file}", layout::PKI_DIR));
    let shape = ctx.v.etcd(ctx.inv.etcd.image_tag.as_deref());
    let mut base = flags([
        ("name", node.entry.name.clone()),
        ("data-dir", layout::ETCD_DATA_DIR.into()),
        ("listen-client-urls", format!("https://127.0.0.1:{},{client}", layout::ETCD_CLIENT_PORT)),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer.clone()),
        ("initial-advertise-peer-urls", peer),
        ("initial-cluster", members.join(",")),
        ("cert-file", crt),
        ("key-file", key),
        ("trusted-ca-file", ca.clone()),
        ("client-cert-auth", "true".into()),
        ("peer-cert-file", peer_crt),
        ("peer-key-file", peer_key),
        ("peer-trusted-ca-file", ca),
        ("peer-client-cert-auth", "true".into()),
        ("snapshot-count", "10000".into()),
        ("listen-metrics-urls", format!("http://127.0.0.1:{}", layout::ETCD_METRICS_PORT)),
    ]);
    base.extend(flags(shape.flags.iter().copied()));
    if existing {
        base.insert("initial-cluster-state".into(), "existing".into());
    }
    base
}

/// The static pod of kube-apiserver, which connects to these etcd URLs.
pub fn kube_apiserver(ctx: &Ctx<'_>, node: &Node<'_>, etcd_endpoints: &[String]) -> String {
    let pki = |file: &str| format!("{}/{file}", layout::PKI_DIR);
    let network = &ctx.inv.network;
    let mut base = flags([
        ("advertise-address", node.address.to_string()),
        ("allow-privileged", "true".into()),
        ("authorization-mode", "Node,RBAC".into()),
        ("client-ca-file", pki("ca.crt")),
        ("enable-admission-plugins", "NodeRestriction".into()),
        ("enable-bootstrap-token-auth", "true".into()),
        ("etcd-cafile", pki("etcd/ca.crt")),
        ("etcd-certfile", pki("apiserver-etcd-client.crt")),
        ("etcd-keyfile", pki("apiserver-etcd-client.key")),
        ("etcd-servers", etcd_endpoints.join(",")),
        ("kubelet-client-certificate", pki("apiserver-kubelet-client.crt")),
        ("kubelet-client-key", pki("apiserver-kubelet-client.key")),
        ("kubelet-preferred-address-types", "InternalIP,ExternalIP,Hostname".into()),
        ("proxy-client-cert-file", pki("front-proxy-client.crt")),
        ("proxy-client-key-file", pki("front-proxy-client.key")),
        ("requestheader-allowed-names", "front-proxy-client".into()),
        ("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
        ("requestheader-extra-headers-prefix", "X-Remote-Extra-".into()),
        ("requestheader-group-headers", "X-Remote-Group".into()),
        ("requestheader-username-headers", "X-Remote-User".into()),
        ("secure-port", layout::API_SERVER_PORT.to_string()),
        ("service-account-issuer", format!("https://kubernetes.default.svc.{}", network.dns_domain)),
        ("service-account-key-file", pki("sa.pub")),
        ("service-account-signing-key-file", pki("sa.key")),
        ("service-cluster-ip-range", network.service_cidr.to_string()),
        ("tls-cert-file", pki("apiserver.crt")),
        ("tls-private-key-file", pki("apiserver.key")),
    ]);
    let extra = &ctx.inv.control_plane.api_server.extra_args;
    if extra.contains_key("authorization-config") {
        base.remove("authorization-mode");
    }
    if ctx.v.pods.insecure_port_flags {
        base.insert("insecure-port".into(), "0".into());
    }
    let endpoint = join_host_port(node.address, layout::API_SERVER_PORT);
    let mut volumes = vec![Volume::read("k8s-certs", layout::PKI_DIR)];
    volumes.extend(ca_volumes(node));
    if let Some(file) = node.encryption {
        base.insert("encryption-provider-config".into(), file.into());
        volumes.push(Volume::read(layout::ENCRYPTION_VOLUME, layout::ENCRYPTION_DIR));
    }
    let (host, port) = (node.address.to_string(), layout::API_SERVER_PORT);
    StaticPod {
        name: "kube-apiserver",
        annotations: vec![("kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint", endpoint)],
        args: command(base, extra, ctx.v.config_api),
        image: image(ctx, Component::ApiServer),
        probe: Probe::new(ctx, host, port, "/livez", Some("/readyz"), "/livez"),
        requests: vec![("cpu", "250m")],
        volumes: volumes::all(volumes, &ctx.inv.control_plane.api_server.extra_volumes, ctx.files),
        ..StaticPod::new(ctx)
    }
    .render()
}

/// The static pod of kube-controller-manager.
pub fn kube_controller_manager(ctx: &Ctx<'_>, node: &Node<'_>) -> String {
    let pki = |file: &str| format!("{}/{file}", layout::PKI_DIR);
    let signing = |file: &str| if ctx.external_ca { String::new() } else { pki(file) };
    let network = &ctx.inv.network;
    let mut base = component_flags(ctx, layout::CONTROLLER_MANAGER_CONF);
    base.extend(flags([
        ("allocate-node-cidrs", "true".to_owned()),
        ("client-ca-file", pki("ca.crt")),
        ("cluster-cidr", network.pod_cidr.to_string()),
        ("cluster-name", ctx.inv.cluster.name.clone()),
        ("cluster-signing-cert-file", signing("ca.crt")),
        ("cluster-signing-key-file", signing("ca.key")),
        ("controllers", "*,bootstrapsigner,tokencleaner".into()),
        ("requestheader-client-ca-file", pki("front-proxy-ca.crt")),
        ("root-ca-file", pki("ca.crt")),
        ("service-account-private-key-file", pki("sa.key")),
        ("service-cluster-ip-range", network.service_cidr.to_string()),
        ("use-service-account-credentials", "true".into()),
    ]));
    let mut volumes = vec![Volume::read("k8s-certs", layout::PKI_DIR), Volume::file("kubeconfig", layout::CONTROLLER_MANAGER_CONF)];
    volumes.extend(ca_volumes(node));
    if ctx.v.pods.flexvolume {
        volumes.push(Volume::writable("flexvolume-dir", layout::FLEXVOLUME_DIR));
    }
    StaticPod {
        name: "kube-controller-manager",
        args: command(base, &controller_manager_args(ctx), ctx.v.config_api),
        image: image(ctx, Component::ControllerManager),
        probe: Probe::new(ctx, "127.0.0.1".into(), layout::CONTROLLER_MANAGER_PORT, "/healthz", None, "/healthz"),
        requests: vec![("cpu", "200m")],
        volumes: volumes::all(volumes, &ctx.inv.control_plane.controller_manager.extra_volumes, ctx.files),
        ..StaticPod::new(ctx)
    }
    .render()
}

/// The static pod of kube-scheduler.
pub fn kube_scheduler(ctx: &Ctx<'_>, _node: &Node<'_>) -> String {
    let (live, ready) = if ctx.v.pods.scheduler_readyz { ("/livez", Some("/readyz")) } else { ("/healthz", None) };
    StaticPod {
        name: "kube-scheduler",
        args: command(component_flags(ctx, layout::SCHEDULER_CONF), &scheduler_args(ctx), ctx.v.config_api),
        image: image(ctx, Component::Scheduler),
        probe: Probe::new(ctx, "127.0.0.1".into(), layout::SCHEDULER_PORT, live, ready, live),
        requests: vec![("cpu", "100m")],
        volumes: volumes::all(
            vec![Volume::file("kubeconfig", layout::SCHEDULER_CONF)],
            &ctx.inv.control_plane.scheduler.extra_volumes,
            ctx.files,
        ),
        ..StaticPod::new(ctx)
    }
    .render()
}

/// The flags of the controller manager in addition to kubeadm's own: those for settings that differ from their defaults, and the operator's
/// flags.
pub(super) fn controller_manager_args(ctx: &Ctx<'_>) -> Flags {
    let network = &ctx.inv.network;
    let default_mask = if network.pod_cidr.addr().is_ipv4() { 24 } else { 64 };
    let mut extra = election_args(&ctx.inv.control_plane.leader_election);
    if network.node_cidr_mask != default_mask {
        extra.insert("node-cidr-mask-size".into(), network.node_cidr_mask.to_string());
    }
    extra.extend(ctx.inv.control_plane.controller_manager.extra_args.clone());
    extra
}

/// The flags of the scheduler in addition to kubeadm's own, like those of [`controller_manager_args`].
pub(super) fn scheduler_args(ctx: &Ctx<'_>) -> Flags {
    let mut extra = election_args(&ctx.inv.control_plane.leader_election);
    extra.extend(ctx.inv.control_plane.scheduler.extra_args.clone());
    extra
}

/// The flags for the timings of the leader election. Empty if the timings are the defaults of Kubernetes.
fn election_args(election: &LeaderElection) -> Flags {
    if *election == LeaderElection::default() {
        return Flags::new();
    }
    let show = |d: std::time::Duration| format!("{}ms", d.as_millis());
    flags([
        ("leader-elect-lease-duration", show(election.lease_duration)),
        ("leader-elect-renew-deadline", show(election.renew_deadline)),
        ("leader-elect-retry-period", show(election.retry_period)),
    ])
}

/// The flags that the controller manager and the scheduler have in common.
fn component_flags(ctx: &Ctx<'_>, kubeconfig: &str) -> Flags {
    let mut base = flags([
        ("authentication-kubeconfig", kubeconfig),
        ("authorization-kubeconfig", kubeconfig),
        ("bind-address", "127.0.0.1"),
        ("kubeconfig", kubeconfig),
        ("leader-elect", "true"),
    ]);
    if ctx.v.pods.insecure_port_flags {
        base.insert("port".into(), "0".into());
    }
    base
}

/// The volumes with the host's trusted certificates. Those of `ca_dirs` are named after their paths.
fn ca_volumes(node: &Node<'_>) -> Vec<Volume> {
    let named = node.ca_dirs.iter().map(|dir| Volume::read(&dir[1..].replace('/', "-"), dir));
    std::iter::once(Volume::read("ca-certs", layout::SSL_CERTS_DIR)).chain(named).collect()
}

#[derive(Serialize)]
struct StaticPod {
    name: &'static str,
    annotations: Vec<(&'static str, String)>,
    args: Vec<String>,
    image: String,
    probe: Probe,
    requests: Vec<(&'static str, &'static str)>,
    /// The volumes in the order in which they are mounted.
    volumes: Vec<Volume>,
    priority: bool,
    seccomp: bool,
}

impl StaticPod {
    fn new(ctx: &Ctx<'_>) -> Self {
        StaticPod {
            name: "",
            annotations: Vec::new(),
            args: Vec::new(),
            image: String::new(),
            probe: Probe::new(ctx, String::new(), 0, "", None, ""),
            requests: Vec::new(),
            volumes: Vec::new(),
            priority: ctx.v.pods.priority,
            seccomp: ctx.v.pods.seccomp,
        }
    }

    fn render(self) -> String {
        templates::fill("manifests/static-pod.yaml", self)
    }
}

#[derive(Serialize)]
struct Probe {
    host: String,
    scheme: &'static str,
    number: u16,
    /// The port in the probes: its number, or its name if `named` is true.
    port: String,
    named: bool,
    liveness: &'static str,
    readiness: Option<&'static str>,
    startup: &'static str,
}

impl Probe {
    fn new(
        ctx: &Ctx<'_>,
        host: String,
        number: u16,
        liveness: &'static str,
        readiness: Option<&'static str>,
        startup: &'static str,
    ) -> Self {
        let named = ctx.v.pods.named_ports;
        let port = if named { "probe-port".into() } else { number.to_string() };
        Probe { host, scheme: "HTTPS", number, port, named, liveness, readiness, startup }
    }
}
