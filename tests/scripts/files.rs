//! Tests of `files.sh`, which writes files: whatever fails, each file has its whole new content or is untouched.

use clusterctl::step::File;

use super::runs::ENDS;
use super::sandbox::{End, Fault, Sandbox};
use super::table::Table;

const OLD: &str = "the old content\n";
const NEW: &str = "the new content, which is longer\n";

/// A host on which `/etc/first`, one of the two files that the step writes, exists with its old content.
fn host() -> Sandbox {
    let host = Sandbox::new();
    host.write("/etc/first", OLD);
    host
}

/// What the step writes: two files, a link and a folder.
fn files(host: &Sandbox) -> Vec<File> {
    vec![
        File::text(host.at("/etc/first"), NEW),
        File::text(host.at("/etc/new/second"), NEW).mode(0o600),
        File::link(host.at("/etc/link"), "first"),
        File::folder(host.at("/etc/folder"), 0o700),
    ]
}

fn all_new(host: &Sandbox) -> bool {
    host.read("/etc/first").as_deref() == Some(NEW)
        && host.read("/etc/new/second").as_deref() == Some(NEW)
        && host.path("/etc/folder").is_dir()
}

fn untouched(host: &Sandbox) -> bool {
    host.read("/etc/first").as_deref() == Some(OLD) && host.list("/etc/new").is_empty() && !host.path("/etc/link").exists()
}

/// Whether no file is written in part: `/etc/first` has its old or its new content, and `/etc/new/second` has its new content or does not exist.
fn each_whole(host: &Sandbox) -> bool {
    let first = host.read("/etc/first");
    let second = host.read("/etc/new/second");
    matches!(first.as_deref(), Some(OLD | NEW)) && matches!(second.as_deref(), None | Some(NEW))
}

/// The paths of clusterctl's temporary files that are not empty. An empty one in `/run` is allowed, because a script that is killed may leave it.
fn leftovers(host: &Sandbox) -> Vec<String> {
    let all = ["/etc", "/etc/new", "/run"].iter().flat_map(|f| host.list(f).into_iter().map(move |n| format!("{f}/{n}")));
    all.filter(|p| p.contains("clusterctl") && host.read(p).is_none_or(|text| !text.is_empty())).collect()
}

fn says(holds: bool, what: &str, host: &Sandbox, end: &End) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(format!(
            "{what}; it ended {end:?}; first {:?}; second {:?}; {}",
            host.read("/etc/first"),
            host.read("/etc/new/second"),
            host.log()
        )),
    }
}

pub fn table(t: &mut Table) {
    let whole = host();
    t.row("nothing fails -> all files are new", || {
        let end = whole.apply(files(&whole));
        says(end == End::Done && all_new(&whole) && leftovers(&whole).is_empty(), "not all files are new", &whole, &end)
    });

    // The input ends at each of its first and last bytes, at every 13th byte, and where its SHA-256 begins, which is its last 64 bytes.
    let length = whole.input_length();
    for n in (0..length).filter(|n| *n < 4 || *n + 4 > length || n % 13 == 0 || [length - 65, length - 64].contains(n)) {
        t.row(format!("the input ends after {n} bytes -> nothing is changed, and the step fails"), || {
            let host = host();
            host.inject(Fault::InputEnds(n));
            let end = host.apply(files(&host));
            let told = end.said().contains("nothing was changed");
            says(told && untouched(&host) && leftovers(&host).is_empty(), "an early end of the input changed something", &host, &end)
        });
    }

    for (at, n) in [("first header", 3), ("first content", length / 3), ("last byte", length - 1)] {
        t.row(format!("another run takes the lock while the input is at its {at} -> nothing is changed"), || {
            let host = host();
            host.inject(Fault::LockLostInInput(n));
            let end = host.apply(files(&host));
            says(
                matches!(end, End::Fenced(_)) && untouched(&host) && leftovers(&host).is_empty(),
                "a run without the lock wrote",
                &host,
                &end,
            )
        });
    }

    for (tool, pattern) in [("cat", "*"), ("head", "*"), ("sync", "*"), ("mktemp", "*"), ("truncate", "*")] {
        t.row(format!("the disk is full for {tool} -> nothing is changed"), || {
            let host = host();
            host.inject(Fault::DiskFull(tool, pattern));
            let end = host.apply(files(&host));
            let refused = matches!(end, End::Refused(_));
            says(
                refused && untouched(&host) && leftovers(&host).iter().all(|l| l != "/etc/.first.clusterctl-new"),
                "a full disk changed something",
                &host,
                &end,
            )
        });
    }

    for tool in ["cat", "ln", "chmod", "sync"] {
        t.row(format!("{tool} fails -> nothing is changed"), || {
            let host = host();
            host.inject(Fault::ToolFails(tool, "*"));
            let end = host.apply(files(&host));
            says(matches!(end, End::Refused(_)) && untouched(&host), "a failure of a tool changed something", &host, &end)
        });
    }

    for tool in ["chmod", "chown"] {
        t.row(format!("{tool} fails for a folder alone -> the step fails and names the folder, and nothing is changed"), || {
            let host = host();
            host.inject(Fault::ToolFails(tool, "*/etc/folder"));
            let end = host.apply(files(&host));
            says(end.said().contains("/etc/folder; nothing was changed") && untouched(&host), "it is done", &host, &end)
        });
    }

    for (how, fault) in ENDS {
        t.sweep(format!("{how} an effect -> each file is whole, and the next run ends the work"), 1, |n| {
            let host = host();
            host.inject(fault(n));
            let end = host.apply(files(&host));
            host.was_killed().then(|| {
                says(each_whole(&host), "a file is in pieces", &host, &end)?;
                if matches!(fault(n), Fault::PowerCutAt(_)) {
                    host.boot()
                } else {
                    host.inject(Fault::None)
                }
                let end = host.apply(files(&host));
                says(end == End::Done && all_new(&host), "the next run does not end the work", &host, &end)?;
                says(leftovers(&host).is_empty(), &format!("left behind: {:?}", leftovers(&host)), &host, &end)
            })
        });
    }
}
