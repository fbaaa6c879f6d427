//! The permissions of administrators, of the API server's kubelet client, and of nodes that join.

use serde_json::{Value, json};

use crate::render::Ctx;

const RBAC: &str = "rbac.authorization.k8s.io";
const JOINING: &str = "system:bootstrappers:kubeadm:default-node-token";
const NODES: &str = "system:nodes";

/// The subject of a role binding.
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

/// The ClusterRoleBindings of the administrators' group and of the user with whose certificate the API server connects to kubelets. Only those that
/// the cluster's version of Kubernetes needs are returned.
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

/// The permissions of a joining node, and the bindings of the groups whose certificate signing requests are approved automatically.
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

/// A Role that allows reading one ConfigMap, and the RoleBinding that gives it to these subjects.
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
