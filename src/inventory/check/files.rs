//! Rules about `controlPlane.files`: where a file may be, what its content is, and who may read it.

use super::super::path::{Path, at};
use super::super::words::quoted;
use super::super::{ControlPlaneFile, below};
use super::review::Review;
use super::shape::{looks_like_url, path_fault};
use super::volumes;
use crate::layout;

/// The folders below [`layout::FILE_ROOTS`] whose files clusterctl writes itself, or that belong to other programs of the cluster.
const OWNED: [&str; 4] = [layout::PKI_DIR, layout::MANIFESTS_DIR, layout::CNI_DIR, layout::ENCRYPTION_DIR];

pub(super) fn check(review: &mut Review) {
    let files = &review.inventory.control_plane.files;
    for (i, file) in files.iter().enumerate() {
        let at = at!["controlPlane", "files", i];
        check_path(review, &at.join("path"), &file.path);
        check_content(review, &at, file);
        check_mode(review, &at.join("mode"), file);
        for other in &files[..i] {
            if other.path == file.path {
                let message = format!("two files have the path {}", quoted(&file.path));
                review.fault(at.join("path"), message, "remove one of the two");
            } else if below(&file.path, &other.path).or(below(&other.path, &file.path)).is_some() {
                let message = format!("the files {} and {} cannot both exist", quoted(&other.path), quoted(&file.path));
                review.fault(at.join("path"), message, "one path is a folder of the other: choose another path for one of the two");
            }
        }
        if path_fault(&file.path).is_none() && !volumes::sees(&review.inventory.control_plane, &file.path) {
            let message = format!("no component mounts the file {}", quoted(&file.path));
            review.warn(at.join("path"), message, "mount its folder with the `extraVolumes` of a component");
        }
    }
}

fn check_path(review: &mut Review, at: &Path, path: &str) {
    let shown = quoted(path);
    if let Some(fault) = path_fault(path) {
        return review.fault(at.clone(), format!("the path {shown} {fault}"), format!("write one such as `{}`", layout::FILE_EXAMPLE));
    }
    let inside = |base: &str| below(path, base).is_some_and(|rest| !rest.is_empty());
    if !layout::FILE_ROOTS.iter().any(|root| inside(root)) {
        let message = format!("the path {shown} is in a folder of the operating system or of another program");
        return review.fault(at.clone(), message, format!("choose a path below {}", layout::FILE_ROOTS.join(", ")));
    }
    let conf = below(path, layout::KUBERNETES_DIR).is_some_and(|rest| rest.ends_with(".conf") && rest.matches('/').count() == 1);
    if conf || OWNED.iter().any(|owned| below(path, owned).or(below(owned, path)).is_some()) {
        let message = format!("clusterctl or a program of the cluster writes to {shown} itself");
        review.fault(at.clone(), message, format!("choose a folder of its own, such as `{}`", layout::FILE_FOLDER_EXAMPLE));
    }
}

fn check_content(review: &mut Review, at: &Path, file: &ControlPlaneFile) {
    match (&file.content, &file.file) {
        (None, None) => review.fault(at.clone(), "the file has no content", "write the text as `content`, or name a file as `file`"),
        (Some(_), Some(_)) => review.fault(at.join("file"), "the file has both `content` and `file`", "remove one of the two"),
        (Some(_), None) if file.secret => {
            let hint = "put it into a file of its own and name that as `file`, so that the inventory contains no secrets";
            review.key_fault(at.join("content"), "the content of a secret file stands in the inventory", hint);
        }
        (None, Some(name)) if name.is_empty() => {
            review.fault(at.join("file"), "no file is named here", "write a path relative to the inventory")
        }
        (None, Some(name)) if looks_like_url(name) => {
            review.fault(at.join("file"), format!("{} is a URL", quoted(name)), "download it, and write a path relative to the inventory");
        }
        _ => {}
    }
}

fn check_mode(review: &mut Review, at: &Path, file: &ControlPlaneFile) {
    let shown = quoted(file.mode.as_deref().unwrap_or_default());
    match file.bits() {
        None => review.fault(at.clone(), format!("{shown} is not a mode"), "write three octal digits such as `\"0644\"`"),
        Some(bits) if file.secret && bits & 0o007 != 0 => {
            review.fault(at.clone(), format!("with the mode {shown}, every user of the host can use the secret file"), "write `\"0600\"`");
        }
        Some(bits) if bits & 0o002 != 0 => {
            review.fault(at.clone(), format!("with the mode {shown}, every user of the host can change the file"), "write `\"0644\"`");
        }
        Some(bits) if bits & 0o400 == 0 => {
            review.fault(at.clone(), format!("with the mode {shown}, the owner of the file cannot read it"), "write `\"0600\"`");
        }
        Some(_) => {}
    }
}
