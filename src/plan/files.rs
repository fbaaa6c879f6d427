//! The operator's files for control-plane hosts, and their copies.
//!
//! Each file is written to the path that the operator chose. A static pod that sees the file mounts a copy of it, whose name has a digest of the
//! content; see `render/volumes.rs`.

use super::encryption::KeyFile;
use crate::facts::HostFacts;
use crate::host::Secret;
use crate::inventory;
use crate::layout;
use crate::render::FileCopy;
use crate::step::{Absent, Content, File, Step, digest};

/// A file of `controlPlane.files` with its content.
pub struct ControlPlaneFile {
    path: String,
    content: Secret,
    mode: u32,
    secret: bool,
}

impl ControlPlaneFile {
    /// The file that the inventory describes, with this content.
    pub fn new(file: &inventory::ControlPlaneFile, content: Secret) -> Self {
        ControlPlaneFile { path: file.path.clone(), content, mode: file.bits().unwrap_or(0o600), secret: file.secret }
    }

    /// The file and its copy. The name of the copy has a digest of the path and the content, so that two files never share one.
    pub(super) fn copy(&self) -> FileCopy {
        let whole = [self.path.as_bytes(), b"\0", self.content.expose()].concat();
        let copy = format!("{}/{}-{}", layout::FILES_DIR, &digest(&whole)[..16], layout::basename(&self.path));
        FileCopy { path: self.path.clone(), copy }
    }

    /// The file and its copy as they should be on a host. The copy counts as secret, because the plan shows the content at the operator's path.
    pub(super) fn on_host(&self) -> [File; 2] {
        let file = |path: String, secret| File {
            path,
            content: Content::Bytes(self.content.clone()),
            mode: self.mode,
            secret,
            unit: None,
            check: None,
        };
        [file(self.path.clone(), self.secret), file(self.copy().copy, true)]
    }
}

/// The step that removes the copies that no static pod of the host mounts any more; `None` if there are none.
pub(super) fn unused(copies: &[FileCopy], f: &HostFacts) -> Option<Step> {
    let is_copy = |path: &&String| inventory::below(path, layout::FILES_DIR).is_some_and(|rest| !rest.is_empty());
    let unused = |path: &&String| copies.iter().all(|c| c.copy != **path);
    let paths: Vec<String> = f.files.keys().filter(is_copy).filter(unused).cloned().collect();
    let why = "no static pod uses these copies of files any more\n".into();
    (!paths.is_empty()).then(|| Absent { paths, locked: false, why }.into())
}

/// The file with the keys of an API server as it should be on a host, with its folder.
pub(super) fn of_keys(file: &KeyFile) -> [File; 2] {
    let content = Content::Bytes(file.content.clone());
    let keys = File { path: file.path.clone(), content, mode: 0o600, secret: true, unit: None, check: None };
    [File::folder(layout::ENCRYPTION_DIR, 0o700), keys]
}

/// The step that removes files with keys that the API server of the host does not read any more; `None` if there are none. Without a file that it
/// reads, their folder is removed, too.
pub(super) fn unused_keys(keys: Option<&KeyFile>, f: &HostFacts) -> Option<Step> {
    let inside = |path: &&String| inventory::below(path, layout::ENCRYPTION_DIR).is_some_and(|rest| keys.is_none() || !rest.is_empty());
    let unused = |path: &&String| keys.is_none_or(|file| file.path != **path);
    let paths: Vec<String> = f.files.keys().filter(inside).filter(unused).cloned().collect();
    let why = "the API server does not read these keys any more\n".into();
    (!paths.is_empty()).then(|| Absent { paths, locked: false, why }.into())
}
