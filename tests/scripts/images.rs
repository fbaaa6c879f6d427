//! Tests of `images.sh`, which pulls images, and of `check_flags.sh`, which runs programs of images with their flags and `--help`: an image that is
//! reported as present was pulled and is on the disk, and a program that rejects its flags fails the step with the program's own message.

use clusterctl::facts::PodFact;
use clusterctl::step::{CheckFlags, Image};

use super::pods::{all, ended, last_call, same};
use super::runs::{anything, killed, twice, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

/// A script for the stub of ctr: it appends each image that is pulled to the file `images`, unless it is there, and empties this file when an image is
/// removed.
const RUNTIME: &str =
    "case \"$*\" in *' images pull '*) for i; do :; done; grep -qxF \"$i\" \"$STUB/images\" || echo \"$i\" >>\"$STUB/images\" ;; *' images rm '*) : >\"$STUB/images\" ;;
*' images ls') for i in $(/bin/cat \"$STUB/images\"); do echo \"$i type sha256:digest-of-$i size\"; done ;; esac\n";

/// The beginning of the message of a step whose kube-apiserver rejects its flags; the output of kube-apiserver follows.
const NOT_TAKEN: &str = "kube-apiserver of site/kube-apiserver:1 does not accept its flags:\n";

fn host() -> Sandbox {
    let host = Sandbox::new();
    host.stub("ctr.script", RUNTIME);
    host.write("/var/lib/containerd/meta.db", "");
    host.write("/run/containerd/containerd.sock", "");
    host
}

/// A host on which image 1 was pulled, and not yet written to the disk. containerd also knows the image by its digest, and has two leases: one that
/// is older than its own start, and one of a client that still runs.
fn unsynced() -> Sandbox {
    let host = host();
    host.write("/var/lib/clusterctl/pulls", "site/image:1\n");
    host.stub("images", "site/image:1\n");
    host.stub(
        "ctr.script",
        &format!(
            "case \"$*\" in *' images ls') echo 'REF TYPE DIGEST'; echo 'site/image:1 type sha256:aa'; echo 'sha256:bb type sha256:aa'; exit ;;\n\
             *' leases ls') echo 'ID CREATED AT LABELS'; echo 'old 1970-01-01T00:00:05Z containerd.io/gc.expire=x'\n\
             echo 'new 2970-01-01T00:00:05Z containerd.io/gc.expire=x'; echo 'kept 1970-01-01T00:00:05Z '; exit ;; esac\n{RUNTIME}"
        ),
    );
    host
}

fn four() -> Image {
    Image { references: (1..=4).map(|n| format!("site/image:{n}")).collect() }
}

fn pulled(host: &Sandbox) -> Result<(), String> {
    let mut images: Vec<String> = host.read("/stub/images").unwrap_or_default().lines().map(String::from).collect();
    images.sort();
    images.dedup();
    same(images, four().references, "images")?;
    let log = host.log();
    let last = last_call(&log, &[" images pull "]);
    let synced = last_call(&log, &[" sync -f "]);
    same(last < synced, true, "the disk is synced after the last pull")?;
    same(host.read("/var/lib/clusterctl/pulls"), None, "names of images that are not on the disk")
}

fn accepts() -> CheckFlags {
    let pod = |tag: &str| PodFact { image: format!("site/{tag}:1"), argv: vec![tag.into(), "--flag=a b".into()] };
    CheckFlags { programs: vec![("etcd", pod("etcd")), ("kube-apiserver", pod("kube-apiserver"))] }
}

fn no_mount_left(host: &Sandbox) -> Result<(), String> {
    let log = host.log();
    same(log.matches(" images mount ").count(), log.matches(" images unmount ").count(), "mounts and unmounts")?;
    nothing_in_run(host)
}

/// Checks that no file and no mount point is left in `/run`. A lock file stays, because another script may hold its lock.
fn nothing_in_run(host: &Sandbox) -> Result<(), String> {
    let left: Vec<String> = host.list("/run").into_iter().filter(|f| !f.ends_with(".lock") && f != "containerd").collect();
    same(left, vec![], "left in /run")
}

pub fn table(t: &mut Table) {
    pulls(t);
    flags(t);
}

fn pulls(t: &mut Table) {
    t.row("pull: four images -> all of them are there, and on the disk", || {
        let host = host();
        let end = host.apply(four());
        all(&host, [ended(&end, "done"), pulled(&host), no_mount_left(&host)])
    });
    for n in [1, 3, 4] {
        let reference = ["", "*image:1", "", "*image:3", "*image:4"][n];
        t.row(format!("pull: image {n} of four cannot be pulled -> the step fails and names it, and the next run ends the work"), || {
            let host = host();
            let [end, next] = twice(Fault::CallFails("ctr", reference), &host, four());
            all(&host, [ended(&end, &format!("site/image:{n}: ctr: it fails")), ended(&next, "done"), pulled(&host)])
        });
        t.row(format!("pull: the registry of image {n} answers nothing more -> the step ends and names it"), || {
            let wanted = format!("site/image:{n}: ctr did not end within");
            under(Fault::Hangs("ctr", reference), &host(), four(), &wanted, anything)
        });
        t.row(format!("pull: the pull of image {n} is killed, without a word -> the step fails"), || {
            let host = host();
            // This kills the subshell of `images.sh` that pulls the image, as the kernel may do when memory is short. The subshell is the parent of
            // `within`, which runs ctr.
            host.stub(
                "ctr.script",
                &format!("case \"$*\" in *image:{n}) kill -KILL $(/bin/ps -o ppid= -p $PPID); exit 1 ;; esac\n{RUNTIME}"),
            );
            under(Fault::None, &host, four(), "not all pulled", anything)
        });
    }
    t.row("pull: the first three take all of the time -> the fourth is not begun, because it would have no limit", || {
        let not_begun =
            |host: &Sandbox| same(host.log().lines().any(|l| l.contains("images pull") && l.contains("image:4")), false, "image 4");
        under(Fault::Hangs("ctr", "*image:3"), &host(), four(), "site/image:4: ctr was not started", not_begun)
    });
    t.row("pull: the disk does not take the images -> the step fails", || {
        under(Fault::ToolFails("sync", "*"), &host(), four(), "cannot be written to the disk", anything)
    });
    t.row("pull: /run takes no file -> the step fails, and nothing is pulled", || {
        let not_pulled = |host: &Sandbox| same(host.log().contains("images pull"), false, "pulled");
        under(Fault::ToolFails("mktemp", "*"), &host(), four(), "No space left", not_pulled)
    });
    t.row("pull: the power failed after an earlier pull -> its image is removed under all its names, and pulled anew", || {
        let host = unsynced();
        let end = host.apply(four());
        let log = host.log();
        let removed = last_call(&log, &["images rm --sync site/image:1 sha256:bb"]);
        let [old, others] = ["leases rm --sync old", "leases rm --sync new"].map(|call| log.contains(call));
        let anew = removed < last_call(&log, &["images pull", "site/image:1"]);
        all(
            &host,
            [
                ended(&end, "done"),
                same(removed.is_some(), true, "it is removed"),
                same(anew, true, "it is pulled after that"),
                same((old, others, log.contains("leases rm --sync kept")), (true, false, false), "leases that are removed"),
                pulled(&host),
            ],
        )
    });
    t.row("pull: an earlier pull was killed, and the host has not booted since -> its image is pulled again, and not removed", || {
        let host = unsynced();
        host.write("/run/clusterctl-pulls", "");
        let end = host.apply(four());
        all(&host, [ended(&end, "done"), same(host.log().contains("images rm"), false, "removed"), pulled(&host)])
    });
    t.row("pull: the image of an earlier pull cannot be removed -> the step fails and names it", || {
        under(Fault::CallFails("ctr", "*images rm*"), &unsynced(), four(), "site/image:1 was pulled before a power failure", |h| {
            same(h.log().contains("images pull"), false, "pulled")
        })
    });
    t.row("pull: some pulls fail -> those that ended are on the disk", || {
        under(Fault::CallFails("ctr", "*image:2"), &host(), four(), "site/image:2", |h| {
            same(h.read("/var/lib/clusterctl/pulls"), None, "names of images that are not on the disk")
        })
    });
    t.row("pull: the disk does not take the images -> their names stay, so that they do not count as present", || {
        under(Fault::ToolFails("sync", "*/var/lib/containerd"), &host(), four(), "cannot be written to the disk", |h| {
            same(h.read("/var/lib/clusterctl/pulls").map(|p| p.lines().count()), Some(4), "names of images that are not on the disk")
        })
    });
    t.sweep("pull: killed at a call -> the next run ends the work", 1, |n| {
        killed(Fault::KilledAtCall(n), &host(), four(), anything, pulled)
    });
}

fn flags(t: &mut Table) {
    t.row("flags: both programs take theirs -> done, word by word, and no mount is left", || {
        let host = host();
        host.stub("chroot.script", "for w; do printf '%s|' \"$w\"; done >>\"$STUB/asked\"\n");
        let end = host.apply(accepts());
        let asked = host.read("/stub/asked").unwrap_or_default();
        all(&host, [ended(&end, "done"), same(asked.contains("etcd|--flag=a b|--help|"), true, &asked), no_mount_left(&host)])
    });
    t.row("flags: a program does not know one -> the step fails in its words", || {
        let host = host();
        host.stub("chroot.script", "case \"$*\" in *kube-apiserver*) echo 'Error: unknown flag: --flag' >&2; exit 1 ;; esac\n");
        under(Fault::None, &host, accepts(), &format!("{NOT_TAKEN}Error: unknown flag"), no_mount_left)
    });
    t.row("flags: a program ends by a signal -> its image is removed and pulled anew, and it is asked again", || {
        let host = host();
        host.stub("images", "site/etcd:1\n");
        host.stub("chroot.script", "grep -q 'images rm .*etcd' \"$STUB/log\" || case \"$*\" in *' etcd '*) exit 139 ;; esac\n");
        let end = host.apply(accepts());
        all(&host, [ended(&end, "done"), same(host.log().contains("images rm --sync site/etcd:1"), true, "removed"), no_mount_left(&host)])
    });
    for status in [126, 139] {
        t.row(
            format!("flags: a program ends with status {status}, also when its image was pulled anew -> the step fails with that"),
            || {
                let host = host();
                host.stub("chroot.script", &format!("case \"$*\" in *' etcd '*) exit {status} ;; esac\n"));
                let wanted = format!("does not run on this host (status {status}), although the image was pulled anew");
                under(Fault::None, &host, accepts(), &wanted, no_mount_left)
            },
        );
    }
    for (call, wanted) in
        [("*images pull*", "cannot be pulled anew"), ("*images mount*", "the image cannot be mounted on this host: ctr: it fails")]
    {
        for (what, fault, wanted) in [
            ("fails -> the step fails with that", Fault::CallFails("ctr", call), wanted),
            ("hangs -> the step ends and names it", Fault::Hangs("ctr", call), "ctr did not end within"),
        ] {
            t.row(format!("flags: ctr {call} {what}"), || {
                let host = host();
                host.stub("chroot.script", "case \"$*\" in *' etcd '*) exit 139 ;; esac\n");
                under(fault, &host, accepts(), wanted, anything)
            });
        }
    }
    t.row("flags: a program ends by a signal, and no registry has its image -> the image stays", || {
        let host = host();
        host.stub("images", "site/etcd:1\n");
        host.stub("chroot.script", "case \"$*\" in *' etcd '*) exit 139 ;; esac\n");
        under(Fault::CallFails("ctr", "*images pull*"), &host, accepts(), "so it stays on this host", |h| {
            same(h.log().contains("images rm"), false, "removed")?;
            no_mount_left(h)
        })
    });
    t.row("flags: a program does not end -> the step ends and names it, and no mount is left", || {
        let wanted = format!("{NOT_TAKEN}error: it does not answer --help within 20 s");
        under(Fault::Hangs("chroot", "* kube-apiserver *"), &host(), accepts(), &wanted, no_mount_left)
    });
    t.row("flags: a killed script has left an image mounted -> it is unmounted first, and no mount is left", || {
        let host = host();
        host.write("/run/clusterctl-flags.mount/usr/bin/etcd", "");
        host.stub("ctr.script", "case \"$*\" in *' images unmount '*) for m; do :; done; /bin/rm -rf \"$m/usr\" ;; *' images mount '*) for m; do :; done; [ ! -e \"$m/usr\" ] || exit 1 ;; esac\n");
        let end = host.apply(accepts());
        all(&host, [ended(&end, "done"), nothing_in_run(&host)])
    });
    t.row("flags: the host was rebooted while an image was mounted -> its snapshot is removed, and it is mounted again", || {
        let host = host();
        host.stub("snapshot", "");
        host.stub("ctr.script", "case \"$*\" in *' images unmount '*) /bin/rm -f \"$STUB/snapshot\" ;; *' images mount '*) [ ! -e \"$STUB/snapshot\" ] || { echo 'ctr: snapshot: already exists' >&2; exit 1; } ;; esac\n");
        let end = host.apply(accepts());
        all(&host, [ended(&end, "done"), nothing_in_run(&host)])
    });
    t.row("flags: another run takes the lock while a program is asked -> its image is not removed", || {
        let host = host();
        host.stub("chroot.script", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"; exit 139\n");
        let end = host.apply(accepts());
        all(&host, [ended(&end, "fenced"), same(host.log().contains("images rm"), false, "removed"), nothing_in_run(&host)])
    });
    let whole = host();
    whole.apply(accepts());
    let length = whole.input_length();
    for n in [0, 1, length / 2, length - 66, length - 65, length - 1] {
        t.row(format!("flags: the input ends after {n} bytes -> no program is asked"), || {
            let not_asked = |host: &Sandbox| same(host.log().contains("- ctr"), false, "asked");
            under(Fault::InputEnds(n), &host(), accepts(), "nothing was changed", not_asked)
        });
    }
}
