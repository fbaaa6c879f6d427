//! Tests of `kernel.sh`, `command.sh`, `reboot.sh` and `start.sh`, which load kernel modules and set sysctls, run a command of the operator, reboot
//! the host, and start a command as root: the change is made, or the error names what failed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use clusterctl::host::Cmd;
use clusterctl::script;
use clusterctl::step::command::{Place, When};
use clusterctl::step::{Command, Kernel, Reboot};

use super::pods::{all, ended, same};
use super::runs::{anything, killed, twice, under};
use super::sandbox::{End, Fault, Sandbox};
use super::table::Table;

fn kernel() -> Kernel {
    let sysctls = vec![("net.ipv4.ip_forward".into(), "1".into()), ("vm.overcommit_memory".into(), "1".into())];
    Kernel { modules: vec!["overlay".into(), "br_netfilter".into()], sysctls }
}

/// A host on which the overlay file system and br_netfilter are missing until their kernel modules are loaded.
fn host() -> Sandbox {
    let host = Sandbox::new();
    host.write("/proc/filesystems", "nodev\tproc\n");
    host.stub(
        "modprobe.script",
        "case $1 in overlay) echo 'nodev overlay' >>\"$ROOT/proc/filesystems\" ;;\n\
         br_netfilter) /bin/mkdir -p \"$ROOT/proc/sys/net/bridge\"; echo 1 >\"$ROOT/proc/sys/net/bridge/bridge-nf-call-iptables\" ;; esac\n",
    );
    host
}

fn is_set(host: &Sandbox) -> Result<(), String> {
    let set = ["net.ipv4.ip_forward=1", "vm.overcommit_memory=1"].iter().all(|s| host.log().contains(&format!("sysctl -qw {s}")));
    same(set, true, "both settings are made")
}

fn command(argv: &[&str]) -> Command {
    let argv = argv.iter().map(ToString::to_string).collect();
    Command { label: String::new(), argv, timeout: Duration::from_secs(60), place: Place::Host, when: When::Always }
}

/// A host on which `systemctl reboot` changes the boot ID at once, as if the host had booted again.
fn boots() -> Sandbox {
    let host = Sandbox::new();
    host.write("/proc/sys/kernel/random/boot_id", "one\n");
    host.write("/proc/1/stat", "1 (init) S 0 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0\n");
    host.stub("on-reboot", "echo two >\"$ROOT/proc/sys/kernel/random/boot_id\"");
    host
}

fn reboot() -> Reboot {
    Reboot { timeout: Duration::from_secs(5) }
}

pub fn table(t: &mut Table) {
    t.row("kernel: modules that can be loaded -> they are, and the settings are made", || {
        under(Fault::None, &host(), kernel(), "done", is_set)
    });
    t.row("kernel: features that are built in, without modules -> the settings are made", || {
        let host = host();
        host.write("/proc/filesystems", "nodev overlay\n");
        host.write("/proc/sys/net/bridge/bridge-nf-call-iptables", "1\n");
        under(Fault::CallFails("modprobe", "*"), &host, kernel(), "done", is_set)
    });
    for (module, wanted) in [("overlay", "the kernel has no overlay file system"), ("br_netfilter", "the kernel has no br_netfilter")] {
        t.row(format!("kernel: {module} cannot be loaded -> the step fails and names it"), || {
            under(Fault::CallFails("modprobe", module), &host(), kernel(), wanted, anything)
        });
    }
    for setting in ["net.ipv4.ip_forward=1", "vm.overcommit_memory=1"] {
        t.row(format!("kernel: {setting} is refused -> the step fails, and the next run ends the work"), || {
            let host = host();
            let call = if setting.starts_with("net") { "*ip_forward*" } else { "*overcommit*" };
            let [end, next] = twice(Fault::CallFails("sysctl", call), &host, kernel());
            all(&host, [ended(&end, "sysctl: it fails"), ended(&next, "done"), is_set(&host)])
        });
    }
    t.sweep("kernel: killed at a call -> the next run ends the work", 1, |n| {
        killed(Fault::KilledAtCall(n), &host(), kernel(), anything, is_set)
    });
    t.row("kernel: sysctl hangs on a slow host -> the step fails after twice the time", || {
        let host = host();
        host.patience.store(2, Ordering::SeqCst);
        under(Fault::Hangs("sysctl", "*"), &host, kernel(), "sysctl did not end within 10 s", anything)
    });
    for tool in ["modprobe", "sysctl"] {
        t.row(format!("kernel: {tool} hangs -> the step fails and names it"), || {
            under(Fault::Hangs(tool, "*"), &host(), kernel(), &format!("{tool} did not end within"), anything)
        });
    }
    t.row("command: it sees nothing of the script around it, and its status is told", || {
        let host = Sandbox::new();
        let end =
            host.apply(command(&["/bin/sh", "-c", "cat; echo \"run ${run-none} holder ${holder-none} LC_ALL ${LC_ALL-none}\"; exit 75"]));
        all(&host, [ended(&end, "it ended with status 75"), ended(&end, "run none holder none LC_ALL none")])
    });
    t.row("command: the lock belongs to another run -> it is not run", || {
        let host = Sandbox::new();
        host.write("/var/lib/clusterctl/lock", "run2 other\n");
        let end = host.apply(command(&["touch", &host.at("/etc/touched")]));
        all(&host, [ended(&end, "fenced"), same(host.path("/etc/touched").exists(), false, "it was run")])
    });
    t.row("reboot: the host boots again -> done", || under(Fault::None, &boots(), reboot(), "done", anything));
    t.row("reboot: systemd refuses it -> the step fails at once, in its words", || {
        under(Fault::CallFails("systemctl", "reboot*"), &boots(), reboot(), "systemctl: it fails", anything)
    });
    t.row("reboot: systemd does not answer -> the step fails and names it", || {
        under(Fault::Hangs("systemctl", "reboot*"), &boots(), reboot(), "systemctl did not end within", anything)
    });
    t.row("reboot: the lock belongs to another run -> the host stays up", || {
        let host = boots();
        host.write("/var/lib/clusterctl/lock", "run2 other\n");
        let end = host.apply(reboot());
        all(&host, [ended(&end, "fenced"), same(host.log().contains("systemctl reboot"), false, "it was told to reboot")])
    });
    for (who, status, said, runs) in [("0", 0, "\u{1e}clusterctl\u{1e}", true), ("1000", 126, "clusterctl: not root\n", false)] {
        t.row(format!("start: the user is {who} -> status {status}"), || {
            let host = Sandbox::new();
            host.stub("id", &format!("{who}\n"));
            let cmd = Cmd::script(script!("lib/start.sh")).arg("network", "direct");
            let out = host.output(cmd.words(["/bin/sh", "-c", "echo \"$LC_ALL $1\"", "x", "a b"]));
            let wanted = if runs { "\u{1e}clusterctl\u{1e}C a b\n" } else { "" };
            let is = (out.status, String::from_utf8_lossy(&out.stderr) == said, String::from_utf8_lossy(&out.stdout) == wanted);
            all(&host, [same(is, (status, true, true), &format!("{out:?}"))])
        });
    }
    t.row("start: the command fails -> its status is that of the whole", || {
        let host = Sandbox::new();
        host.stub("id", "0\n");
        let out = host.output(Cmd::script(script!("lib/start.sh")).arg("network", "direct").words(["/bin/sh", "-c", "exit 3"]));
        same(out.status, 3, "status").and(same(End::Done, End::Done, ""))
    });
}
