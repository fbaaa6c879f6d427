//! Reads the configuration that kubeadm wrote: its ClusterConfiguration in every API version, and the kubelet's flags.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The content of kubeadm's ClusterConfiguration, as far as an inventory can express it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterConfiguration {
    pub kubernetes_version: String,
    pub cluster_name: String,
    pub endpoint: String,
    pub pod_subnet: String,
    pub service_subnet: String,
    pub dns_domain: String,
    pub image_repository: String,
    pub etcd_image_tag: String,
    pub core_dns_image_tag: String,
    /// Flags by component: `apiServer`, `controllerManager`, `scheduler`, `etcd`.
    pub extra_args: BTreeMap<&'static str, BTreeMap<String, String>>,
    /// `extraVolumes` by component: `apiServer`, `controllerManager`, `scheduler`. Each volume has only the fields that are set.
    pub extra_volumes: BTreeMap<&'static str, Vec<Value>>,
    pub cert_sans: Vec<String>,
    /// The key algorithm. This field and the two lifetimes of certificates that follow have values only since v1beta4; before, they are empty. The
    /// lifetimes are in Go's format of durations.
    pub algorithm: String,
    pub certificate_validity: String,
    pub ca_validity: String,
    /// The path and the value of each field that is set and that no inventory can express.
    pub beyond: Vec<(String, String)>,
}

/// The components that have flags: the key in [`ClusterConfiguration::extra_args`], and the path of the component's fields in kubeadm's
/// ClusterConfiguration.
const COMPONENTS: [(&str, &str); 4] =
    [("apiServer", "apiServer"), ("controllerManager", "controllerManager"), ("scheduler", "scheduler"), ("etcd", "etcd.local")];

/// The components that have `extraVolumes`.
const WITH_VOLUMES: [&str; 3] = ["apiServer", "controllerManager", "scheduler"];

/// Fields that have one fixed value in every cluster that clusterctl builds: path and value. Any other value goes into
/// [`ClusterConfiguration::beyond`].
const FIXED: [(&str, &str); 3] =
    [("certificatesDir", "/etc/kubernetes/pki"), ("etcd.local.dataDir", "/var/lib/etcd"), ("dns.type", "CoreDNS")];

/// Reads the ClusterConfiguration in the ConfigMap kubeadm-config. Every field that an inventory can express is taken out of the map; the fields that
/// remain and are set go into `beyond`.
pub fn cluster_configuration(text: &str) -> Result<ClusterConfiguration, String> {
    let value: Value = serde_yaml::from_str(text).map_err(|e| format!("kubeadm's ClusterConfiguration is not readable: {e}"))?;
    let Value::Object(mut map) = value else { return Err("kubeadm's ClusterConfiguration is not a mapping".into()) };
    let (api, kind) = (word(&mut map, "apiVersion"), word(&mut map, "kind"));
    if !["v1beta1", "v1beta2", "v1beta3", "v1beta4"].iter().any(|v| api == format!("kubeadm.k8s.io/{v}")) || kind != "ClusterConfiguration"
    {
        return Err(format!("`{kind}` of `{api}` is not a ClusterConfiguration that clusterctl knows"));
    }
    let mut out = ClusterConfiguration {
        kubernetes_version: word(&mut map, "kubernetesVersion"),
        cluster_name: word(&mut map, "clusterName"),
        endpoint: word(&mut map, "controlPlaneEndpoint"),
        pod_subnet: word(&mut map, "networking.podSubnet"),
        service_subnet: word(&mut map, "networking.serviceSubnet"),
        dns_domain: word(&mut map, "networking.dnsDomain"),
        image_repository: word(&mut map, "imageRepository"),
        etcd_image_tag: word(&mut map, "etcd.local.imageTag"),
        core_dns_image_tag: word(&mut map, "dns.imageTag"),
        extra_args: COMPONENTS.map(|(component, path)| (component, flags(&mut map, path))).into(),
        extra_volumes: WITH_VOLUMES.map(|component| (component, volumes(&mut map, component))).into(),
        cert_sans: texts(take(&mut map, "apiServer.certSANs")),
        algorithm: word(&mut map, "encryptionAlgorithm"),
        certificate_validity: word(&mut map, "certificateValidityPeriod"),
        ca_validity: word(&mut map, "caCertificateValidityPeriod"),
        beyond: vec![],
    };
    // These fields are ignored: the time that kubeadm waits, and the add-ons that kubeadm leaves out because somebody else manages them.
    for path in ["apiServer.timeoutForControlPlane", "dns.disabled", "proxy.disabled"] {
        take(&mut map, path);
    }
    for (path, stands_for) in FIXED {
        match word(&mut map, path) {
            other if other.is_empty() || other == stands_for => {}
            other => out.beyond.push((path.into(), other)),
        }
    }
    left_over("", &Value::Object(map), &mut out.beyond);
    Ok(out)
}

/// Removes the field at a path with dots from the map, and returns its value.
fn take(map: &mut Map<String, Value>, path: &str) -> Option<Value> {
    match path.split_once('.') {
        Some((first, rest)) => take(map.get_mut(first)?.as_object_mut()?, rest),
        None => map.shift_remove(path),
    }
}

fn word(map: &mut Map<String, Value>, path: &str) -> String {
    match take(map, path) {
        Some(Value::String(text)) => text,
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn texts(list: Option<Value>) -> Vec<String> {
    list.iter().filter_map(Value::as_array).flatten().filter_map(|v| v.as_str().map(String::from)).collect()
}

/// The extra arguments below a path. They are a map up to v1beta3, and a list of names and values after that. If a name occurs more than once, its
/// last value counts.
fn flags(map: &mut Map<String, Value>, path: &str) -> BTreeMap<String, String> {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), String::from);
    match take(map, &format!("{path}.extraArgs")) {
        Some(Value::Object(map)) => map.iter().map(|(k, v)| (k.clone(), text(v))).collect(),
        Some(Value::Array(list)) => list.iter().map(|arg| (text(&arg["name"]), text(&arg["value"]))).collect(),
        _ => BTreeMap::new(),
    }
}

/// The `extraVolumes` of a component, without fields that are set to the value that they have by default.
fn volumes(map: &mut Map<String, Value>, component: &str) -> Vec<Value> {
    let says_nothing = |v: &Value| v.is_null() || *v == Value::Bool(false) || v == "";
    let mut list = take(map, &format!("{component}.extraVolumes")).and_then(|v| v.as_array().cloned()).unwrap_or_default();
    list.iter_mut().filter_map(Value::as_object_mut).for_each(|volume| volume.retain(|_, v| !says_nothing(v)));
    list
}

fn left_over(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| left_over(&format!("{path}.{k}"), v, out)),
        Value::Null | Value::Bool(false) => {}
        Value::Array(list) if list.is_empty() => {}
        Value::String(text) if text.is_empty() => {}
        other => out.push((path.trim_start_matches('.').into(), other.to_string())),
    }
}

/// The flags in `kubeadm-flags.env`, by name without dashes.
pub fn kubelet_flags(env: &str) -> BTreeMap<String, String> {
    let line = env.lines().find_map(|l| l.trim().strip_prefix("KUBELET_KUBEADM_ARGS="));
    let words = line.unwrap_or_default().trim_matches('"').split_whitespace();
    let flag = |w: &str| {
        let (name, value) = w.trim_start_matches('-').split_once('=').unwrap_or((w.trim_start_matches('-'), "true"));
        (name.to_string(), value.to_string())
    };
    words.map(flag).collect()
}

/// Flags of the kubelet that are ignored when the flags of an adopted node are compared with clusterctl's own: they only repeat what applies to the
/// node anyway, or matter only when a node registers.
const SAYS_NOTHING: [&str; 9] = [
    "cgroup-driver",
    "container-runtime",
    "container-runtime-endpoint",
    "hostname-override",
    "network-plugin",
    "node-ip",
    "node-labels",
    "pod-infra-container-image",
    "register-with-taints",
];

/// Whether a flag of the kubelet counts when the flags of an adopted node are compared with clusterctl's own.
pub fn tells(flag: &str) -> bool {
    !SAYS_NOTHING.contains(&flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(version: &str) -> ClusterConfiguration {
        let path = format!("{}/tests/render/kubeadm/{version}/objects/cm-kubeadm-config.yaml", env!("CARGO_MANIFEST_DIR"));
        let map: Value = serde_yaml::from_str(&std::fs::read_to_string(path).expect("it was recorded")).expect("it is YAML");
        cluster_configuration(map["data"]["ClusterConfiguration"].as_str().expect("it is text")).expect("it is readable")
    }

    #[test]
    fn both_ends_of_what_kubeadm_wrote() {
        let old = recorded("v1.20.2");
        assert_eq!((old.kubernetes_version.as_str(), old.image_repository.as_str()), ("v1.20.2", "k8s.gcr.io"));
        assert_eq!(old.extra_args["apiServer"], BTreeMap::from([("authorization-mode".into(), "Node,RBAC".into())]));
        let new = recorded("v1.36.2");
        assert_eq!((new.kubernetes_version.as_str(), new.image_repository.as_str()), ("v1.36.2", "registry.k8s.io"));
        assert_eq!((new.algorithm.as_str(), new.certificate_validity.as_str()), ("RSA-2048", "8760h0m0s"));
        for both in [&old, &new] {
            assert_eq!((both.cluster_name.as_str(), both.dns_domain.as_str()), ("kubernetes", "cluster.local"));
            assert_eq!((both.pod_subnet.as_str(), both.service_subnet.as_str()), ("10.244.0.0/16", "10.96.0.0/12"));
            assert_eq!(both.beyond, vec![]);
        }
    }

    #[test]
    fn flags_are_a_map_or_a_list() {
        let head = "kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/";
        for args in [
            "v1beta3\nscheduler: {extraArgs: {v: '4'}}\n",
            "v1beta4\nscheduler: {extraArgs: [{name: v, value: '2'}, {name: v, value: '4'}]}\n",
        ] {
            let read = cluster_configuration(&format!("{head}{args}")).expect("it is readable");
            assert_eq!(read.extra_args["scheduler"], BTreeMap::from([("v".into(), "4".into())]));
        }
    }

    #[test]
    fn what_no_inventory_can_say_is_named() {
        let text = "kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/v1beta3\ncertificatesDir: /srv/pki\nfeatureGates: {X: true, Y: false}\n\
            apiServer: {extraEnvs: [{name: a}], certSANs: [a.example.org]}\netcd: {external: {endpoints: [https://a:2379]}}\ndns: {}\n";
        let read = cluster_configuration(text).expect("it is readable");
        let paths: Vec<&str> = read.beyond.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["certificatesDir", "featureGates.X", "apiServer.extraEnvs", "etcd.external.endpoints"]);
        assert_eq!(read.cert_sans, ["a.example.org"]);
    }

    #[test]
    fn volumes_have_only_the_fields_that_are_set() {
        let text = "kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/v1beta3\napiServer:\n  extraVolumes:\n\
            \x20 - {name: audit, hostPath: /a, mountPath: /b, readOnly: true, pathType: File}\n\
            \x20 - {name: log, hostPath: /c, mountPath: /c, readOnly: false, pathType: \"\"}\n";
        let read = cluster_configuration(text).expect("it is readable");
        let audit = serde_json::json!({"name": "audit", "hostPath": "/a", "mountPath": "/b", "readOnly": true, "pathType": "File"});
        let log = serde_json::json!({"name": "log", "hostPath": "/c", "mountPath": "/c"});
        assert_eq!((&read.extra_volumes["apiServer"], &read.beyond), (&vec![audit, log], &vec![]));
        assert_eq!(read.extra_volumes["scheduler"], [Value::Null; 0]);
    }

    #[test]
    fn other_documents_are_refused() {
        for text in [
            "kind: InitConfiguration\napiVersion: kubeadm.k8s.io/v1beta3\n",
            "kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/v2\n",
            "- 1\n",
            "{",
        ] {
            cluster_configuration(text).expect_err(text);
        }
    }

    #[test]
    fn a_kubelets_flags() {
        let flags = kubelet_flags("KUBELET_KUBEADM_ARGS=\"--container-runtime=remote --v=4 --fail\"\n");
        let told: Vec<(&str, &str)> = flags.iter().filter(|(f, _)| tells(f)).map(|(f, v)| (f.as_str(), v.as_str())).collect();
        assert_eq!(told, [("fail", "true"), ("v", "4")]);
        assert!(kubelet_flags("").is_empty());
    }
}
