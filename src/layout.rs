//! The paths, ports and fixed addresses of a cluster, in one place. The source of those of Kubernetes is kubeadm's layout
//! (`cmd/kubeadm/app/constants`).

use std::net::IpAddr;

use ipnet::IpNet;

pub const KUBERNETES_DIR: &str = "/etc/kubernetes";
pub const PKI_DIR: &str = "/etc/kubernetes/pki";
pub const ETCD_PKI_DIR: &str = "/etc/kubernetes/pki/etcd";
pub const MANIFESTS_DIR: &str = "/etc/kubernetes/manifests";
/// The static pods of a control-plane host, except that of etcd. The manifest of each is `<name>.yaml` in [`MANIFESTS_DIR`].
pub const CONTROL_PLANE_PODS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
pub const ADMIN_CONF: &str = "/etc/kubernetes/admin.conf";
pub const SUPER_ADMIN_CONF: &str = "/etc/kubernetes/super-admin.conf";
pub const CONTROLLER_MANAGER_CONF: &str = "/etc/kubernetes/controller-manager.conf";
pub const SCHEDULER_CONF: &str = "/etc/kubernetes/scheduler.conf";
pub const KUBELET_CONF: &str = "/etc/kubernetes/kubelet.conf";
pub const BOOTSTRAP_KUBELET_CONF: &str = "/etc/kubernetes/bootstrap-kubelet.conf";
pub const KUBELET_DIR: &str = "/var/lib/kubelet";
pub const KUBELET_CONFIG: &str = "/var/lib/kubelet/config.yaml";
pub const KUBELET_INSTANCE_CONFIG: &str = "/var/lib/kubelet/instance-config.yaml";
pub const KUBELET_FLAGS_ENV: &str = "/var/lib/kubelet/kubeadm-flags.env";
pub const KUBELET_PKI_DIR: &str = "/var/lib/kubelet/pki";
pub const KUBELET_CLIENT_CURRENT: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";
pub const KUBELET_UNIT: &str = "/etc/systemd/system/kubelet.service";
pub const KUBELET_DROP_IN: &str = "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf";
/// The kubelet's first client certificate and its key. [`KUBELET_CLIENT_CURRENT`] is a link to this file until the kubelet rotates the
/// certificate.
pub const KUBELET_CLIENT_INITIAL: &str = "/var/lib/kubelet/pki/kubelet-client-initial.pem";
pub const ETCD_DATA_DIR: &str = "/var/lib/etcd";
pub const BIN_DIR: &str = "/usr/local/bin";
/// Environment file with the flags of etcd where it runs as a service on hosts of its own.
pub const ETCD_ENV: &str = "/etc/etcd.env";
pub const ETCD_UNIT: &str = "/etc/systemd/system/etcd.service";
pub const CONTAINERD_CONFIG: &str = "/etc/containerd/config.toml";
pub const CONTAINERD_CERTS_DIR: &str = "/etc/containerd/certs.d";
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
pub const CONTAINERD_DIR: &str = "/var/lib/containerd";
/// Folder with a folder for each running container of Kubernetes.
pub const CONTAINERD_TASKS_DIR: &str = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";
/// Folder with the logs of all containers of Kubernetes, and folder with links to them.
pub const POD_LOGS_DIR: &str = "/var/log/pods";
pub const CONTAINER_LOGS_DIR: &str = "/var/log/containers";
/// Folder with the addresses that CNI plugins have assigned to pods.
pub const CNI_STATE_DIR: &str = "/var/lib/cni";
pub const CNI_CONF_DIR: &str = "/etc/cni/net.d";
pub const CNI_DIR: &str = "/opt/cni";
pub const CNI_BIN_DIR: &str = "/opt/cni/bin";
pub const CNI_BRIDGE_CONF: &str = "/etc/cni/net.d/10-clusterctl.conflist";
pub const CNI_LOOPBACK_CONF: &str = "/etc/cni/net.d/99-loopback.conf";
pub const ROUTES_DATA: &str = "/var/lib/clusterctl/routes";
pub const ROUTES_SCRIPT: &str = "/usr/local/bin/clusterctl-routes";
pub const ROUTES_UNIT: &str = "/etc/systemd/system/clusterctl-routes.service";
/// Folders of trusted certificates in addition to [`SSL_CERTS_DIR`]. The API server and the controller manager mount those that exist on the host.
pub const CA_DIRS: [&str; 5] =
    ["/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"];
pub const SSL_CERTS_DIR: &str = "/etc/ssl/certs";
pub const FLEXVOLUME_DIR: &str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";
pub const RESOLVED_CONF: &str = "/run/systemd/resolve/resolv.conf";
pub const MODULES_LOAD: &str = "/etc/modules-load.d/clusterctl.conf";
pub const SYSCTL_CONF: &str = "/etc/sysctl.d/90-clusterctl.conf";
pub const HAPROXY_CONFIG: &str = "/etc/haproxy/haproxy.cfg";
pub const HAPROXY_ADMIN_SOCKET: &str = "/run/haproxy/admin.sock";
pub const NGINX_CONFIG: &str = "/etc/nginx/nginx.conf";
pub const KEEPALIVED_CONFIG: &str = "/etc/keepalived/keepalived.conf";
/// Script by which keepalived checks whether the load balancer on its host listens.
pub const KEEPALIVED_CHECK: &str = "/etc/keepalived/balancer-listens";
/// Folder of clusterctl's own state on a host: the mark of the cluster that owns the host, the lock, and the digests with which units were
/// started.
pub const STATE_DIR: &str = "/var/lib/clusterctl";
/// Folder with the copies of the previous manifests of static pods, and with the script that swaps each of them.
pub const STATIC_PODS_DIR: &str = "/var/lib/clusterctl/static-pods";
/// Folder with the copy of the previous etcd service, if etcd is a service and is being changed.
pub const SPARE_DIR: &str = "/var/lib/clusterctl/spare";
/// Folder with the copies of the files with which the kubelet last ran, while these files are being changed.
pub const KUBELET_SPARE_DIR: &str = "/var/lib/clusterctl/spare-kubelet";
/// Folder with a copy of each file of `controlPlane.files`, which static pods mount. The name of a copy has a digest of its content, so a manifest
/// always leads to the content with which it was tried.
pub const FILES_DIR: &str = "/var/lib/clusterctl/files";
/// Folder with the configurations of the encryption of stored values, and so with their keys. The name of a file has a digest of its content, so a
/// manifest always leads to the keys with which it was tried.
pub const ENCRYPTION_DIR: &str = "/etc/kubernetes/encryption-at-rest";
/// The volume by which the API server sees [`ENCRYPTION_DIR`].
pub const ENCRYPTION_VOLUME: &str = "clusterctl-encryption";
/// The folders below which the files of `controlPlane.files` may be.
pub const FILE_ROOTS: [&str; 6] = [KUBERNETES_DIR, "/opt", "/srv", "/usr/local/etc", "/usr/local/share", "/var/lib/kubernetes"];
/// A folder for such files, and a file in it, as examples.
pub const FILE_FOLDER_EXAMPLE: &str = "/etc/kubernetes/audit";
pub const FILE_EXAMPLE: &str = "/etc/kubernetes/audit/policy.yaml";
/// Folder with a file for each unit that clusterctl started. The file contains the digest of the files with which the unit was started.
pub const UNITS_DIR: &str = "/var/lib/clusterctl/units";
/// Folder with a file for each program that clusterctl installed. The file contains the source of the program.
pub const BINARIES_DIR: &str = "/var/lib/clusterctl/binaries";

pub const API_SERVER_PORT: u16 = 6443;
pub const ETCD_CLIENT_PORT: u16 = 2379;
pub const ETCD_PEER_PORT: u16 = 2380;
pub const ETCD_METRICS_PORT: u16 = 2381;
pub const KUBELET_PORT: u16 = 10250;
pub const KUBELET_HEALTHZ_PORT: u16 = 10248;
pub const KUBE_PROXY_METRICS_PORT: u16 = 10249;
pub const KUBE_PROXY_HEALTHZ_PORT: u16 = 10256;
pub const CONTROLLER_MANAGER_PORT: u16 = 10257;
pub const SCHEDULER_PORT: u16 = 10259;
/// File that marks the cluster that owns the host: the name of the cluster and the digest of its CA.
pub const OWNERSHIP: &str = "/var/lib/clusterctl/cluster";
/// Annotation of a node that clusterctl cordoned. Without a request of the operator, clusterctl uncordons only a node with this annotation.
pub const CORDONED_ANNOTATION: &str = "clusterctl/cordoned";
/// Folder of programs that are downloaded but not installed yet.
pub const STAGED_DIR: &str = "/var/lib/clusterctl/staged";
/// File that is written last when a cluster is built. If any host has it, the cluster exists, and control-plane hosts are changed one at a time.
pub const ESTABLISHED: &str = "/var/lib/clusterctl/established";

/// File that marks a node that kubeadm made and clusterctl adopted. It contains the version that the kubelet had then. What the node had then is not
/// changed as long as it means the same as what clusterctl would write; see `plan/desired/adopted.rs`.
pub const ADOPTED: &str = "/var/lib/clusterctl/adopted";

/// The last part of a path.
pub fn basename(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
pub const KUBELET_DROP_IN_DIR: &str = "/etc/systemd/system/kubelet.service.d";
pub const KUBELET: &str = "/usr/local/bin/kubelet";
pub const KUBECTL: &str = "/usr/local/bin/kubectl";
/// Folder in which kubectl keeps what it has learned about the API.
pub const KUBECTL_CACHE_DIR: &str = "/run/clusterctl-kubectl";
pub const ETCDCTL: &str = "/usr/local/bin/etcdctl";
pub const ETCD: &str = "/usr/local/bin/etcd";
/// The programs that clusterctl installs.
pub const BINARIES: [&str; 4] = [KUBELET, KUBECTL, ETCDCTL, ETCD];
/// The files and folders in [`STATE_DIR`] that a reset removes even if it keeps the installed software. They record the cluster of the host and how
/// its static pods and its kubelet were started.
pub const STATE_OF_CLUSTER: [&str; 10] = [
    OWNERSHIP,
    ESTABLISHED,
    ADOPTED,
    ROUTES_DATA,
    STATIC_PODS_DIR,
    FILES_DIR,
    SPARE_DIR,
    KUBELET_SPARE_DIR,
    RESTORE_DIR,
    "/var/lib/clusterctl/units/kubelet",
];
/// Folder of a restore of etcd.
pub const RESTORE_DIR: &str = "/var/lib/clusterctl/restore";
/// File that records how far the host has come in a restore of etcd. It stays after the restore.
pub const RESTORE_MARK: &str = "/var/lib/clusterctl/restore/mark";
/// Folder with the manifests of the static pods that a restore of etcd has stopped.
pub const RESTORE_MANIFESTS_DIR: &str = "/var/lib/clusterctl/restore/manifests";
/// The snapshot that a restore of etcd has brought to the host.
pub const RESTORE_SNAPSHOT: &str = "/var/lib/clusterctl/restore/db";
/// The snapshot whose restore the host rehearses. Because of its name, the next run that locks the host removes it if the rehearsal was killed; see
/// `lock.sh`.
pub const REHEARSED_SNAPSHOT: &str = "/var/lib/clusterctl/snapshot.rehearsed.db";
/// The path of etcdutl in etcd's image.
pub const ETCDUTL: &str = "/usr/local/bin/etcdutl";
/// The folder with the data of the host's etcd member. It exists as soon as the member has data.
pub const ETCD_MEMBER_DIR: &str = "/var/lib/etcd/member";

/// The n-th address of the service range: the first is that of the API server, the tenth that of the cluster DNS. `None` if the range is too
/// small.
pub fn service_address(services: IpNet, n: u8) -> Option<IpAddr> {
    let address = match services.network() {
        IpAddr::V4(ip) => IpAddr::from((u32::from(ip).checked_add(n.into())?).to_be_bytes()),
        IpAddr::V6(ip) => IpAddr::from((u128::from(ip).checked_add(n.into())?).to_be_bytes()),
    };
    services.contains(&address).then_some(address)
}

/// The host of `host:port` or `[v6]:port`.
pub fn host_of(endpoint: &str) -> &str {
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host);
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

/// `host:port`, with brackets around an IPv6 address.
pub fn join_host_port(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

/// The constants of this file that scripts on hosts use, by name. `src/host/scripts/lib/constants.sh` assigns them, and a test compares that file with
/// this function.
pub fn for_scripts() -> Vec<(&'static str, String)> {
    macro_rules! named {
        ($($name:ident),+ $(,)?) => { vec![$((stringify!($name), $name.to_string())),+] };
    }
    named![
        ADMIN_CONF,
        ADOPTED,
        API_SERVER_PORT,
        BINARIES_DIR,
        CNI_BIN_DIR,
        CNI_CONF_DIR,
        CNI_STATE_DIR,
        CONTAINERD_CERTS_DIR,
        CONTAINERD_CONFIG,
        CONTAINERD_DIR,
        CONTAINERD_SOCKET,
        CONTAINERD_TASKS_DIR,
        CONTAINER_LOGS_DIR,
        ENCRYPTION_DIR,
        ESTABLISHED,
        ETCD,
        ETCDCTL,
        ETCDUTL,
        ETCD_CLIENT_PORT,
        ETCD_DATA_DIR,
        ETCD_ENV,
        ETCD_MEMBER_DIR,
        ETCD_METRICS_PORT,
        ETCD_PKI_DIR,
        ETCD_UNIT,
        FILES_DIR,
        HAPROXY_ADMIN_SOCKET,
        HAPROXY_CONFIG,
        KUBECTL,
        KUBECTL_CACHE_DIR,
        KUBELET_CLIENT_CURRENT,
        KUBELET_CLIENT_INITIAL,
        KUBELET_CONF,
        KUBELET_CONFIG,
        KUBELET_DIR,
        KUBELET_DROP_IN_DIR,
        KUBELET_FLAGS_ENV,
        KUBELET_HEALTHZ_PORT,
        KUBELET_INSTANCE_CONFIG,
        KUBELET_SPARE_DIR,
        KUBELET_UNIT,
        KUBERNETES_DIR,
        MANIFESTS_DIR,
        MODULES_LOAD,
        NGINX_CONFIG,
        OWNERSHIP,
        PKI_DIR,
        POD_LOGS_DIR,
        RESTORE_DIR,
        RESTORE_MANIFESTS_DIR,
        RESTORE_MARK,
        RESTORE_SNAPSHOT,
        ROUTES_DATA,
        ROUTES_SCRIPT,
        ROUTES_UNIT,
        SPARE_DIR,
        STATE_DIR,
        STATIC_PODS_DIR,
        SUPER_ADMIN_CONF,
        SYSCTL_CONF,
        UNITS_DIR,
    ]
}
