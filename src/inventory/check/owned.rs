//! Flags and configuration fields that clusterctl sets itself, so that `extraArgs` and `config` must not contain them, each with the reason. If the
//! operator can choose the value in another field of the inventory, the reason names that field.
//!
//! Such flags and fields are of two kinds. A value that follows from another field of the inventory can be set in that field only, so that two fields
//! can never contradict each other. A value on which the identity of the cluster or clusterctl's own checks depend (certificates, ports, static pods)
//! cannot be changed at all.

/// Names of flags or fields, each with the reason why the operator cannot set it.
pub(super) type Owned = &'static [(&'static str, &'static str)];

const PKI: &str = "the certificates are laid out as kubeadm does; bring your own with `pki.existing`";
const PORT: &str = "other components and the health checks expect the standard port";
const ELECTION: &str = "use `controlPlane.leaderElection`";
const ALWAYS_ELECTED: &str = "every control plane runs one, and only the elected one may act";
const MEMBERS: &str = "it follows from the hosts of the inventory";
const KUBECONFIG: &str = "the kubeconfig is laid out as kubeadm does";
const ETCD_SERVERS: &str = "it follows from the hosts, or from `etcd.external`";
const SERVICE_CIDR: &str = "use `network.serviceCidr`";
const POD_CIDR: &str = "use `network.podCidr`";
const NODE_MASK: &str = "use `network.nodeCidrMask`";
const OWN_PROCESSES: &str =
    "a host tells its own control plane's processes from others by the standard log folder and cgroup of their pods";
const AGGREGATION: &str = "the aggregation layer's certificates are laid out as kubeadm does";

pub(super) const API_SERVER: Owned = &[
    ("advertise-address", "use the host's `privateAddress`"),
    ("client-ca-file", PKI),
    ("enable-bootstrap-token-auth", "nodes join with bootstrap tokens"),
    ("etcd-cafile", ETCD_SERVERS),
    ("etcd-certfile", ETCD_SERVERS),
    ("etcd-keyfile", ETCD_SERVERS),
    ("etcd-servers", ETCD_SERVERS),
    ("insecure-port", "the API is served with TLS only"),
    ("kubelet-client-certificate", PKI),
    ("kubelet-client-key", PKI),
    ("proxy-client-cert-file", AGGREGATION),
    ("proxy-client-key-file", AGGREGATION),
    ("requestheader-allowed-names", AGGREGATION),
    ("requestheader-client-ca-file", AGGREGATION),
    ("requestheader-extra-headers-prefix", AGGREGATION),
    ("requestheader-group-headers", AGGREGATION),
    ("requestheader-username-headers", AGGREGATION),
    ("secure-port", "the load balancer goes to the standard port; clients use the port of `cluster.endpoint`"),
    ("service-account-key-file", "every control plane must check tokens with the same key; bring yours with `pki.existing`"),
    ("service-account-signing-key-file", "every control plane must sign tokens with the same key; bring yours with `pki.existing`"),
    ("service-cluster-ip-range", SERVICE_CIDR),
    ("tls-cert-file", PKI),
    ("tls-private-key-file", PKI),
];

pub(super) const CONTROLLER_MANAGER: Owned = &[
    ("allocate-node-cidrs", POD_CIDR),
    ("authentication-kubeconfig", KUBECONFIG),
    ("authorization-kubeconfig", KUBECONFIG),
    ("client-ca-file", PKI),
    ("cluster-cidr", POD_CIDR),
    ("cluster-name", "use `cluster.name`"),
    ("cluster-signing-cert-file", PKI),
    ("cluster-signing-key-file", PKI),
    ("kubeconfig", KUBECONFIG),
    ("leader-elect", ALWAYS_ELECTED),
    ("leader-elect-lease-duration", ELECTION),
    ("leader-elect-renew-deadline", ELECTION),
    ("leader-elect-retry-period", ELECTION),
    ("node-cidr-mask-size", NODE_MASK),
    ("node-cidr-mask-size-ipv4", NODE_MASK),
    ("node-cidr-mask-size-ipv6", NODE_MASK),
    ("port", PORT),
    ("requestheader-client-ca-file", AGGREGATION),
    ("root-ca-file", PKI),
    ("secure-port", PORT),
    ("service-account-private-key-file", "tokens must be signed with the key the API server checks; bring yours with `pki.existing`"),
    ("service-cluster-ip-range", SERVICE_CIDR),
];

pub(super) const SCHEDULER: Owned = &[
    ("authentication-kubeconfig", KUBECONFIG),
    ("authorization-kubeconfig", KUBECONFIG),
    ("kubeconfig", KUBECONFIG),
    ("leader-elect", ALWAYS_ELECTED),
    ("leader-elect-lease-duration", ELECTION),
    ("leader-elect-renew-deadline", ELECTION),
    ("leader-elect-retry-period", ELECTION),
    ("port", PORT),
    ("secure-port", PORT),
];

pub(super) const ETCD: Owned = &[
    ("advertise-client-urls", MEMBERS),
    ("cert-file", PKI),
    ("client-cert-auth", "etcd is spoken to with certificates only"),
    ("data-dir", "snapshots and restores expect the standard folder"),
    ("force-new-cluster", "it throws the other members away; use `etcd restore`"),
    ("initial-advertise-peer-urls", MEMBERS),
    ("initial-cluster", MEMBERS),
    ("initial-cluster-state", MEMBERS),
    ("initial-cluster-token", MEMBERS),
    ("key-file", PKI),
    ("listen-client-urls", MEMBERS),
    ("listen-metrics-urls", PORT),
    ("listen-peer-urls", MEMBERS),
    ("name", "a member has its host's name"),
    ("peer-cert-file", PKI),
    ("peer-client-cert-auth", "members speak to each other with certificates only"),
    ("peer-key-file", PKI),
    ("peer-trusted-ca-file", PKI),
    ("trusted-ca-file", PKI),
];

pub(super) const KUBELET: Owned = &[
    ("bootstrap-kubeconfig", KUBECONFIG),
    ("cert-dir", PKI),
    ("cgroup-driver", "use `containerd.cgroupDriver`"),
    ("cgroups-per-qos", OWN_PROCESSES),
    ("client-ca-file", PKI),
    ("cluster-domain", "use `network.dnsDomain`"),
    ("config", "use `kubelet.config`"),
    ("container-runtime", "the runtime is containerd"),
    ("container-runtime-endpoint", "the runtime is containerd"),
    ("healthz-bind-address", PORT),
    ("healthz-port", PORT),
    ("hostname-override", "a node has its host's `name`"),
    ("kubeconfig", KUBECONFIG),
    ("node-ip", "use the host's `privateAddress`"),
    ("node-labels", "use the host's `labels`"),
    ("pod-manifest-path", "the control plane's static pods are in the standard folder"),
    ("port", PORT),
    ("register-with-taints", "use the host's `taints`"),
];

pub(super) const KUBELET_CONFIG: Owned = &[
    ("apiVersion", "only fields are merged"),
    ("authentication.x509.clientCAFile", PKI),
    ("cgroupDriver", "use `containerd.cgroupDriver`"),
    ("cgroupsPerQOS", OWN_PROCESSES),
    ("clusterDomain", "use `network.dnsDomain`"),
    ("containerRuntimeEndpoint", "the runtime is containerd"),
    ("healthzBindAddress", PORT),
    ("healthzPort", PORT),
    ("kind", "only fields are merged"),
    ("podCIDR", POD_CIDR),
    ("podLogsDir", OWN_PROCESSES),
    ("port", PORT),
    ("registerWithTaints", "use the host's `taints`"),
    ("rotateCertificates", "the kubelet's client certificate must renew itself"),
    ("staticPodPath", "the control plane's static pods are in the standard folder"),
    ("staticPodURL", "the control plane's static pods are in the standard folder"),
];

pub(super) const KUBE_PROXY_CONFIG: Owned = &[
    ("apiVersion", "only fields are merged"),
    ("clientConnection.kubeconfig", KUBECONFIG),
    ("clusterCIDR", POD_CIDR),
    ("hostnameOverride", "all nodes share this configuration"),
    ("kind", "only fields are merged"),
];
