//! The inventory's files for the control plane, and the volumes by which static pods see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::layout;

/// A file that clusterctl writes on every control-plane host, owned by root.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ControlPlaneFile {
    /// Path on the hosts, below `/opt`, `/srv`, `/usr/local/etc`, `/usr/local/share`, `/var/lib/kubernetes`, or the folder of kubeadm (but not in its
    /// folders `pki` and `manifests`).
    #[schemars(example = &layout::FILE_EXAMPLE)]
    pub path: String,
    /// The content as text; either this or `file` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::FileContent>")]
    pub content: Option<String>,
    /// A file on this machine, relative to the inventory, that has the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"audit-policy.yaml")]
    pub file: Option<String>,
    /// Permission bits in octal, quoted; the default is `0644`, or `0600` for a secret file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = schema::MODE), example = &"0640")]
    pub mode: Option<String>,
    /// Whether only a digest of the content is shown. A secret file is given by `file`, and others than its owner and group may not read it.
    #[serde(default)]
    pub secret: bool,
}

impl ControlPlaneFile {
    /// The permission bits; `None` if the text is not a mode, which `parse` refuses.
    pub fn bits(&self) -> Option<u32> {
        let default = if self.secret { "0600" } else { "0644" };
        let text = self.mode.as_deref().unwrap_or(default);
        let digits = text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let whole = text.len() == 3 || (text.len() == 4 && text.starts_with('0'));
        u32::from_str_radix(text, 8).ok().filter(|_| digits && whole)
    }
}

/// A file or folder of the host that a static pod mounts, as `extraVolumes` of kubeadm.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtraVolume {
    /// Name of the volume in the pod: an RFC 1123 label.
    #[schemars(regex(pattern = schema::LABEL), length(max = 63), example = &"audit")]
    pub name: String,
    /// Path on the host.
    #[schemars(example = &layout::FILE_FOLDER_EXAMPLE)]
    pub host_path: String,
    /// Path in the container.
    #[schemars(example = &layout::FILE_FOLDER_EXAMPLE)]
    pub mount_path: String,
    /// Whether the container cannot write to the volume.
    #[serde(default)]
    pub read_only: bool,
    /// What the host must have at `hostPath`, and what the kubelet makes if it is missing; by default the kubelet checks and makes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_type: Option<PathType>,
}

/// Types of a `hostPath` volume, by the names of Kubernetes.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
pub enum PathType {
    Directory,
    DirectoryOrCreate,
    File,
    FileOrCreate,
    Socket,
    CharDevice,
    BlockDevice,
}

/// The beginning of the names of the volumes by which static pods see the files of `controlPlane.files`.
pub const FILE_VOLUMES: &str = "clusterctl-file-";

/// The part of `path` below the folder `base`: empty if the two are equal, and otherwise with a leading slash. `None` if `path` is neither `base`
/// nor below it.
pub fn below<'p>(path: &'p str, base: &str) -> Option<&'p str> {
    path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let bits = |mode: Option<&str>, secret| {
            let mode = mode.map(String::from);
            ControlPlaneFile { path: String::new(), content: None, file: None, mode, secret }.bits()
        };
        assert_eq!((bits(None, false), bits(None, true)), (Some(0o644), Some(0o600)));
        assert_eq!((bits(Some("0640"), true), bits(Some("400"), false)), (Some(0o640), Some(0o400)));
        for bad in ["", "64", "1644", "0o64", "06440", "-644", "+644", "0648", "rw-"] {
            assert_eq!(bits(Some(bad), false), None, "{bad}");
        }
    }

    #[test]
    fn a_path_below_a_folder() {
        assert_eq!((below("/a/b", "/a"), below("/a", "/a"), below("/ab", "/a")), (Some("/b"), Some(""), None));
    }
}
