//! Tests of `upload.sh` and `upload_check.sh`, which receive a file: the path has the old file or the whole new one, and an upload that was
//! interrupted continues after the bytes that have arrived.

use clusterctl::host::Cmd;
use clusterctl::host::upload::{UploadError, Uploaded, upload};
use clusterctl::script;

use super::pods::{all, same};
use super::runs::KILLS;
use super::sandbox::{Fault, RUN, Sandbox};
use super::table::Table;

const TO: &str = "/var/lib/clusterctl/images/all.tar";
const OLD: &str = "the image before";

/// The content of the file that is uploaded.
fn content() -> String {
    (0..300).map(|n| format!("line {n}\n")).collect()
}

fn sum() -> String {
    clusterctl::step::digest(content().as_bytes())
}

fn part() -> String {
    format!("{TO}.{}.part", &sum()[..12])
}

fn host() -> Sandbox {
    let host = Sandbox::new();
    host.write(TO, OLD);
    host.write("/stub/local", &content());
    host
}

/// Uploads the content to the host as clusterctl does.
fn send(host: &Sandbox) -> Result<Uploaded, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let sent = runtime.block_on(upload(host, &host.path("/stub/local"), &host.at(TO), &sum(), 0o640, RUN));
    sent.map_err(|e| match e {
        UploadError::Refused { status, said } => format!("{status}: {said}"),
        UploadError::Host(e) => e.to_string(),
    })
}

fn arrived(host: &Sandbox) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(host.path(TO)).map(|m| m.permissions().mode() & 0o777).unwrap_or_default();
    same(host.read(TO) == Some(content()), true, "the whole is at its path")?;
    same(mode, 0o640, "its mode")?;
    same(host.list("/var/lib/clusterctl/images"), vec!["all.tar".into()], "the folder")
}

fn untouched(host: &Sandbox) -> Result<(), String> {
    same(host.read(TO), Some(OLD.into()), "the file before")
}

fn refused(end: &Result<Uploaded, String>, words: &str) -> Result<(), String> {
    same(end.as_ref().is_err_and(|said| said.contains(words)), true, &format!("{end:?} says {words:?}"))
}

pub fn table(t: &mut Table) {
    t.row("nothing fails -> the file is whole at its path, by way of the disk", || {
        let host = host();
        let end = send(&host);
        let log = host.log();
        let synced = log.lines().position(|l| l.contains(" sync ") && l.ends_with(".part"));
        let placed = log.lines().position(|l| l.contains(" mv ") && l.ends_with("all.tar"));
        all(&host, [same(end, Ok(Uploaded { sent: content().len() as u64, resumes: 0 }), "end"), arrived(&host)])?;
        all(&host, [same(synced.is_some() && synced < placed, true, "it is on the disk before it is placed")])
    });
    t.row("it is there already -> nothing is sent, and what is left of it and of others goes", || {
        let host = host();
        host.write(TO, &content());
        host.write(&part(), "piece");
        host.write(&format!("{TO}.0123456789ab.part"), "piece of another");
        let end = send(&host);
        all(&host, [same(end, Ok(Uploaded { sent: 0, resumes: 0 }), "end"), arrived(&host)])
    });
    for n in [1, 500, content().len() - 1] {
        t.row(format!("{n} bytes arrived before -> the rest is sent"), || {
            let host = host();
            host.write(&part(), &content()[..n]);
            let end = send(&host);
            all(&host, [same(end, Ok(Uploaded { sent: (content().len() - n) as u64, resumes: 0 }), "end"), arrived(&host)])
        });
    }
    t.row("more is there than the whole has -> it is sent anew", || {
        let host = host();
        host.write(&part(), &content().repeat(2));
        let end = send(&host);
        all(&host, [same(end.is_ok(), true, "done"), arrived(&host)])
    });
    t.row("what arrived before is of something else -> it is thrown away, nothing is placed, and the next run sends all", || {
        let host = host();
        host.write(&part(), "something else");
        let end = send(&host);
        all(&host, [refused(&end, "does not have the sha256"), untouched(&host), same(host.read(&part()), None, "the part")])?;
        let next = send(&host);
        all(&host, [same(next.is_ok(), true, "the next run"), arrived(&host)])
    });
    for n in [0, 1, 700, content().len() - 1] {
        t.row(format!("the input ends after {n} bytes -> nothing is placed, and the next run sends the rest"), || {
            let host = host();
            host.inject(Fault::InputEnds(n));
            let end = send(&host);
            all(&host, [refused(&end, &format!("{n} of {} bytes arrived", content().len())), untouched(&host)])?;
            host.inject(Fault::None);
            let next = send(&host);
            let sent = next.as_ref().map(|u| u.sent as usize).unwrap_or_default();
            all(&host, [same(sent, content().len() - n, "sent by the next run"), arrived(&host)])
        });
    }
    t.row("another run takes the lock while it arrives -> nothing is placed", || {
        let host = host();
        host.inject(Fault::LockLostInInput(700));
        let cmd = Cmd::script(script!("lib/lock_held.sh", "lib/fence.sh", "steps/upload.sh"))
            .arg("run", RUN)
            .arg("path", host.at(TO))
            .arg("sum", sum())
            .arg("mode", "640")
            .arg("part", host.at(&part()))
            .arg("size", content().len())
            .arg("offset", 0);
        let out = host.output(cmd.stdin(content()));
        let arrived = host.read(&part()).map(|p| p.len());
        all(&host, [same(out.status, 75, "status"), untouched(&host), same(arrived, Some(content().len()), "arrived")])
    });
    t.row("the lock belongs to another run -> nothing of another upload is removed", || {
        let host = host();
        host.write(&part(), "piece");
        host.write(&format!("{TO}.0123456789ab.part"), "piece of another");
        host.write("/var/lib/clusterctl/lock", "run2 other\n");
        let end = send(&host);
        all(&host, [refused(&end, "75: "), untouched(&host), same(host.list("/var/lib/clusterctl/images").len(), 3, "files")])
    });
    for (tool, pattern) in [("cat", "*"), ("sync", "*.part"), ("mv", "*"), ("chmod", "*")] {
        t.row(format!("the disk is full for {tool} -> nothing is placed, and the next run ends the work"), || {
            let host = host();
            host.inject(Fault::DiskFull(tool, pattern));
            let end = send(&host);
            all(&host, [refused(&end, "No space left"), untouched(&host)])?;
            host.inject(Fault::None);
            let next = send(&host);
            all(&host, [same(next.is_ok(), true, "the next run"), arrived(&host)])
        });
    }
    for (how, fault) in KILLS {
        t.sweep(format!("{how} an effect -> the file is old or whole, and the next run ends the work"), 1, |n| {
            let host = host();
            host.inject(fault(n));
            let _ = send(&host);
            host.was_killed().then(|| {
                let now = host.read(TO).unwrap_or_default();
                same(now == OLD || now == content(), true, "old or whole")?;
                host.inject(Fault::None);
                let next = send(&host);
                all(&host, [same(next.is_ok(), true, "the next run"), arrived(&host)])
            })
        });
    }
}
