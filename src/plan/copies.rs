//! Finds copies of static pod manifests in the kubelet's manifest folder: files that clusterctl did not write, and that the kubelet may run in
//! place of clusterctl's manifests.

use crate::facts::Facts;
use crate::host::HostName;
use crate::layout;

/// A warning for each copy of a static pod manifest, with the host that has the copy.
///
/// The kubelet reads every file in the manifest folder whose name does not begin with a dot, whatever its extension. Static pods of the
/// operator under other names are common (a virtual IP address, for example), so only files whose names begin with that of a control-plane
/// component or of etcd are reported.
pub fn warnings(facts: &Facts) -> Vec<(HostName, String)> {
    let mut out = Vec::new();
    for (host, f) in &facts.hosts {
        let folder = format!("{}/", layout::MANIFESTS_DIR);
        for name in f.files.keys().filter_map(|path| path.strip_prefix(&folder)) {
            let copy_of = |component: &&&str| name.starts_with(**component) && name != format!("{component}.yaml");
            if let Some(component) = layout::CONTROL_PLANE_PODS.iter().chain(["etcd"].iter()).find(copy_of) {
                let message = format!(
                    "{folder}{name} is not a file of clusterctl; the kubelet reads every file in this folder and may run this one in place of \
                     {component}: move it to another folder"
                );
                out.push((host.clone(), message));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{FileFact, FileKind};

    #[test]
    fn only_copies_of_our_manifests_are_told() {
        let mut facts = Facts::default();
        for name in ["etcd.yaml", "etcd.yaml.bak", "kube-apiserver-old.yaml", ".kube-apiserver.swap", "kube-vip.yaml"] {
            let file = FileFact { kind: FileKind::File(String::new().into()), mode: 0o600, uid: 0, gid: 0 };
            facts.host_mut("m1").files.insert(format!("{}/{name}", layout::MANIFESTS_DIR), file);
        }
        let told: Vec<String> = warnings(&facts).into_iter().map(|(host, message)| format!("{host} {message}")).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("m1 /etc/kubernetes/manifests/etcd.yaml.bak "), "{told:?}");
        assert!(told[1].contains("in place of kube-apiserver"), "{told:?}");
    }
}
