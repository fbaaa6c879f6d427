//! Reads a kubeadm cluster through one of its control-plane hosts.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cli::Call;
use crate::cli::session::{Reach, Session};
use crate::cli::stop::Stop;
use crate::error::Exit;
use crate::facts::kubeadm::{self, ClusterConfiguration};
use crate::facts::{self, ClusterFacts, HostFacts, ObjectRef};
use crate::host::Host;
use crate::inventory::{Inventory, KubeVersion};
use crate::versions::Unsupported;
use crate::{layout, versions};

/// The host through which the cluster is read, from `[USER@]HOST[:PORT]`.
pub(super) struct Login {
    pub host: String,
}

/// What was found in the cluster.
pub(super) struct Found {
    pub config: ClusterConfiguration,
    pub version: KubeVersion,
    pub v: &'static versions::Minor,
    pub nodes: BTreeMap<String, Value>,
    /// The address that the API server on the host of [`Login`] advertises.
    pub address: String,
    /// The configuration that all kubelets share.
    pub kubelet: Value,
    /// The configuration of kube-proxy; `None` if kube-proxy does not run.
    pub proxy: Option<Value>,
    /// The image of CoreDNS; `None` if CoreDNS does not run.
    pub core_dns: Option<String>,
    /// The image of the etcd on the host of [`Login`]; `None` if no etcd runs on this host.
    pub etcd: Option<String>,
}

impl Login {
    /// Splits the argument `[USER@]HOST[:PORT]`, and writes the user and the port into the `ssh` fields of `given`.
    pub fn of(text: &str, given: &mut Map<String, Value>) -> Login {
        let (user, rest) = text.rsplit_once('@').map_or((None, text), |(user, rest)| (Some(user), rest));
        let (host, port) = match rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        let mut ssh = Map::new();
        ssh.extend(user.map(|u| ("user".to_owned(), json!(u))));
        ssh.extend(port.and_then(|p| p.parse::<u16>().ok()).map(|p| ("port".to_owned(), json!(p))));
        crate::inventory::merge(given, &Map::from_iter([("ssh".to_owned(), Value::Object(ssh))]));
        Login { host: host.into() }
    }
}

/// Reads the cluster through the host of `login`. Fails with the reason if the cluster cannot be read, or if an inventory cannot express it.
pub(super) async fn cluster(call: &Call, login: &Login, given: &Map<String, Value>) -> Result<Found, Stop> {
    let refused = |message: String, hint: &str| Stop::with(Exit::Refused).error(message, hint);
    let failed = |what: &str, hint: &str| Stop::with(Exit::Failed).error(format!("{}: {what}", login.host), hint);
    let session = connected(call, login, given).await?;
    let Some(host) = session.hosts.get(&login.host) else { return Err(Stop::with(Exit::Unreachable)) };
    let busy = call.report.busy(&format!("reading the cluster through {}", login.host));
    let f = observed(host.as_ref()).await.map_err(|said| failed(&said, "look at the host, then run the same command again"))?;
    let manifest = f.text(&format!("{}/kube-apiserver.yaml", layout::MANIFESTS_DIR)).unwrap_or_default();
    let Some(address) = flag(manifest, "advertise-address").and_then(|a| a.parse().ok()) else {
        let hint = "name a control-plane host of a cluster that kubeadm made";
        return Err(refused(format!("{} has no API server in {}", login.host, layout::MANIFESTS_DIR), hint));
    };
    let version: KubeVersion = match f.api_version.as_deref().unwrap_or_default().parse() {
        Ok(version) => version,
        Err(_) => {
            return Err(refused(
                format!("the API server of {} does not answer", login.host),
                "name a control-plane host whose API server serves",
            ));
        }
    };
    let v = versions::lookup(&version).map_err(|e| refused(e.to_string(), unsupported(&e)))?;
    let asked = asked(host.as_ref(), address, v).await;
    drop(busy);
    let cluster =
        asked.map_err(|said| failed(&format!("the API could not be asked: {said}"), "look at `kubectl get nodes` on the host"))?;
    let found = |kind: &str, group: &str, name: &str| {
        let of = ObjectRef { group: group.into(), kind: kind.into(), namespace: "kube-system".into(), name: name.into() };
        cluster.objects.get(&of)
    };
    let text = |name: &str, key: &str| found("ConfigMap", "", name).and_then(|o| o["data"][key].as_str()).map(String::from);
    let yaml = |text: Option<String>| text.and_then(|t| serde_yaml::from_str::<Value>(&t).ok());
    let Some(config) = text("kubeadm-config", "ClusterConfiguration") else {
        return Err(refused(
            "the cluster has no ConfigMap kube-system/kubeadm-config".into(),
            "only clusters that kubeadm made can be adopted",
        ));
    };
    let config =
        kubeadm::cluster_configuration(&config).map_err(|e| refused(e, "see `kubectl -n kube-system get cm kubeadm-config -o yaml`"))?;
    beyond(&config, manifest).map_err(|what| {
        let hint = "an inventory has no such field, so the next change would take it away; docs/guides/adopt.md names what can be adopted";
        refused(format!("the cluster has what clusterctl cannot keep: {what}"), hint)
    })?;
    let image = |o: &Value| o["spec"]["template"]["spec"]["containers"][0]["image"].as_str().map(String::from);
    let kubelet = yaml(text(v.kubelet_config, "kubelet")).unwrap_or_else(|| json!({}));
    let proxy = found("DaemonSet", "apps", "kube-proxy").and_then(|_| yaml(text("kube-proxy", "config.conf")));
    let core_dns = found("Deployment", "apps", "coredns").and_then(image);
    let etcd = f.pods.get("etcd").map(|p| p.image.clone());
    Ok(Found { config, version, v, address: address.to_string(), kubelet, proxy, core_dns, etcd, nodes: cluster.nodes })
}

/// The hint for a cluster whose version clusterctl does not support.
pub(super) fn unsupported(why: &Unsupported) -> &'static str {
    match why {
        Unsupported::TooOld(_) => "upgrade the cluster with kubeadm first",
        Unsupported::TooNew(_) => "adopt the cluster with a newer clusterctl",
    }
}

/// Fails if the cluster has settings that an inventory cannot express, because the next `apply` would remove them. The error lists these settings.
fn beyond(config: &ClusterConfiguration, manifest: &str) -> Result<(), String> {
    let mut what: Vec<String> = config.beyond.iter().map(|(path, value)| format!("{path}: {value}")).collect();
    if config.pod_subnet.is_empty() {
        what.push("no networking.podSubnet, so that nodes have no pod subnets of Kubernetes'".into());
    }
    what.extend(
        [&config.pod_subnet, &config.service_subnet].into_iter().filter(|s| s.contains(',')).map(|s| format!("two address families ({s})")),
    );
    what.extend(
        flag(manifest, "secure-port").filter(|p| *p != layout::API_SERVER_PORT.to_string()).map(|p| format!("API servers on port {p}")),
    );
    if what.is_empty() { Ok(()) } else { Err(what.join("; ")) }
}

async fn connected(call: &Call, login: &Login, given: &Map<String, Value>) -> Result<Session, Stop> {
    // This inventory is used only to connect to the host, so its name and version are placeholders.
    let inventory = json!({
        "cluster": { "name": "unknown", "version": "v1.20.2" },
        "ssh": given.get("ssh").cloned().unwrap_or_else(|| json!({})),
        "hosts": [{ "name": login.host, "address": login.host, "roles": ["control-plane"] }],
    });
    let inventory: Inventory = serde_json::from_value(inventory).map_err(|e| {
        Stop::with(Exit::Inventory).error(format!("the fields of `ssh` cannot be used: {e}"), "they are those of an inventory")
    })?;
    let session = Session::connect(call, inventory, Reach::Everyone).await?;
    let failures = session.unreachable();
    if failures.is_empty() { Ok(session) } else { Err(Stop::with(Exit::Unreachable).failures(failures)) }
}

async fn observed(host: &dyn Host) -> Result<HostFacts, String> {
    let out = host.run(facts::host::request([127, 0, 0, 1].into(), true, None, &[])).await.map_err(|e| crate::error::chain(&e))?;
    // The offset of the host's clock is not used here, so the time of the request is given as 0.
    facts::host::parse(&out.stdout, 0.0)
}

async fn asked(host: &dyn Host, address: std::net::IpAddr, v: &versions::Minor) -> Result<ClusterFacts, String> {
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "kube-system", "name": name}});
    let app =
        |kind: &str, name: &str| json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"namespace": "kube-system", "name": name}});
    let objects =
        [map("kubeadm-config"), map(v.kubelet_config), map("kube-proxy"), app("DaemonSet", "kube-proxy"), app("Deployment", "coredns")];
    let questions = facts::cluster::Questions::new(&objects, &[]);
    let out = host.run(questions.request(address)).await.map_err(|e| crate::error::chain(&e))?;
    match out.status {
        0 => {
            let answered = questions.read(host.name(), &out);
            answered.cluster.filter(|_| answered.failed.is_empty()).ok_or_else(|| answered.failed.join("\n"))
        }
        facts::cluster::NOT_SERVING => Err("it does not serve, or admin.conf is missing".into()),
        _ => Err(String::from_utf8_lossy(&out.stderr).trim().to_string()),
    }
}

/// The value of a flag in a static pod manifest that kubeadm wrote; `None` if the manifest does not have the flag.
fn flag(manifest: &str, name: &str) -> Option<String> {
    let start = format!("- --{name}=");
    manifest.lines().find_map(|l| l.trim().strip_prefix(&start).map(|v| v.trim_matches('"').to_string()))
}
