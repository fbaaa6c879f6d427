//! The ConfigMaps that kubeadm and joining nodes read: kubeadm-config, kubelet-config, cluster-info.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::rbac::{Subject, reader};
use crate::inventory::{CgroupDriver, ExtraVolume, KeyAlgorithm, LoadBalancerKind, Role};
use crate::layout::{self, join_host_port};
use crate::render::args::Flags;
use crate::render::{Ctx, kubelet, manifests};
use crate::versions::ConfigApi;
use crate::yaml;

/// The ConfigMap kubeadm-config, with the Role and the RoleBinding for the subjects that may read it.
pub(super) fn kubeadm_config(ctx: &Ctx<'_>, masters: &[(String, IpAddr)]) -> Vec<Value> {
    let mut data = Map::new();
    data.insert("ClusterConfiguration".into(), yaml::document(&cluster_configuration(ctx)).into());
    if ctx.v.cluster_status {
        data.insert("ClusterStatus".into(), yaml::document(&cluster_status(ctx, masters)).into());
    }
    let mut out = vec![config_map("kube-system", "kubeadm-config", data)];
    out.extend(reader("kube-system", "kubeadm:nodes-kubeadm-config", "kubeadm-config", &[Subject::Joining, Subject::Nodes]));
    out
}

/// The ConfigMap with the kubelets' configuration, with the Role and the RoleBinding for the subjects that may read it.
pub(super) fn kubelet_config(ctx: &Ctx<'_>) -> Vec<Value> {
    let name = ctx.v.kubelet_config;
    let data = Map::from_iter([("kubelet".to_owned(), yaml::document(&kubelet::cluster_config(ctx)).into())]);
    let mut map = config_map("kube-system", name, data);
    if ctx.inv.kubelet.config.is_empty() && ctx.inv.containerd.cgroup_driver == CgroupDriver::Systemd {
        mark_generated(&mut map);
    }
    let mut out = vec![map];
    out.extend(reader("kube-system", &format!("kubeadm:{name}"), name, &[Subject::Nodes, Subject::Joining]));
    out
}

/// The ConfigMap cluster-info, which even anonymous users may read. The controller manager signs it for each bootstrap token.
pub(super) fn cluster_info(ctx: &Ctx<'_>, ca_pem: &str) -> Vec<Value> {
    // The text is the same as kubeadm's, byte by byte, because the controller manager signs the bytes.
    let kubeconfig = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: {}\n  name: \"\"\n\
         contexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n",
        STANDARD.encode(ca_pem),
        yaml::scalar(&format!("https://{}", ctx.endpoint)),
    );
    let data = Map::from_iter([("kubeconfig".to_owned(), kubeconfig.into())]);
    let mut out = vec![config_map("kube-public", "cluster-info", data)];
    out.extend(reader("kube-public", "kubeadm:bootstrap-signer-clusterinfo", "cluster-info", &[Subject::User("system:anonymous")]));
    out
}

pub(super) fn config_map(namespace: &str, name: &str, data: Map<String, Value>) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": namespace }, "data": data })
}

/// Marks the configuration of a component as generated, so that kubeadm may generate it again during an upgrade. A configuration with fields of
/// the operator must not be marked, because kubeadm would drop these fields.
pub(super) fn mark_generated(config_map: &mut Value) {
    let mut values: Vec<(String, String)> = Vec::new();
    if let Some(data) = config_map["data"].as_object() {
        values.extend(data.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())));
    }
    values.sort();
    let mut hash = Sha256::new();
    for (_, value) in &values {
        hash.update(value);
    }
    let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    config_map["metadata"]["annotations"] = json!({ "kubeadm.kubernetes.io/component-config.hash": format!("sha256:{hex}") });
}

fn cluster_configuration(ctx: &Ctx<'_>) -> Value {
    let inv = ctx.inv;
    let api = ctx.v.config_api;
    let plane = &inv.control_plane;
    let mut config = json!({
        "apiVersion": api_version(api),
        "kind": "ClusterConfiguration",
        "apiServer": component(&api_server_args(ctx), &plane.api_server.extra_volumes, api),
        "controllerManager": component(&manifests::controller_manager_args(ctx), &plane.controller_manager.extra_volumes, api),
        "scheduler": component(&manifests::scheduler_args(ctx), &plane.scheduler.extra_volumes, api),
        "certificatesDir": layout::PKI_DIR,
        "clusterName": inv.cluster.name,
        "dns": {},
        "etcd": etcd(ctx),
        "imageRepository": ctx.image_repository,
        "kubernetesVersion": inv.cluster.version.to_string(),
        "networking": {
            "dnsDomain": inv.network.dns_domain,
            "podSubnet": inv.network.pod_cidr.to_string(),
            "serviceSubnet": inv.network.service_cidr.to_string(),
        },
    });
    if inv.cluster.endpoint.is_some() || inv.load_balancer.kind == LoadBalancerKind::Local {
        config["controlPlaneEndpoint"] = ctx.endpoint.into();
    }
    if !plane.api_server.cert_sans.is_empty() {
        config["apiServer"]["certSANs"] = json!(plane.api_server.cert_sans);
    }
    if let Some(tag) = &inv.addons.core_dns.image_tag {
        config["dns"]["imageTag"] = tag.as_str().into();
    }
    match api {
        ConfigApi::V1Beta4 => {
            config["caCertificateValidityPeriod"] = go_duration(inv.pki.ca_validity).into();
            config["certificateValidityPeriod"] = go_duration(inv.pki.certificate_validity).into();
            config["encryptionAlgorithm"] = json!(inv.pki.algorithm);
            config["proxy"] = json!({});
            for (addon, enabled) in [("dns", inv.addons.core_dns.enabled), ("proxy", inv.addons.kube_proxy.enabled)] {
                if !enabled {
                    config[addon]["disabled"] = true.into();
                }
            }
        }
        ConfigApi::V1Beta2 | ConfigApi::V1Beta3 => {
            config["apiServer"]["timeoutForControlPlane"] = "4m0s".into();
            if matches!(inv.pki.algorithm, KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384) {
                config["featureGates"] = json!({ "PublicKeysECDSA": true });
            }
            if api == ConfigApi::V1Beta2 {
                config["dns"]["type"] = "CoreDNS".into();
            }
        }
    }
    config
}

fn cluster_status(ctx: &Ctx<'_>, masters: &[(String, IpAddr)]) -> Value {
    let endpoint = |address: &IpAddr| json!({ "advertiseAddress": address.to_string(), "bindPort": layout::API_SERVER_PORT });
    let endpoints: Map<String, Value> = masters.iter().map(|(name, address)| (name.clone(), endpoint(address))).collect();
    json!({ "apiVersion": api_version(ctx.v.config_api), "kind": "ClusterStatus", "apiEndpoints": endpoints })
}

/// The flags of the API server in kubeadm's ClusterConfiguration. Before v1beta4, kubeadm also wrote its own authorization mode into them.
fn api_server_args(ctx: &Ctx<'_>) -> Flags {
    let mut args = ctx.inv.control_plane.api_server.extra_args.clone();
    if ctx.v.config_api < ConfigApi::V1Beta4 && !args.contains_key("authorization-config") {
        args.entry("authorization-mode".into()).or_insert_with(|| "Node,RBAC".into());
    }
    args
}

fn component(args: &Flags, volumes: &[ExtraVolume], api: ConfigApi) -> Value {
    let mut out = json!({});
    if !args.is_empty() {
        out["extraArgs"] = extra_args(args, api);
    }
    if !volumes.is_empty() {
        out["extraVolumes"] = volumes.iter().map(extra_volume).collect();
    }
    out
}

/// A volume as kubeadm writes it: fields with their default value are left out.
fn extra_volume(volume: &ExtraVolume) -> Value {
    let mut out = json!({ "name": volume.name, "hostPath": volume.host_path, "mountPath": volume.mount_path });
    if volume.read_only {
        out["readOnly"] = true.into();
    }
    if let Some(kind) = volume.path_type {
        out["pathType"] = json!(kind);
    }
    out
}

fn extra_args(args: &Flags, api: ConfigApi) -> Value {
    if api < ConfigApi::V1Beta4 {
        return json!(args);
    }
    args.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// The field `etcd` of the ClusterConfiguration: `local` if etcd runs on the control planes, `external` if it runs on hosts of its own or
/// clusterctl does not manage it.
fn etcd(ctx: &Ctx<'_>) -> Value {
    let pki = |file: &str| format!("{}/{file}", layout::PKI_DIR);
    let hosts = ctx.inv.hosts.iter().filter(|host| host.roles.contains(&Role::Etcd));
    let own: Vec<String> = hosts
        .filter_map(|host| host.private_address.or_else(|| host.address.parse().ok()))
        .map(|address| format!("https://{}", join_host_port(address, layout::ETCD_CLIENT_PORT)))
        .collect();
    let outside = ctx.inv.etcd.external.as_ref().map(|external| external.endpoints.clone()).or((!own.is_empty()).then_some(own));
    if let Some(endpoints) = outside {
        let [ca, cert, key] = ["etcd/ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key"].map(pki);
        return json!({ "external": { "endpoints": endpoints, "caFile": ca, "certFile": cert, "keyFile": key } });
    }
    let mut local = json!({ "dataDir": layout::ETCD_DATA_DIR });
    if let Some(tag) = &ctx.inv.etcd.image_tag {
        local["imageTag"] = tag.as_str().into();
    }
    if !ctx.inv.etcd.extra_args.is_empty() {
        local["extraArgs"] = extra_args(&ctx.inv.etcd.extra_args, ctx.v.config_api);
    }
    json!({ "local": local })
}

fn api_version(api: ConfigApi) -> &'static str {
    match api {
        ConfigApi::V1Beta2 => "kubeadm.k8s.io/v1beta2",
        ConfigApi::V1Beta3 => "kubeadm.k8s.io/v1beta3",
        ConfigApi::V1Beta4 => "kubeadm.k8s.io/v1beta4",
    }
}

/// A duration as Go writes it: `8760h0m0s`.
fn go_duration(duration: Duration) -> String {
    let s = duration.as_secs();
    format!("{}h{}m{}s", s / 3600, s / 60 % 60, s % 60)
}
