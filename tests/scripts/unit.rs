//! Tests of `unit.sh` and `unit_stop.sh`, which start and stop systemd units: a unit that is reported as running is enabled and active, and its own
//! process listens on its port; otherwise, the error names the cause.

use clusterctl::step::{Stopped, Unit};

use super::pods::{all, ended, same};
use super::runs::{At, anything, killed, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

/// A host whose haproxy is disabled and inactive, and becomes active and listens on port 6443 when it is started, restarted or reloaded.
fn host() -> Sandbox {
    let host = Sandbox::new();
    host.stub("units/haproxy", "inactive\n");
    host.stub("units/haproxy.UnitFileState", "disabled\n");
    host.stub("units/haproxy.NeedDaemonReload", "yes\n");
    let starts = "for u in $names; do echo active >\"$STUB/units/$u\"; done; echo 'LISTEN 0 9 *:6443 *:* users:((\"haproxy\",pid=88,fd=7))' >\"$STUB/listens\"\n";
    for how in ["restart", "reload-or-restart"] {
        host.stub(&format!("on-{how}"), starts);
    }
    host.stub("ss.script", "[ ! -e \"$STUB/listens\" ] || /bin/cat \"$STUB/listens\"\n");
    process(&host, 88, "haproxy.service");
    host
}

/// Adds a haproxy process in the cgroup of this unit to the host.
fn process(host: &Sandbox, pid: u32, unit: &str) {
    host.write(&format!("/proc/{pid}/cgroup"), &format!("0::/system.slice/{unit}\n"));
    host.write(&format!("/proc/{pid}/comm"), "haproxy\n");
}

fn haproxy(reload: bool) -> Unit {
    Unit { port: Some(6443), reload, ..Unit::new("haproxy", "digest".into()) }
}

fn stamp(host: &Sandbox) -> Option<String> {
    host.read("/var/lib/clusterctl/units/haproxy")
}

fn runs(host: &Sandbox) -> Result<(), String> {
    same(host.read("/stub/units/haproxy"), Some("active\n".into()), "its state")?;
    same(host.read("/stub/units/haproxy.UnitFileState"), Some("enabled\n".into()), "at boot")?;
    same(stamp(host), Some("digest\n".into()), "its stamp")
}

/// Checks that no stamp is stored for the unit, so that the next plan starts the unit again. The stamp is the digest of the files with which it was
/// started.
fn no_stamp(host: &Sandbox) -> Result<(), String> {
    same(stamp(host), None, "its stamp")
}

pub fn table(t: &mut Table) {
    starts(t);
    stops(t);
}

fn starts(t: &mut Table) {
    for reload in [false, true] {
        t.row(format!("start, reload is enough: {reload} -> it is enabled, active and listens, and systemd has read its file"), || {
            let host = host();
            let end = host.apply(haproxy(reload));
            let read = host.log().contains("systemctl daemon-reload");
            all(&host, [ended(&end, "done"), runs(&host), same(read, true, "daemon-reload")])
        });
    }
    for what in ["daemon-reload*", "enable*", "restart*"] {
        t.row(format!("start: systemctl {what} fails -> the step fails in its words, and the next run ends the work"), || {
            let host = host();
            under(Fault::CallFails("systemctl", what), &host, haproxy(false), "systemctl: it fails", no_stamp)?;
            under(Fault::None, &host, haproxy(false), "done", runs)
        });
    }
    t.row("start: systemctl restart hangs -> the step ends and names it", || {
        under(Fault::Hangs("systemctl", "restart*"), &host(), haproxy(false), "systemctl did not end within 190 s", no_stamp)
    });
    t.row("start: it does not come up, and its journal is silent -> the step says in which state it is", || {
        let host = host();
        host.stub("on-restart", "echo activating >\"$STUB/units/haproxy\"");
        under(Fault::None, &host, haproxy(false), "haproxy is not active after 30 s: it is activating", no_stamp)
    });
    t.row("start: it listens nowhere -> it is restarted once more, and the step fails", || {
        let host = host();
        host.stub("ss.script", "");
        under(Fault::None, &host, haproxy(true), "haproxy does not listen on port 6443", |h| {
            same(h.log().contains("systemctl restart haproxy"), true, "restarted")?;
            no_stamp(h)
        })
    });
    t.row("start: a reload is refused what a start is given -> it is restarted, and runs", || {
        let host = host();
        host.stub("on-reload-or-restart", "echo active >\"$STUB/units/haproxy\"");
        under(Fault::None, &host, haproxy(true), "done", runs)
    });
    for (what, unit) in [("a process of the same name, which is not the unit's", "docker-1234.scope"), ("another unit", "nginx.service")] {
        t.row(format!("start: {what} listens on its port -> the step fails"), || {
            let host = host();
            process(&host, 88, unit);
            under(Fault::None, &host, haproxy(true), "haproxy does not listen on port 6443", no_stamp)
        });
    }
    t.row("start: containerd works, and a power failure has emptied the file with its UUID -> it is started", || {
        let host = host();
        host.stub("on-restart", "echo active >\"$STUB/units/containerd\"");
        host.stub("ctr.script", "case $1 in version) echo 'ctr: invalid UUID length: 0: unknown' >&2; exit 1 ;; esac\n");
        under(Fault::None, &host, Unit::new("containerd", "digest".into()), "done", |h| {
            same(h.read("/var/lib/clusterctl/units/containerd").is_some(), true, "it has its stamp")
        })
    });
    for (what, fault) in [("does not answer", Fault::CallFails("ctr", "*")), ("hangs", Fault::Hangs("ctr", "*"))] {
        t.row(format!("start: containerd is active and {what} -> the step fails"), || {
            let host = host();
            host.stub("on-restart", "echo active >\"$STUB/units/containerd\"");
            under(fault, &host, Unit::new("containerd", "digest".into()), "containerd does not answer on its socket", |h| {
                same(h.read("/var/lib/clusterctl/units/containerd"), None, "its stamp")
            })
        });
    }
    t.row("start: an installation that was interrupted left a mask -> it is taken away first", || {
        let host = host();
        std::fs::create_dir_all(host.path("/run/systemd/system")).map_err(|e| e.to_string())?;
        let _ = std::os::unix::fs::symlink("/dev/null", host.path("/run/systemd/system/haproxy.service"));
        let end = host.apply(haproxy(false));
        let log = host.log();
        let at = |what: &str| log.lines().position(|l| l.contains(what));
        let first = at("systemctl unmask -q --runtime haproxy").is_some_and(|u| Some(u) < at("systemctl restart"));
        all(&host, [ended(&end, "done"), same(first, true, "unmasked first")])
    });
    let kinds: [(&str, At); 2] = [("an effect", Fault::KilledAt), ("a call", Fault::KilledAtCall)];
    for (what, fault) in kinds {
        t.sweep(format!("start: killed at {what} -> no stamp without a start, and the next run ends the work"), 1, |n| {
            let no_stamp_yet = |host: &Sandbox| {
                let started = host.log().contains("systemctl restart");
                same(started || stamp(host).is_none(), true, "no stamp without a start")
            };
            killed(fault(n), &host(), haproxy(false), no_stamp_yet, runs)
        });
    }
    t.row("start: the disk is full for the stamp -> the step fails", || {
        under(Fault::ToolFails("mv", "*/units/haproxy"), &host(), haproxy(false), "No space left", no_stamp)
    });
}

const STOPPED: Stopped = Stopped { name: "haproxy" };

/// A host whose haproxy was started by clusterctl and runs.
fn running() -> Sandbox {
    let host = host();
    host.stub("units/haproxy", "active\n");
    host.stub("units/haproxy.UnitFileState", "enabled\n");
    host.write("/var/lib/clusterctl/units/haproxy", "digest\n");
    host
}

fn stops(t: &mut Table) {
    let its_stamp_stays = |host: &Sandbox| same(stamp(host).is_some(), true, "its stamp stays");
    let stopped = |host: &Sandbox| {
        same(host.read("/stub/units/haproxy.UnitFileState"), Some("disabled\n".into()), "at boot")?;
        same(host.log().contains("systemctl disable -q --now haproxy"), true, "stopped")?;
        no_stamp(host)
    };
    t.row("stop -> it is stopped, does not start at boot, and its stamp is gone", || {
        under(Fault::None, &running(), STOPPED, "done", stopped)
    });
    t.row("stop: its file is gone, so that it cannot be disabled -> it is stopped", || {
        let host = running();
        host.stub("units/haproxy.UnitFileState", "\n");
        under(Fault::CallFails("systemctl", "disable*"), &host, STOPPED, "done", |h| {
            same(h.log().contains("systemctl stop haproxy"), true, "stopped")?;
            no_stamp(h)
        })
    });
    t.row("stop: it can be stopped and not disabled -> the step fails and says so", || {
        under(Fault::CallFails("systemctl", "disable*"), &running(), STOPPED, "it would start at the next boot", its_stamp_stays)
    });
    t.row("stop: systemctl hangs -> the step ends and names it", || {
        under(Fault::Hangs("systemctl", "*haproxy"), &running(), STOPPED, "systemctl did not end within", its_stamp_stays)
    });
    t.sweep("stop: killed at a call -> the next run ends the work", 1, |n| {
        killed(Fault::KilledAtCall(n), &running(), STOPPED, anything, stopped)
    });
}
