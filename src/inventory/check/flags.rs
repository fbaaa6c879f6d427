//! Rules about `extraArgs` and `config`: the names of flags, and the flags and fields that clusterctl sets itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::path::{Path, at};
use super::super::words::quoted;
use super::super::{ExtraVolume, below};
use super::owned::{self, Owned};
use super::review::Review;
use super::shape::is_flag;
use super::volumes;
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
    check_anonymous(review, &at!["controlPlane", "apiServer", "extraArgs"], &plane.api_server.extra_args);
    let flags = [
        (&plane.api_server.extra_args, owned::API_SERVER),
        (&plane.controller_manager.extra_args, owned::CONTROLLER_MANAGER),
        (&plane.scheduler.extra_args, owned::SCHEDULER),
    ];
    for ((component, volumes, own), (args, table)) in volumes::components(plane).into_iter().zip(flags) {
        let sees = Sees { own: &own, volumes: Some(volumes) };
        check_files(review, &at!["controlPlane", component, "extraArgs"], args, table, &sees);
    }
    if inventory.etcd_is_stacked() {
        let (path, args) = (at!["etcd", "extraArgs"], &inventory.etcd.extra_args);
        let sees = Sees { own: &[layout::ETCD_DATA_DIR, layout::ETCD_PKI_DIR], volumes: None };
        check_log(review, &path, args);
        check_files(review, &path, args, owned::ETCD, &sees);
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

/// What a static pod sees of its host.
struct Sees<'a> {
    /// The paths that the pod mounts by itself.
    own: &'a [&'a str],
    /// The `extraVolumes` of the component; `None` if it cannot have any.
    volumes: Option<&'a [ExtraVolume]>,
}

/// The flag with the path of the audit log, which the API server writes and does not read.
const AUDIT_LOG: &str = "audit-log-path";

/// Refuses flags that name a file that the static pod does not see, because the component could not open the file and would exit. Flags in `table`
/// are skipped, because `check_args` refuses them.
fn check_files(review: &mut Review, path: &Path, args: &BTreeMap<String, String>, table: Owned, sees: &Sees) {
    let names_a_file = |flag: &str| flag == "config" || ["-file", "-config", "kubeconfig", AUDIT_LOG].iter().any(|end| flag.ends_with(end));
    let is_owned = |flag: &str| table.iter().any(|(name, _)| *name == flag);
    for (flag, value) in args.iter().filter(|(flag, value)| names_a_file(flag) && !is_owned(flag) && value.starts_with('/')) {
        let (path, shown, file) = (path.join(flag), quoted(flag), quoted(value));
        let volume = sees.volumes.and_then(|volumes| volumes::volume_of(volumes, value));
        let is_own = sees.own.iter().any(|own| below(value, own).is_some());
        match (volume, sees.volumes) {
            (Some(volume), _) if flag == AUDIT_LOG && volume.read_only => {
                let message = format!("the audit log {file} is in the volume {}, which is read-only", quoted(&volume.name));
                review.fault(path, message, "mount a folder for the log with `readOnly: false`");
            }
            (Some(_), _) => {}
            (None, _) if is_own && flag != AUDIT_LOG => {}
            (None, Some(_)) if flag == AUDIT_LOG => {
                let message = format!("the audit log {file} is in no volume, so it is lost when the API server restarts");
                review.warn(path, message, "mount a folder for the log with `extraVolumes`, or write `-` for the output of the container");
            }
            (None, has_volumes) => {
                let message = format!("the flag {shown} names the file {file}, which the static pod does not see");
                let hint = match has_volumes {
                    Some(_) => "bring the file to the hosts with `controlPlane.files`, and mount its folder with `extraVolumes`".into(),
                    None => format!("the pod sees only {}: put the file there on every host", sees.own.join(", ")),
                };
                review.fault(path, message, hint);
            }
        }
    }
}

/// Refuses `--anonymous-auth=false`: load balancers, the kubelet's probes and clusterctl check without a certificate whether the API server is
/// ready.
fn check_anonymous(review: &mut Review, path: &Path, args: &BTreeMap<String, String>) {
    if let Some(value) = args.get("anonymous-auth").filter(|v| is_false(v)) {
        let message = format!("without anonymous requests ({}) nobody can ask the API server whether it is ready", quoted(value));
        let hint = "leave the flag out: anonymous requests may only read /healthz, /livez, /readyz and /version, unless a role binding says otherwise";
        review.fault(path.join("anonymous-auth"), message, hint);
    }
}

/// Refuses a folder for the log of etcd that the static pod does not mount: the log would be lost with the container, and etcd would not start again.
fn check_log(review: &mut Review, path: &Path, args: &BTreeMap<String, String>) {
    let is_lost = |folder: &&String| below(folder, layout::ETCD_DATA_DIR).is_none_or(str::is_empty);
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

/// Whether Go reads the value of a flag as false.
fn is_false(value: &str) -> bool {
    value.eq_ignore_ascii_case("false") || value.eq_ignore_ascii_case("f") || value == "0"
}

/// Refuses values with spaces, quotes or backslashes: as with kubeadm, the kubelet's flags are one line of an environment file, and systemd
/// splits that line into words. Also refuses a kubelet that does not renew its certificate; `--rotate-certificates=true` only repeats what applies.
fn check_words(review: &mut Review, path: &Path, args: &BTreeMap<String, String>) {
    if args.get("rotate-certificates").is_some_and(|v| is_false(v)) {
        let message = "with this flag the kubelet does not renew its client certificate, and its node is lost when that expires";
        review.fault(path.join("rotate-certificates"), message, "leave the flag out");
    }
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
