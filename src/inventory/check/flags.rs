//! Rules about `extraArgs` and `config`: the names of flags, and the flags and fields that clusterctl sets itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::path::{Path, at};
use super::super::words::quoted;
use super::owned::{self, Owned};
use super::review::Review;
use super::shape::is_flag;
use crate::layout;

pub(super) fn check(review: &mut Review) {
    let inventory = review.inventory;
    let plane = &inventory.control_plane;
    let components = [
        (at!["controlPlane", "apiServer", "extraArgs"], &plane.api_server.extra_args, "kube-apiserver", owned::API_SERVER),
        (
            at!["controlPlane", "controllerManager", "extraArgs"],
            &plane.controller_manager.extra_args,
            "kube-controller-manager",
            owned::CONTROLLER_MANAGER,
        ),
        (at!["controlPlane", "scheduler", "extraArgs"], &plane.scheduler.extra_args, "kube-scheduler", owned::SCHEDULER),
        (at!["etcd", "extraArgs"], &inventory.etcd.extra_args, "etcd", owned::ETCD),
        (at!["kubelet", "extraArgs"], &inventory.kubelet.extra_args, "the kubelet", owned::KUBELET),
    ];
    for (path, args, who, table) in components {
        check_args(review, &path, args, who, table);
    }
    let api_server = at!["controlPlane", "apiServer", "extraArgs"];
    check_anonymous(review, &api_server, &plane.api_server.extra_args);
    if inventory.etcd_is_stacked() {
        check_log(review, &at!["etcd", "extraArgs"], &inventory.etcd.extra_args);
    }
    // The pods mount the folders of trusted certificates that exist on the host.
    let certificates = [&[layout::PKI_DIR, layout::SSL_CERTS_DIR], &layout::CA_DIRS[..]].concat();
    check_files(review, &api_server, &plane.api_server.extra_args, owned::API_SERVER, &certificates);
    let manager = [&certificates[..], &[layout::CONTROLLER_MANAGER_CONF, layout::FLEXVOLUME_DIR]].concat();
    check_files(
        review,
        &at!["controlPlane", "controllerManager", "extraArgs"],
        &plane.controller_manager.extra_args,
        owned::CONTROLLER_MANAGER,
        &manager,
    );
    check_files(
        review,
        &at!["controlPlane", "scheduler", "extraArgs"],
        &plane.scheduler.extra_args,
        owned::SCHEDULER,
        &[layout::SCHEDULER_CONF],
    );
    if inventory.etcd_is_stacked() {
        let data = [layout::ETCD_DATA_DIR, layout::ETCD_PKI_DIR];
        check_files(review, &at!["etcd", "extraArgs"], &inventory.etcd.extra_args, owned::ETCD, &data);
    }
    check_words(review, &at!["kubelet", "extraArgs"], &inventory.kubelet.extra_args);
    check_config(review, &at!["kubelet", "config"], &inventory.kubelet.config, owned::KUBELET_CONFIG);
    check_config(review, &at!["addons", "kubeProxy", "config"], &inventory.addons.kube_proxy.config, owned::KUBE_PROXY_CONFIG);
    for (i, host) in inventory.hosts.iter().enumerate() {
        check_args(review, &at!["hosts", i, "kubelet", "extraArgs"], &host.kubelet.extra_args, "the kubelet", owned::KUBELET);
        check_words(review, &at!["hosts", i, "kubelet", "extraArgs"], &host.kubelet.extra_args);
        check_config(review, &at!["hosts", i, "kubelet", "config"], &host.kubelet.config, owned::KUBELET_CONFIG);
    }
}

fn check_args(review: &mut Review, path: &Path, args: &BTreeMap<String, String>, who: &str, table: Owned) {
    for (flag, value) in args {
        let path = path.join(flag);
        let shown = quoted(flag);
        let (bare, fixed) = (flag.trim_start_matches('-'), flag.trim_start_matches('-').to_ascii_lowercase().replace('_', "-"));
        if bare.len() < flag.len() && !bare.is_empty() {
            review.key_fault(path, format!("the flag {shown} has leading dashes"), format!("write {}", quoted(bare)));
        } else if let Some((name, _)) = flag.split_once('=') {
            review.key_fault(
                path,
                format!("the flag {shown} has a `=` in its name"),
                format!("write {} and the value after a `: `", quoted(name)),
            );
        } else if !is_flag(flag) {
            let hint = if is_flag(&fixed) {
                format!("did you mean {}?", quoted(&fixed))
            } else {
                "flags are lower-case letters, digits and dashes".into()
            };
            review.key_fault(path, format!("{shown} is not a flag's name"), hint);
        } else if let Some((_, reason)) = table.iter().find(|(name, _)| name == flag) {
            review.key_fault(path, format!("the flag {shown} of {who} is set by clusterctl"), *reason);
        } else if value.len() > MAX_VALUE {
            review.fault(path, format!("the value of the flag {shown} has {} bytes; a flag may have {MAX_VALUE}", value.len()), "");
        }
    }
}

/// Refuses flags that name a file outside `mounted`, the paths that the static pod mounts, because the component could not open the file and would
/// exit. Flags in `table` are skipped, because `check_args` refuses them.
fn check_files(review: &mut Review, path: &Path, args: &BTreeMap<String, String>, table: Owned, mounted: &[&str]) {
    let names_a_file = |flag: &str| flag.ends_with("-file") || flag.ends_with("-config") || flag.ends_with("kubeconfig");
    let is_mounted = |file: &str| mounted.iter().any(|m| file.strip_prefix(m).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let is_owned = |flag: &str| table.iter().any(|(name, _)| *name == flag);
    let unseen = |flag: &str, value: &str| names_a_file(flag) && !is_owned(flag) && value.starts_with('/') && !is_mounted(value);
    for (flag, value) in args.iter().filter(|(flag, value)| unseen(flag, value)) {
        let message = format!("the flag {} names the file {}, which the static pod does not see", quoted(flag), quoted(value));
        review.fault(path.join(flag), message, format!("the pod sees only {}: put the file there on every host", mounted.join(", ")));
    }
}

/// Refuses `--anonymous-auth=false`: load balancers, the kubelet's probes and clusterctl check without a certificate whether the API server is
/// ready.
fn check_anonymous(review: &mut Review, path: &Path, args: &BTreeMap<String, String>) {
    let off = |v: &&String| v.eq_ignore_ascii_case("false") || v.eq_ignore_ascii_case("f") || *v == "0";
    if let Some(value) = args.get("anonymous-auth").filter(off) {
        let message = format!("without anonymous requests ({}) nobody can ask the API server whether it is ready", quoted(value));
        let hint = "leave the flag out: anonymous requests may only read /healthz, /livez, /readyz and /version, unless a role binding says otherwise";
        review.fault(path.join("anonymous-auth"), message, hint);
    }
}

/// Refuses a folder for the log of etcd that the static pod does not mount: the log would be lost with the container, and etcd would not start again.
fn check_log(review: &mut Review, path: &Path, args: &BTreeMap<String, String>) {
    let is_lost = |folder: &&String| folder.strip_prefix(layout::ETCD_DATA_DIR).is_none_or(|rest| !rest.starts_with('/'));
    if let Some(folder) = args.get("wal-dir").filter(is_lost) {
        let message = format!("the log of etcd would be lost with its container, which sees no {} of the host", quoted(folder));
        review.fault(
            path.join("wal-dir"),
            message,
            format!("choose a folder below {}, or etcd on hosts of its own", layout::ETCD_DATA_DIR),
        );
    }
}

/// The largest size of a flag's value in bytes. It is the largest size of one argument of a process (Linux, `MAX_ARG_STRLEN`) less the space for
/// the flag's name.
const MAX_VALUE: usize = (128 << 10) - 256;

/// Refuses values with spaces, quotes or backslashes: as with kubeadm, the kubelet's flags are one line of an environment file, and systemd
/// splits that line into words.
fn check_words(review: &mut Review, path: &Path, args: &BTreeMap<String, String>) {
    for (flag, value) in args {
        if let Some(c) = value.chars().find(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '\\')) {
            let message = format!(
                "the value of the kubelet's flag {} has {} in it, which its environment file cannot carry",
                quoted(flag),
                quoted(&c.to_string())
            );
            review.fault(path.join(flag), message, "use the field of the same meaning in `kubelet.config`");
        }
    }
}

/// Refuses fields that clusterctl sets itself. The names in `table` are paths with dots, as in `authentication.x509.clientCAFile`.
fn check_config(review: &mut Review, path: &Path, config: &Map<String, Value>, table: Owned) {
    if config.is_empty() {
        return;
    }
    for (dotted, reason) in table {
        let mut at = path.clone();
        let mut level = Some(config);
        let mut found = false;
        for key in dotted.split('.') {
            at = at.join(key);
            let value = level.and_then(|l| l.get(key));
            found = value.is_some();
            level = value.and_then(Value::as_object);
        }
        if found {
            review.key_fault(at, format!("the field `{dotted}` is set by clusterctl"), *reason);
        }
    }
}
