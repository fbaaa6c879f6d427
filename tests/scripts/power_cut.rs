//! A real power cut: an ext4 file system on a loop device is shut down without a flush of its journal while `manifest.sh` sets a static pod manifest
//! aside. Where the machine has no root rights or loop devices, these rows are skipped, and the skip is reported. Other rows start the kubelet with the
//! empty files that a power cut leaves of certificates which the kubelet has just written.

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

/// Runs the command that precedes the start of the kubelet, in a folder with these files of `/var/lib/kubelet/pki`, each with its content. `current` is the
/// target of `kubelet-client-current.pem`; empty: that link does not exist. Returns the files afterwards, the link with its target.
fn before_the_kubelet(files: &[(&str, &str)], current: &str) -> Result<Vec<(String, String)>, String> {
    let place = tempfile::tempdir().map_err(|e| e.to_string())?;
    let pki = place.path().join("var/lib/kubelet/pki");
    std::fs::create_dir_all(&pki).map_err(|e| e.to_string())?;
    for (at, (name, content)) in files.iter().enumerate() {
        std::fs::write(pki.join(name), content).map_err(|e| e.to_string())?;
        // The script takes the newest of several client certificates, so each file is one second newer than the previous one.
        run("touch", &["-d", &format!("@{}", 1_700_000_000 + at), &pki.join(name).display().to_string()])?;
    }
    if !current.is_empty() {
        std::os::unix::fs::symlink(pki.join(current), pki.join("kubelet-client-current.pem")).map_err(|e| e.to_string())?;
    }
    let unit = clusterctl::render::kubelet::kubelet_unit().replace("\\\n", " ");
    let line = unit.lines().find_map(|l| l.strip_prefix("ExecStartPre=-/bin/sh -c '")).ok_or("the unit has no ExecStartPre")?;
    let line = line.trim_end_matches('\'').replace("$$", "$");
    let _ = run("/bin/sh", &["-c", &super::rewrite::rewrite(&line, &place.path().display().to_string())]);
    let mut left: Vec<(String, String)> = std::fs::read_dir(&pki)
        .map_err(|e| e.to_string())?
        .flatten()
        .map(|entry| {
            let to = std::fs::read_link(entry.path()).map(|to| format!("-> {}", to.file_name().unwrap_or_default().display()));
            let content = to.unwrap_or_else(|_| std::fs::read_to_string(entry.path()).unwrap_or_default());
            (entry.file_name().to_string_lossy().into_owned(), content)
        })
        .collect();
    left.sort();
    Ok(left)
}

/// Rows for what a power cut leaves of the kubelet's own certificates, which the kubelet does not sync.
fn kubelet_certificates(t: &mut Table) {
    type Files<'a> = &'a [(&'a str, &'a str)];
    let whole: Files<'_> = &[("kubelet-client-2026-01-01.pem", "client"), ("kubelet.crt", "serving"), ("kubelet.key", "key")];
    let torn: Files<'_> = &[("kubelet-client-2026-01-01.pem", "client"), ("kubelet.crt", "serving"), ("kubelet.key", "")];
    let rotated: Files<'_> =
        &[("kubelet-client-initial.pem", "first"), ("kubelet-client-2026-01-01.pem", "second"), ("kubelet-client-2026-09-01.pem", "")];
    let only: Files<'_> = &[("kubelet-client-2026-01-01.pem", "")];
    let current = "kubelet-client-current.pem";
    let rows: [(&str, Files<'_>, &str, Files<'_>); 5] = [
        (
            "whole certificates -> they stay",
            whole,
            "kubelet-client-2026-01-01.pem",
            &[(current, "-> kubelet-client-2026-01-01.pem"), whole[0], whole[1], whole[2]],
        ),
        ("an empty key of the serving certificate -> the pair is removed, and the kubelet makes another", torn, "", &torn[..1]),
        (
            "an empty client certificate -> the one before it is used",
            rotated,
            "kubelet-client-2026-09-01.pem",
            &[rotated[1], (current, "-> kubelet-client-2026-01-01.pem"), rotated[0]],
        ),
        (
            "an empty client certificate, and none before it -> it is removed",
            only,
            only[0].0,
            &[(current, "-> kubelet-client-2026-01-01.pem")],
        ),
        ("no client certificate in use -> an earlier one is not taken up again", &rotated[..2], "", &[rotated[1], rotated[0]]),
    ];
    for (what, files, link, wanted) in rows {
        t.row(format!("the kubelet starts after a power cut: {what}"), || {
            let mut wanted: Vec<(String, String)> = wanted.iter().map(|(n, c)| (n.to_string(), c.to_string())).collect();
            wanted.sort();
            let left = before_the_kubelet(files, link)?;
            if left == wanted { Ok(()) } else { Err(format!("the folder has {left:?}")) }
        });
    }
}

pub fn table(t: &mut Table) {
    kubelet_certificates(t);
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
