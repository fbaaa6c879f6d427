//! Checks whether the kubelet would start with the version of cgroups that its host has.

use super::Refusal;
use super::host::is_off;
use crate::facts::HostFacts;
use crate::inventory::{HostEntry, Inventory};
use crate::versions;

/// The file system of `/sys/fs/cgroup` on a host with cgroup v2, as `stat` names it.
const CGROUP_V2: &str = "cgroup2fs";

/// A refusal if the kubelet of the inventory's version would not start on this host: since 1.35, the kubelet refuses cgroup v1 unless
/// `failCgroupV1` is false in its configuration or by its flag. In an upgrade, this is checked before the node is drained. A host whose cgroups were not
/// observed is not refused.
pub fn refusal(inv: &Inventory, host: &HostEntry, f: &HostFacts) -> Option<Refusal> {
    let version = &inv.cluster.version;
    let starts = versions::of(version).is_none_or(|v| v.kubelet.cgroup_v1);
    if starts || !host.is_node() || !is_v1(f) {
        return None;
    }
    if is_off(inv, host, "failCgroupV1", "fail-cgroupv1") {
        return None;
    }
    let message = format!("it has cgroup v1 (/sys/fs/cgroup is {}), and the kubelet of {version} does not start with it", f.cgroup_fs);
    let fix = "boot the host with cgroup v2 (`systemd.unified_cgroup_hierarchy=1` on the kernel's command line), or set \
        `kubelet.config.failCgroupV1: false`";
    Some(Refusal::new(&host.name, "cgroup-v1", message, fix))
}

/// Whether the host was observed to have cgroup v1, or both versions at once, which the kubelet treats as v1.
pub(super) fn is_v1(f: &HostFacts) -> bool {
    !f.cgroup_fs.is_empty() && f.cgroup_fs != CGROUP_V2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(version: &str, kubelet: &str, cgroup_fs: &str) -> Vec<String> {
        let text = format!(
            "cluster: {{name: c, version: {version}, endpoint: \"192.0.2.9:6443\"}}\nloadBalancer: {{kind: haproxy}}\nkubelet: {{{kubelet}}}\nhosts:\n\
            - {{name: m1, address: 192.0.2.1, roles: [control-plane]}}\n- {{name: w1, address: 192.0.2.2, roles: [worker]}}\n\
            - {{name: w2, address: 192.0.2.3, roles: [worker], kubelet: {{config: {{failCgroupV1: false}}}}}}\n\
            - {{name: lb1, address: 192.0.2.9, roles: [load-balancer]}}\n"
        );
        let inv: Inventory = serde_yaml::from_str(&text).expect("the inventory is valid");
        let f = HostFacts { cgroup_fs: cgroup_fs.into(), ..HostFacts::default() };
        inv.hosts.iter().filter_map(|h| refusal(&inv, h, &f)).map(|b| format!("{} {}", b.host, b.name)).collect()
    }

    #[test]
    fn cgroup_v1_is_refused_from_1_35_on() {
        assert_eq!(refused("v1.34.9", "", "tmpfs"), [""; 0]);
        for version in ["v1.35.0", "v1.37.1"] {
            assert_eq!(refused(version, "", "tmpfs"), ["m1 cgroup-v1", "w1 cgroup-v1"], "{version}");
            assert_eq!(refused(version, "config: {failCgroupV1: true}", "tmpfs"), ["m1 cgroup-v1", "w1 cgroup-v1"], "{version}");
        }
    }

    #[test]
    fn a_host_that_has_v2_or_an_operator_who_allows_v1_is_not_refused() {
        assert_eq!(refused("v1.36.2", "", "cgroup2fs"), [""; 0]);
        assert_eq!(refused("v1.36.2", "", ""), [""; 0], "nothing was observed");
        assert_eq!(refused("v1.36.2", "config: {failCgroupV1: false}", "tmpfs"), [""; 0]);
        assert_eq!(refused("v1.36.2", "extraArgs: {fail-cgroupv1: \"false\"}", "tmpfs"), [""; 0], "the flag has the same effect");
    }
}
