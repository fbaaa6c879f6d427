//! Tests of `binary.sh`, which places an executable from a URL or an image at its path: the executable is whole and is the one that its source
//! offers, and only the run that holds the host's lock places it.

use clusterctl::step::Binary;
use clusterctl::step::binary::Source;

use super::pods::{all, ended, same};
use super::runs::{At, killed, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

const PATH: &str = "/usr/local/bin/kubelet";
const OLD: &str = "the kubelet before\n";
const NEW: &str = "the new kubelet, which is a longer program than the one before\n";

/// A script for the stub of curl, which acts as a mirror: it returns the executable or its checksum, and with `-C` it continues a partial download.
const MIRROR: &str = r#"
out='' from=0
while [ $# -gt 0 ]; do case $1 in -o) out=$2; shift ;; -C) resumes=yes; shift ;; --*) shift ;; esac; shift; done
case $url in
  *.sha256) /bin/cat "$STUB/sum"; exit 0 ;;
esac
[ -n "${resumes:-}" ] && [ -e "$out" ] && from=$(/usr/bin/stat -c %s "$out")
[ ! -e "$STUB/on-download" ] || . "$STUB/on-download"
if [ "$from" = 0 ]; then /bin/cat "$STUB/program" >"$out"; else tail -c +$((from + 1)) "$STUB/program" >>"$out"; fi
exit 0
"#;

fn host() -> Sandbox {
    let host = Sandbox::new();
    host.program(PATH, OLD);
    host.stub("curl.script", MIRROR);
    host.stub("program", NEW);
    host.stub("sum", &format!("{}  kubelet\n", clusterctl::step::digest(NEW.as_bytes())));
    host.stub("ctr.script", "case \"$*\" in *' images mount '*) for m; do :; done; /bin/cp \"$STUB/program\" \"$m/kubelet\" ;; *' images unmount '*) for m; do :; done; /bin/rm -f \"$m/kubelet\" ;; esac\n");
    host
}

fn from_url(host: &Sandbox, staged: bool) -> Binary {
    Binary { path: host.at(PATH), source: Source::Url("http://mirror/kubelet".into()), staged }
}

fn from_image(host: &Sandbox) -> Binary {
    let source = Source::Image { reference: "site/node:1".into(), path: "/kubelet".into() };
    Binary { path: host.at(PATH), source, staged: false }
}

/// Checks that the new executable is at its path with mode 0755, that `source` is recorded as its source, and that no partial file (`.part`) is left
/// in its folder.
fn placed(host: &Sandbox, source: &str) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(host.path(PATH)).map(|m| m.permissions().mode() & 0o777).unwrap_or_default();
    let stamp = host.read("/var/lib/clusterctl/binaries/kubelet").unwrap_or_default();
    let beside = host.list("/usr/local/bin").into_iter().filter(|f| f.contains(".part")).collect::<Vec<_>>();
    same(host.read(PATH), Some(NEW.into()), "the program")?;
    same(mode, 0o755, "its mode")?;
    same(stamp.lines().nth(1), Some(source), "its origin")?;
    same(beside, vec![], "left beside it")
}

fn untouched(host: &Sandbox) -> Result<(), String> {
    same(host.read(PATH), Some(OLD.into()), "the program before")?;
    same(host.read("/var/lib/clusterctl/binaries/kubelet"), None, "its stamp")
}

fn old_or_new(host: &Sandbox) -> Result<(), String> {
    let now = host.read(PATH).unwrap_or_default();
    same([OLD, NEW].contains(&now.as_str()), true, "old or new")
}

pub fn table(t: &mut Table) {
    type Make = fn(&Sandbox) -> Binary;
    let sources: [(&str, Make, &str); 2] =
        [("a download", |h| from_url(h, false), "http://mirror/kubelet"), ("an image", from_image, "site/node:1")];
    for (what, step, origin) in sources {
        t.row(format!("{what} -> the program is placed, by way of the disk"), || {
            let host = host();
            let end = host.apply(step(&host));
            let log = host.log();
            let synced = log.lines().position(|l| l.contains(" sync ") && l.ends_with("kubelet.part"));
            let moved = log.lines().position(|l| l.contains(" mv ") && l.ends_with("/kubelet"));
            all(&host, [ended(&end, "done"), placed(&host, origin), same(synced.is_some() && synced < moved, true, "synced first")])
        });
        for (tool, pattern) in [("cp", "*"), ("sync", "*.part"), ("chmod", "*"), ("mv", "*/kubelet")] {
            if tool == "cp" && what == "a download" {
                continue;
            }
            t.row(
                format!("{what}, the disk is full for {tool} {pattern} -> the program before is whole, and the next run ends the work"),
                || {
                    let host = host();
                    host.inject(Fault::DiskFull(tool, pattern));
                    let end = host.apply(step(&host));
                    all(&host, [ended(&end, "No space left"), untouched(&host)])?;
                    host.inject(Fault::None);
                    let next = host.apply(step(&host));
                    all(&host, [ended(&next, "done"), placed(&host, origin)])
                },
            );
        }
        let kinds: [(&str, At); 3] = [
            ("killed at an effect", Fault::KilledAt),
            ("killed inside an effect", Fault::KilledInside),
            ("killed at a call", Fault::KilledAtCall),
        ];
        for (how, fault) in kinds {
            if how == "killed inside an effect" && what == "a download" {
                continue;
            }
            t.sweep(format!("{what}, {how} -> the program is old or new, and the next run ends the work"), 1, |n| {
                let host = host();
                killed(fault(n), &host, step(&host), old_or_new, |h| {
                    let mounts: Vec<_> = h.list("/run").into_iter().filter(|f| !f.ends_with(".lock")).collect();
                    placed(h, origin).and_then(|()| same(mounts, vec![], "left in /run"))
                })
            });
        }
    }
    downloads(t);
    staged(t);
    for call in ["*images mount*", "*images unmount*"] {
        t.row(format!("an image, ctr {call} hangs -> the step ends"), || {
            let host = host();
            host.inject(Fault::Hangs("ctr", call));
            let end = host.apply(from_image(&host));
            if call == "*images mount*" {
                all(&host, [ended(&end, "ctr did not end within"), untouched(&host)])
            } else {
                placed(&host, "site/node:1")
            }
        });
    }
    t.row("an image, and a killed script has left another one mounted -> it is unmounted first, and no mount is left", || {
        let host = host();
        host.write("/run/clusterctl-kubelet.mount/kubelet", "another program");
        let end = host.apply(from_image(&host));
        let log = host.log();
        let first = log.lines().find(|l| l.contains(" images ")).unwrap_or_default().contains("images unmount");
        let left = host.path("/run/clusterctl-kubelet.mount").exists();
        all(&host, [ended(&end, "done"), placed(&host, "site/node:1"), same((first, left), (true, false), "unmounted first, left")])
    });
    t.row("an image that cannot be mounted -> the step fails, and nothing is placed", || {
        let host = host();
        under(Fault::CallFails("ctr", "*images mount*"), &host, from_image(&host), "ctr: it fails", untouched)
    });
    t.row("an image without the program -> the step fails, and nothing is placed", || {
        let host = host();
        host.stub("ctr.script", "");
        under(Fault::None, &host, from_image(&host), "No such file", untouched)
    });
}

fn downloads(t: &mut Table) {
    for (what, part, of, sent) in [("of this source", 20, true, "on"), ("of another source", 20, false, "anew")] {
        t.row(format!("a download, and a piece {what} is there -> it is sent {sent}"), || {
            let host = host();
            host.write(&format!("{PATH}.part"), &NEW[..part]);
            let sum = clusterctl::step::digest(NEW.as_bytes());
            host.write(&format!("{PATH}.part.of"), &format!("http://mirror/{} {sum}", if of { "kubelet" } else { "older" }));
            host.stub("on-download", "echo \"$from\" >>\"$STUB/begun\"\n");
            let end = host.apply(from_url(&host, false));
            let begun = host.read("/stub/begun");
            all(
                &host,
                [
                    ended(&end, "done"),
                    placed(&host, "http://mirror/kubelet"),
                    same(begun, Some(format!("{}\n", if of { part } else { 0 })), "begun at"),
                ],
            )
        });
    }
    for (call, wanted) in [("*.sha256", "cannot get http://mirror/kubelet.sha256"), ("*/kubelet", "cannot get http://mirror/kubelet")] {
        t.row(format!("a download, {call} fails -> the step names it, nothing is placed, and what has arrived stays"), || {
            let host = host();
            host.write(&format!("{PATH}.part"), &NEW[..20]);
            host.write(&format!("{PATH}.part.of"), &format!("http://mirror/kubelet {}", clusterctl::step::digest(NEW.as_bytes())));
            host.inject(Fault::CallFails("curl", call));
            let end = host.apply(from_url(&host, false));
            all(
                &host,
                [ended(&end, wanted), untouched(&host), same(host.read(&format!("{PATH}.part")), Some(NEW[..20].into()), "the part")],
            )
        });
        t.row(format!("a download, {call} is not answered -> the step ends and names it, and nothing is placed"), || {
            let host = host();
            host.inject(Fault::Hangs("curl", call));
            let end = host.apply(from_url(&host, false));
            all(&host, [ended(&end, wanted), untouched(&host)])
        });
    }
    t.row("a download, the disk is full -> the step says so and not that the source cannot be got, and nothing is placed", || {
        let host = host();
        host.stub(
            "curl.script",
            &MIRROR.replace("/bin/cat \"$STUB/program\" >\"$out\"", "exit 23").replace("tail -c +", "exit 23; tail -c +"),
        );
        host.write(&format!("{PATH}.part.of"), &format!("http://mirror/kubelet {}", clusterctl::step::digest(NEW.as_bytes())));
        std::os::unix::fs::symlink("/dev/full", host.path(&format!("{PATH}.part"))).map_err(|e| e.to_string())?;
        let end = host.apply(from_url(&host, false));
        all(&host, [ended(&end, "No space left on device"), untouched(&host), same(host.read(&format!("{PATH}.part")), None, "the part")])
    });
    for sum in ["", "<html>not found here, and more words than a checksum has digits in it</html>", "0123"] {
        t.row(format!("a download, its checksum is {sum:?} -> the step fails with that, and nothing is downloaded"), || {
            let host = host();
            host.stub("sum", sum);
            let end = host.apply(from_url(&host, false));
            all(
                &host,
                [ended(&end, "does not begin with a sha256"), untouched(&host), same(host.read(&format!("{PATH}.part")), None, "the part")],
            )
        });
    }
    t.row("a download of something else -> the step fails, and the next run begins anew", || {
        let host = host();
        host.stub("program", "something else");
        let end = host.apply(from_url(&host, false));
        all(&host, [ended(&end, "does not have the sha256"), untouched(&host)])?;
        host.stub("program", NEW);
        let next = host.apply(from_url(&host, false));
        all(&host, [ended(&next, "done"), placed(&host, "http://mirror/kubelet")])
    });
    t.row("another run takes the lock while it is downloaded -> nothing is placed", || {
        let host = host();
        host.stub("on-download", "echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"\n");
        let end = host.apply(from_url(&host, false));
        all(&host, [ended(&end, "fenced"), untouched(&host)])
    });
}

fn staged(t: &mut Table) {
    t.row("it is brought first -> its path is untouched; placed later, nothing is downloaded again", || {
        let host = host();
        let brought = host.apply(from_url(&host, true));
        all(&host, [ended(&brought, "done"), untouched(&host)])?;
        host.inject(Fault::CallFails("curl", "*"));
        let end = host.apply(from_url(&host, false));
        all(&host, [ended(&end, "done"), placed(&host, "http://mirror/kubelet")])
    });
    t.row("what was brought was changed since -> it is downloaded", || {
        let host = host();
        host.apply(from_url(&host, true));
        let at = host.read("/var/lib/clusterctl/binaries/staged-kubelet").unwrap_or_default();
        let at = at.lines().next().unwrap_or_default().to_string();
        std::fs::write(&at, "changed").map_err(|e| format!("{at}: {e}"))?;
        let end = host.apply(from_url(&host, false));
        all(&host, [ended(&end, "done"), placed(&host, "http://mirror/kubelet")])
    });
    t.sweep("placing what was brought, killed at an effect -> the program is old or new, and the next run ends the work", 1, |n| {
        let host = host();
        host.apply(from_url(&host, true));
        killed(Fault::KilledAt(n), &host, from_url(&host, false), old_or_new, |h| placed(h, "http://mirror/kubelet"))
    });
}
