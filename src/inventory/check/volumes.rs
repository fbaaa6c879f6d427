//! Rules about the `extraVolumes` of static pods, and what a static pod mounts by itself.

use super::super::path::{Path, at};
use super::super::words::quoted;
use super::super::{ControlPlane, ExtraVolume, FILE_VOLUMES, below};
use super::review::Review;
use super::shape::{is_label, path_fault};
use crate::layout;

/// The names of the volumes that clusterctl gives static pods itself, in addition to those that are named after the folders of trusted certificates.
const NAMES: [&str; 5] = ["ca-certs", layout::ENCRYPTION_VOLUME, "flexvolume-dir", "k8s-certs", "kubeconfig"];

/// Folders of the container that no volume may hide: those of the kernel, and that of the component's program.
const OF_THE_CONTAINER: [&str; 4] = ["/proc", "/sys", "/dev", layout::BIN_DIR];

/// A component with `extraVolumes`: its name in the inventory, these volumes, and the paths that its pod mounts by itself.
pub(super) type Row<'a> = (&'static str, &'a [ExtraVolume], Vec<&'static str>);

/// The components with `extraVolumes`.
pub(super) fn components(plane: &ControlPlane) -> [Row<'_>; 3] {
    [
        ("apiServer", &plane.api_server.extra_volumes, [of_api_server(), vec![layout::ENCRYPTION_DIR]].concat()),
        ("controllerManager", &plane.controller_manager.extra_volumes, of_controller_manager()),
        ("scheduler", &plane.scheduler.extra_volumes, vec![layout::SCHEDULER_CONF]),
    ]
}

/// The paths that the pod of the API server mounts by itself. Of the folders of trusted certificates, it mounts those that exist on the host.
fn of_api_server() -> Vec<&'static str> {
    [&[layout::PKI_DIR, layout::SSL_CERTS_DIR], &layout::CA_DIRS[..]].concat()
}

/// The paths that the pod of the controller manager mounts by itself.
fn of_controller_manager() -> Vec<&'static str> {
    [&of_api_server()[..], &[layout::CONTROLLER_MANAGER_CONF, layout::FLEXVOLUME_DIR]].concat()
}

/// Whether a component mounts this path of the host.
pub(super) fn sees(plane: &ControlPlane, host_path: &str) -> bool {
    components(plane).iter().any(|(_, volumes, own)| {
        let mut bases = volumes.iter().map(|v| v.host_path.as_str()).chain(own.iter().copied());
        bases.any(|base| below(host_path, base).is_some())
    })
}

/// The volume that a path of the container belongs to: the one with the longest `mountPath`. `None` if it belongs to none.
pub(super) fn volume_of<'v>(volumes: &'v [ExtraVolume], path: &str) -> Option<&'v ExtraVolume> {
    volumes.iter().filter(|v| below(path, &v.mount_path).is_some()).max_by_key(|v| v.mount_path.len())
}

pub(super) fn check(review: &mut Review) {
    let plane = &review.inventory.control_plane;
    for (component, volumes, own) in components(plane) {
        let at = at!["controlPlane", component, "extraVolumes"];
        for (i, volume) in volumes.iter().enumerate() {
            let at = at.join(i);
            check_name(review, &at.join("name"), &volume.name);
            for (field, path) in [("hostPath", &volume.host_path), ("mountPath", &volume.mount_path)] {
                if let Some(fault) = path_fault(path) {
                    review.fault(
                        at.join(field),
                        format!("the path {} {fault}", quoted(path)),
                        format!("write one such as `{}`", layout::FILE_FOLDER_EXAMPLE),
                    );
                }
            }
            if path_fault(&volume.mount_path).is_none() {
                check_mount(review, &at.join("mountPath"), &volume.mount_path, &own);
            }
            for other in &volumes[..i] {
                if other.name == volume.name {
                    let message = format!("two volumes have the name {}", quoted(&volume.name));
                    review.fault(at.join("name"), message, "choose another name for one of the two");
                }
                if other.mount_path == volume.mount_path {
                    let message = format!("two volumes have the mount path {}", quoted(&volume.mount_path));
                    review.fault(at.join("mountPath"), message, "choose another path for one of the two");
                }
            }
        }
    }
}

fn check_name(review: &mut Review, at: &Path, name: &str) {
    if !is_label(name) {
        let hint = "write lower-case letters, digits and dashes, 63 characters at most";
        return review.fault(at.clone(), format!("the volume's name {} is not an RFC 1123 label", quoted(name)), hint);
    }
    let of_certificates = || layout::CA_DIRS.iter().any(|dir| dir[1..].replace('/', "-") == name);
    if NAMES.contains(&name) || name.starts_with(FILE_VOLUMES) || of_certificates() {
        review.fault(at.clone(), format!("clusterctl itself has a volume with the name {}", quoted(name)), "choose another name");
    }
}

fn check_mount(review: &mut Review, at: &Path, mount: &str, own: &[&str]) {
    if let Some(base) = own.iter().find(|base| below(mount, base).is_some()) {
        let message = format!("the pod mounts {} there already", quoted(base));
        review.fault(at.clone(), message, "choose another `mountPath`, and name it in the flags");
    } else if let Some(base) = OF_THE_CONTAINER.iter().find(|base| below(mount, base).or(below(base, mount)).is_some()) {
        let message = format!("the volume would hide {} of the container", quoted(base));
        review.fault(at.clone(), message, format!("choose another `mountPath`, such as `{}`", layout::FILE_FOLDER_EXAMPLE));
    }
}
