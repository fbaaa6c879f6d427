//! Why `apply` will change an adopted cluster: each kind of change once, with its reason and its hosts.

use std::fmt::Write;

use serde::Serialize;

use crate::cli::report::{heading, plural};
use crate::host::HostName;
use crate::layout;
use crate::plan::Plan;
use crate::step::{File, Step};

/// A reason, and the hosts to which it applies.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    pub why: &'static str,
    pub hosts: Vec<HostName>,
    /// Whether the change restarts or replaces something that runs.
    pub restarts: bool,
}

/// The reasons for the steps of a plan, in the order of the steps. Each reason occurs once, with all its hosts.
pub(super) fn reasons(plan: &Plan) -> Vec<Reason> {
    let mut out: Vec<Reason> = Vec::new();
    for (_, host, planned) in plan.steps() {
        for (why, restarts) in of(&planned.step, &planned.diff) {
            match out.iter_mut().find(|r| r.why == why) {
                Some(reason) if reason.hosts.contains(host) => {}
                Some(reason) => reason.hosts.push(host.clone()),
                None => out.push(Reason { why, hosts: vec![host.clone()], restarts }),
            }
        }
    }
    out
}

/// The reasons for a step, each with whether it restarts something. Waits and checks need no reason.
fn of(step: &Step, diff: &str) -> Vec<(&'static str, bool)> {
    let one = |why| vec![(why, false)];
    match step {
        Step::File(files) => {
            let mut all: Vec<(&str, bool)> = files.iter().map(|f| (of_file(f, diff), false)).collect();
            all.dedup();
            all
        }
        Step::Package(_) => one("packages that a node of clusterctl's has: what its kubelet and its scripts call"),
        Step::Kernel(_) => one("kernel modules and settings that pods need, set now and after each start of the host"),
        Step::Binary(b) if b.path.ends_with("/kubelet") => one("the kubelet's program, because its unit becomes clusterctl's"),
        Step::Binary(_) => one("kubectl and etcdctl of the cluster's own version, by which clusterctl speaks to the API and to etcd"),
        Step::Image(_) => one("images that the inventory names and the host lacks"),
        Step::Unit(u) if u.name == "kubelet" => {
            vec![("RESTARTS the kubelet: the inventory says another configuration than the host has", true)]
        }
        Step::Unit(_) | Step::Stopped(_) => vec![("restarts or reloads a service that becomes clusterctl's", true)],
        Step::StaticPod(_) | Step::ApiWithEtcd(_) => {
            vec![("RESTARTS a static pod: the inventory says another image, flags or volumes than the host has", true)]
        }
        Step::Object(_) => one("objects of kubeadm's kind that are missing, or say something else than the inventory"),
        Step::NodeMeta(_) => one("labels, annotations and taints that the inventory gives the node"),
        Step::Token(_) | Step::TokensGone(_) | Step::Bootstrap(_) => one("a bootstrap token for hosts that join, deleted at the end"),
        _ => vec![],
    }
}

/// The reason for a file that has the right content and only the wrong permissions.
const PERMISSIONS: &str = "permissions of files as kubeadm itself sets them today; their contents stay";

fn of_file(file: &File, diff: &str) -> &'static str {
    let path = file.path.as_str();
    let other =
        diff.lines().any(|l| [format!("new {path} "), format!("changed {path}")].iter().any(|start| format!("{l} ").starts_with(start)));
    if path.starts_with(layout::KUBERNETES_DIR) && path != layout::MANIFESTS_DIR && !other {
        return PERMISSIONS;
    }
    match file.path.as_str() {
        layout::OWNERSHIP | layout::ESTABLISHED | layout::ADOPTED => "marks by which a later run knows whose the host is",
        layout::MODULES_LOAD | layout::SYSCTL_CONF => {
            "kernel modules and settings that pods need, set now and after each start of the host"
        }
        layout::MANIFESTS_DIR => "the folder of static pods, which clusterctl makes on every node",
        layout::ETCD_DATA_DIR => PERMISSIONS,
        layout::KUBELET_CONF => {
            "the kubelet's kubeconfig, because it leads elsewhere than to the cluster's endpoint or its own certificate"
        }
        path if path.starts_with(layout::CONTAINERD_CERTS_DIR) => "the inventory's registry mirrors, for images that clusterctl has pulled",
        path if path.starts_with(layout::PKI_DIR) => {
            "certificates from the cluster's own CA, where some are missing, expire soon or lack a name"
        }
        path if path.starts_with(layout::KUBERNETES_DIR) => "kubeconfigs that are missing, expire, or lead elsewhere than kubeadm's",
        path if path.contains("haproxy") || path.contains("keepalived") || path.contains("nginx") => {
            "the load balancer's configuration, because you made its host clusterctl's"
        }
        _ => "the kubelet's unit and configuration, because the inventory says something else than the host has",
    }
}

/// The text for the operator: the marks that `adopt` writes, the plan of the next `apply` (`rest`), and the reasons for that plan.
pub(super) fn shown(marks: &Plan, rest: &Plan, reasons: &[Reason]) -> String {
    let mut out = format!("{}\n", heading("what `adopt` does now: marks that nothing reads but clusterctl"));
    for (_, host, planned) in marks.steps() {
        let _ = writeln!(out, "  {host}: {}", planned.title);
    }
    out.push('\n');
    let _ = write!(out, "{}\n{rest}\n", heading("what `apply` will do then"));
    if reasons.is_empty() {
        return out;
    }
    let _ = writeln!(out, "{}", heading("and why"));
    for reason in reasons {
        let _ = writeln!(out, "  - {} ({}: {})", reason.why, plural(reason.hosts.len(), "host"), reason.hosts.join(", "));
    }
    let said = match reasons.iter().any(|r| r.restarts) {
        true => "what is restarted stands above; change the inventory if it should not be",
        false => "no static pod, kubelet or containerd is restarted by it",
    };
    let _ = writeln!(out, "  {said}");
    out
}
