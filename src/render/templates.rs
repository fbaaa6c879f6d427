//! Fills the files of `templates/`. Values are written through the filters `yaml` or `toml`, so that no value can change the structure around
//! it.

use std::sync::LazyLock;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use crate::yaml;

macro_rules! sources {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("../../templates/", $name)))),*] };
}

const SOURCES: [(&str, &str); 16] = sources![
    "addons/Corefile",
    "addons/coredns.yaml",
    "addons/kube-proxy.yaml",
    "cni/bridge.conflist",
    "cni/routes",
    "containerd/config-v2.toml",
    "containerd/config-v3.toml",
    "containerd/hosts.toml",
    "kernel/sysctl.conf",
    "lb/haproxy.cfg",
    "lb/keepalived.conf",
    "lb/nginx.conf",
    "manifests/static-pod.yaml",
    "systemd/10-kubeadm.conf",
    "systemd/etcd.service",
    "systemd/kubelet.service",
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.add_filter("yaml", |text: &str| yaml::scalar(text));
    env.add_filter("toml", |text: &str| yaml::quoted(text));
    for (name, source) in SOURCES {
        env.add_template(name, source).expect("templates are constant and tested");
    }
    env
});

/// Fills a template. It panics if the template or its context is wrong, which the tests exclude, because templates and the fields of contexts
/// are constant.
pub(super) fn fill(name: &str, context: impl Serialize) -> String {
    let template = ENVIRONMENT.get_template(name).expect("templates are constant and tested");
    // minijinja drops the newline at the end of a template, so it is added here.
    template.render(Serde(context)).expect("templates are constant and tested") + "\n"
}
