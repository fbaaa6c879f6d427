//! The stubs that are first on a sandbox's PATH: the files of `stubs/`, and links to some of them under the names of other tools.
//!
//! Each sandbox makes these links itself. Links in the repository would depend on how it was checked out: where links cannot be made, git writes
//! their targets as text.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The stubs to which links are made, each with the names of the links.
const NAMES: [(&str, &[&str]); 4] = [
    ("effect", &["cat", "chmod", "chown", "cp", "head", "ln", "mkdir", "mktemp", "mv", "rm", "rmdir", "sync", "tee", "touch", "truncate"]),
    (
        "scripted",
        &[
            "apt-get",
            "chroot",
            "dpkg",
            "ip",
            "ip6tables-restore",
            "ip6tables-save",
            "iptables-restore",
            "iptables-save",
            "ipvsadm",
            "modprobe",
            "ss",
            "sysctl",
            "umount",
        ],
    ),
    ("iptables", &["ip6tables"]),
    ("silent", &["journalctl"]),
];

/// The folder of the repository that contains the stubs.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/stubs")
}

/// Makes the folder `at` and, in it, the links of [`NAMES`].
pub fn link_into(at: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(at)?;
    for (stub, tools) in NAMES {
        for tool in tools {
            symlink(folder().join(stub), at.join(tool))?;
        }
    }
    Ok(())
}
