//! The folder of stubs that is first on a sandbox's PATH: the files of `stubs/`, some of them under several names.
//!
//! The names are links that each sandbox makes for itself. Links in the repository would depend on how it was checked out: where links cannot be
//! made, git writes their targets as text.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The stubs that stand for several tools, each with the names of those tools.
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

/// The folder with the stubs themselves.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/stubs")
}

/// Makes the links in the folder `at`.
pub fn link_into(at: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(at)?;
    for (stub, tools) in NAMES {
        for tool in tools {
            symlink(folder().join(stub), at.join(tool))?;
        }
    }
    Ok(())
}
