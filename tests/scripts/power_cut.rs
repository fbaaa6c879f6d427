//! A real power cut: an ext4 file system on a loop device is shut down without a flush of its journal while `manifest.sh` sets a static pod manifest
//! aside. Where the machine has no root rights or loop devices, these rows are skipped, and the skip is reported.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::pods::manifest;
use super::table::Table;
use clusterctl::script;

/// A Python program that shuts down the ext4 file system at its argument as a power cut would (EXT4_IOC_SHUTDOWN without a flush of the journal).
const SHUT_DOWN: &str = "import fcntl, os, struct, sys\nfcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// The shell functions with which a swap keeps, stages, sets aside and restores a static pod manifest. The tests rewrite the paths in them to a
/// folder of their own.
const MANIFEST: &str = script!("lib/manifest.sh");

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let out = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    if out.status.success() { Ok(()) } else { Err(format!("{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr))) }
}

fn mounted(image: &str, folder: &str) -> Result<(), String> {
    run("mount", &["-o", "loop", image, folder])
}

/// Checks that a copy of the old static pod manifest that was cut short is not put back, because it does not match its digest, and that the script
/// reports this.
fn torn_copy(folder: &Path) -> Result<(), String> {
    let at = |path: &str| format!("{}{path}", folder.display());
    for dir in ["/etc/kubernetes/manifests", "/etc/systemd/system", "/var/lib/clusterctl/static-pods"] {
        std::fs::create_dir_all(at(dir)).map_err(|e| e.to_string())?;
    }
    let (old, place) = (manifest("kube-apiserver", "old", ""), at("/etc/kubernetes/manifests/kube-apiserver.yaml"));
    std::fs::write(&place, &old).map_err(|e| e.to_string())?;
    let functions = super::rewrite::rewrite(MANIFEST, &folder.display().to_string());
    let sh = |what: &str| run("/bin/sh", &["-c", &format!("{functions}\n{what}")]);
    sh("keep_old kube-apiserver")?;
    std::fs::write(at("/var/lib/clusterctl/static-pods/kube-apiserver.old"), &old[..old.len() / 2]).map_err(|e| e.to_string())?;
    std::fs::remove_file(&place).map_err(|e| e.to_string())?;
    match (sh("restore kube-apiserver"), Path::new(&place).exists()) {
        (Err(why), false) if why.contains("no whole copy of it is on this host") => Ok(()),
        (end, there) => Err(format!("it ended {end:?}, and the manifest is there: {there}")),
    }
}

pub fn table(t: &mut Table) {
    t.row("the copy of the old manifest is torn -> it is not put in place, and the script says so", || {
        torn_copy(tempfile::tempdir().map_err(|e| e.to_string())?.path())
    });
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let (image, folder) = (place.path().join("disk"), place.path().join("host"));
    let (image, folder) = (image.display().to_string(), folder.display().to_string());
    let prepared = std::fs::create_dir(&folder)
        .map_err(|e| e.to_string())
        .and_then(|()| run("truncate", &["-s", "32M", &image]))
        .and_then(|()| run("mkfs.ext4", &["-q", "-F", &image]))
        .and_then(|()| mounted(&image, &folder));
    if let Err(why) = prepared {
        return t.skip(&format!("root and loop devices ({})", why.lines().next().unwrap_or_default().trim()));
    }
    let old = manifest("kube-apiserver", "old", &"# padding\n".repeat(500));
    let steps = [
        ("before anything", "true"),
        ("after the old manifest was kept", "keep_old kube-apiserver"),
        ("after the new manifest was staged", "keep_old kube-apiserver && stage $root/new kube-apiserver"),
        ("while it is set aside", "keep_old kube-apiserver && stage $root/new kube-apiserver && set_aside kube-apiserver"),
    ];
    for (when, what) in steps {
        t.row(format!("the power fails {when} -> the whole old manifest is there after the boot"), || {
            let at = |path: &str| format!("{folder}{path}");
            for dir in ["/etc/kubernetes/manifests", "/etc/systemd/system", "/var/lib/clusterctl/static-pods"] {
                let _ = std::fs::remove_dir_all(at(dir));
                std::fs::create_dir_all(at(dir)).map_err(|e| e.to_string())?;
            }
            std::fs::write(at("/etc/kubernetes/manifests/kube-apiserver.yaml"), &old).map_err(|e| e.to_string())?;
            std::fs::write(at("/new"), "the new manifest").map_err(|e| e.to_string())?;
            run("sync", &["-f", &folder])?;
            let functions = super::rewrite::rewrite(MANIFEST, &folder);
            run("/bin/sh", &["-c", &format!("{functions}\nroot={folder}\n{what}")])?;
            run("python3", &["-c", SHUT_DOWN, &folder])?;
            run("umount", &[&folder])?;
            mounted(&image, &folder)?;
            let _ = std::fs::set_permissions(Path::new(&folder), std::fs::Permissions::from_mode(0o755));
            let drop_in = at("/etc/systemd/system/kubelet.service.d/90-clusterctl-kube-apiserver.conf");
            let prepared = std::fs::read_to_string(drop_in).unwrap_or_default();
            if when.starts_with("while") && !prepared.contains("action=restore component=kube-apiserver") {
                return Err(format!("the kubelet's drop-in is not whole: {prepared:?}"));
            }
            if prepared.contains("restore") {
                run("/bin/sh", &["-c", &format!("{functions}\nrestore kube-apiserver")])?;
            }
            let now = std::fs::read_to_string(at("/etc/kubernetes/manifests/kube-apiserver.yaml")).unwrap_or_default();
            if now == old { Ok(()) } else { Err(format!("the manifest has {} bytes", now.len())) }
        });
    }
    let _ = run("umount", &[&folder]);
}
