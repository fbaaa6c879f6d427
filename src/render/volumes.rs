//! The volumes of static pods: those of kubeadm, the operator's `extraVolumes`, and the copies of the operator's files.

use serde::Serialize;

use crate::inventory::{ExtraVolume, FILE_VOLUMES, PathType, below};

/// A file of `controlPlane.files`, and its copy on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCopy {
    /// The path that the operator chose.
    pub path: String,
    /// The path of the copy, which changes with the content.
    pub copy: String,
}

#[derive(Clone, Serialize)]
pub(super) struct Volume {
    pub name: String,
    /// Path on the host.
    pub path: String,
    /// Path in the container.
    pub mount: String,
    /// The type of the path; without one, the kubelet checks nothing.
    pub kind: Option<PathType>,
    pub read_only: bool,
}

impl Volume {
    /// A folder that the pod reads at its path on the host.
    pub fn read(name: &str, path: &str) -> Self {
        Volume { name: name.into(), path: path.into(), mount: path.into(), kind: Some(PathType::DirectoryOrCreate), read_only: true }
    }

    /// A folder that the pod reads and writes at its path on the host.
    pub fn writable(name: &str, path: &str) -> Self {
        Volume { read_only: false, ..Volume::read(name, path) }
    }

    /// A file that the pod reads at its path on the host.
    pub fn file(name: &str, path: &str) -> Self {
        Volume { kind: Some(PathType::FileOrCreate), ..Volume::read(name, path) }
    }

    fn extra(volume: &ExtraVolume) -> Self {
        Volume {
            name: volume.name.clone(),
            path: volume.host_path.clone(),
            mount: volume.mount_path.clone(),
            kind: volume.path_type,
            read_only: volume.read_only,
        }
    }
}

/// All volumes of a pod, sorted by name: its own, the operator's, and the copies of `files`.
///
/// A pod does not see a file at the operator's path, but the copy of the file, which is mounted over it. A copy never changes. So a file that changes
/// changes the manifest, and the pod is replaced; and if the new pod does not serve, the previous manifest leads to the previous content.
pub(super) fn all(own: Vec<Volume>, extra: &[ExtraVolume], files: &[FileCopy]) -> Vec<Volume> {
    let mut volumes = own;
    volumes.extend(extra.iter().map(Volume::extra));
    let mut copies: Vec<Volume> = Vec::new();
    for file in files {
        for i in 0..volumes.len() {
            let Some(rest) = below(&file.path, &volumes[i].path) else { continue };
            let mount = format!("{}{rest}", volumes[i].mount);
            let depth = |v: &Volume| below(&mount, &v.mount).map(|_| v.mount.len());
            // Another volume, which is mounted between the two, can hide the file.
            let hidden = volumes.iter().filter_map(depth).max() > Some(volumes[i].mount.len());
            if rest.is_empty() {
                volumes[i].path.clone_from(&file.copy);
            } else if !hidden && copies.iter().all(|c| c.mount != mount) {
                copies.push(Volume { path: file.copy.clone(), mount, kind: Some(PathType::File), ..Volume::read("", "") });
            }
        }
    }
    copies.sort_by(|a, b| a.mount.cmp(&b.mount));
    for (i, copy) in copies.iter_mut().enumerate() {
        copy.name = format!("{FILE_VOLUMES}{i}");
    }
    volumes.extend(copies);
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    volumes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extra(name: &str, host_path: &str, mount_path: &str) -> ExtraVolume {
        let (host_path, mount_path) = (host_path.into(), mount_path.into());
        ExtraVolume { name: name.into(), host_path, mount_path, read_only: true, path_type: None }
    }

    /// The paths on the host and in the container of the volumes for these `extraVolumes` and the file /a/b/f.
    fn mounts(extra: &[ExtraVolume]) -> Vec<(String, String)> {
        let files = [FileCopy { path: "/a/b/f".into(), copy: "/copy".into() }];
        all(vec![], extra, &files).into_iter().map(|v| (v.path, v.mount)).collect()
    }

    fn pair(path: &str, mount: &str) -> (String, String) {
        (path.into(), mount.into())
    }

    #[test]
    fn a_file_is_seen_through_the_volumes_that_contain_it() {
        assert_eq!(mounts(&[extra("other", "/a/bb", "/x")]), [pair("/a/bb", "/x")]);
        assert_eq!(mounts(&[extra("v", "/a", "/x")]), [pair("/copy", "/x/b/f"), pair("/a", "/x")]);
        let both = mounts(&[extra("v", "/a", "/x"), extra("w", "/a/b", "/y")]);
        assert_eq!(both, [pair("/copy", "/x/b/f"), pair("/copy", "/y/f"), pair("/a", "/x"), pair("/a/b", "/y")]);
    }

    #[test]
    fn a_volume_that_is_the_file_itself_becomes_its_copy() {
        assert_eq!(mounts(&[extra("v", "/a/b/f", "/x")]), [pair("/copy", "/x")]);
    }

    #[test]
    fn a_file_that_another_volume_hides_is_not_mounted() {
        assert_eq!(mounts(&[extra("v", "/a", "/x"), extra("w", "/other", "/x/b")]), [pair("/a", "/x"), pair("/other", "/x/b")]);
        let same = mounts(&[extra("v", "/a", "/x"), extra("w", "/a/b", "/x/b")]);
        assert_eq!(same, [pair("/copy", "/x/b/f"), pair("/a", "/x"), pair("/a/b", "/x/b")], "one mount, not two");
    }
}
