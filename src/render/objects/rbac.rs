//! Who may do what while nodes join (contract 4.3).

use serde_json::{Value, json};

use crate::render::Ctx;

const RBAC: &str = "rbac.authorization.k8s.io";
const JOINING: &str = "system:bootstrappers:kubeadm:default-node-token";
const NODES: &str = "system:nodes";

/// Who a binding is for.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    /// Holders of a bootstrap token.
    Joining,
    Nodes,
    Group(&'static str),
    User(&'static str),
}

impl Subject {
    fn value(self) -> Value {
        let (kind, name) = match self {
            Subject::Joining => ("Group", JOINING),
            Subject::Nodes => ("Group", NODES),
            Subject::Group(name) => ("Group", name),
            Subject::User(name) => ("User", name),
        };
        json!({ "apiGroup": RBAC, "kind": kind, "name": name })
    }
}

/// The operators' group, and what the API server may do to kubelets.
pub fn admins(ctx: &Ctx<'_>) -> Vec<Value> {
    let identity = &ctx.v.identity;
    let mut out = Vec::new();
    if identity.super_admin {
        out.push(cluster_binding("kubeadm:cluster-admins", "cluster-admin", Subject::Group(identity.admin_group)));
    }
    if identity.kubelet_client_binding {
        let user = Subject::User("kube-apiserver-kubelet-client");
        out.push(cluster_binding("kubeadm:apiserver-kubelet-client", "system:kubelet-api-admin", user));
    }
    out
}

/// What a joining node may do, and whose certificate requests are approved.
pub(super) fn joining() -> Vec<Value> {
    let approver = |name: &str| format!("system:certificates.k8s.io:certificatesigningrequests:{name}");
    let get_nodes = json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRole",
        "metadata": { "name": "kubeadm:get-nodes" },
        "rules": [{ "apiGroups": [""], "resources": ["nodes"], "verbs": ["get"] }],
    });
    vec![
        get_nodes,
        cluster_binding("kubeadm:get-nodes", "kubeadm:get-nodes", Subject::Joining),
        cluster_binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", Subject::Joining),
        cluster_binding("kubeadm:node-autoapprove-bootstrap", &approver("nodeclient"), Subject::Joining),
        cluster_binding("kubeadm:node-autoapprove-certificate-rotation", &approver("selfnodeclient"), Subject::Nodes),
    ]
}

/// A Role to get one ConfigMap, and who has it.
pub(super) fn reader(namespace: &str, role: &str, config_map: &str, subjects: &[Subject]) -> [Value; 2] {
    let metadata = json!({ "name": role, "namespace": namespace });
    [
        json!({
            "apiVersion": format!("{RBAC}/v1"),
            "kind": "Role",
            "metadata": metadata,
            "rules": [{ "apiGroups": [""], "resourceNames": [config_map], "resources": ["configmaps"], "verbs": ["get"] }],
        }),
        json!({
            "apiVersion": format!("{RBAC}/v1"),
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": { "apiGroup": RBAC, "kind": "Role", "name": role },
            "subjects": subjects.iter().map(|s| s.value()).collect::<Vec<_>>(),
        }),
    ]
}

fn cluster_binding(name: &str, role: &str, subject: Subject) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": { "name": name },
        "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": role },
        "subjects": [subject.value()],
    })
}
