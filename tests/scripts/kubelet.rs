//! Tests of `files.sh` and `unit.sh` with files of the kubelet: a kubelet that does not run with its new files gets the files back with which it ran
//! before.

use clusterctl::step::{File, Unit};

use super::pods::same;
use super::runs::{Answer, ENDS, under};
use super::sandbox::{Fault, Sandbox};
use super::table::Table;

const CONFIG: &str = "/var/lib/kubelet/config.yaml";
const FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
const INSTANCE: &str = "/var/lib/kubelet/instance-config.yaml";
const SPARE: &str = "/var/lib/clusterctl/spare-kubelet";
const STAMP: &str = "/var/lib/clusterctl/units/kubelet";

/// A host whose kubelet runs with its present files. It answers unless one of its files contains `bad`; with such a file it ends again and again, which
/// systemd counts.
fn host() -> Sandbox {
    let host = Sandbox::new();
    host.write_all(&[(CONFIG, "old config\n"), (FLAGS, "old flags\n"), (STAMP, "before\n")]);
    host.stub("units/kubelet.NeedDaemonReload", "no\n");
    host.stub(
        "curl.script",
        "if grep -qs bad \"$ROOT/var/lib/kubelet/config.yaml\" \"$ROOT/var/lib/kubelet/kubeadm-flags.env\"; then\n\
         echo 000 >\"$STUB/serves-none\"; read -r n 2>/dev/null <\"$STUB/units/kubelet.NRestarts\" || n=0\n\
         echo $((n + 1)) >\"$STUB/units/kubelet.NRestarts\"\nelse echo 200 >\"$STUB/serves-none\"; fi\n",
    );
    host
}

fn files(host: &Sandbox, contents: &[(&str, &str)]) -> Vec<File> {
    contents.iter().map(|(path, text)| File::text(host.at(path), *text).unit("kubelet")).collect()
}

fn kubelet() -> Unit {
    Unit::new("kubelet", "after".into())
}

fn has(host: &Sandbox, contents: &[(&str, Option<&str>)]) -> Answer {
    contents.iter().try_for_each(|(path, text)| same(host.read(path).as_deref(), *text, path))
}

/// Checks that the kubelet has the files and the stamp with which it ran before, and that nothing of the copies is left.
fn as_before(host: &Sandbox) -> Answer {
    has(host, &[(CONFIG, Some("old config\n")), (FLAGS, Some("old flags\n")), (INSTANCE, None), (STAMP, Some("before\n"))])?;
    same(host.list(SPARE), vec![], "copies")
}

/// Writes a bad configuration and a file that did not exist before.
fn with_bad_files() -> Sandbox {
    let host = host();
    host.apply(files(&host, &[(CONFIG, "a bad config\n"), (INSTANCE, "new\n")]));
    host
}

pub fn table(t: &mut Table) {
    t.row("the kubelet runs with its new files -> they stay, and no copy of the previous ones", || {
        let host = host();
        under(Fault::None, &host, files(&host, &[(CONFIG, "new config\n")]), "done", |h| {
            has(h, &[(CONFIG, Some("new config\n")), (&format!("{SPARE}/1"), Some("old config\n")), (STAMP, None)])
        })?;
        under(Fault::None, &host, kubelet(), "done", |h| {
            has(h, &[(CONFIG, Some("new config\n")), (STAMP, Some("after\n"))])?;
            same(h.list(SPARE), vec![], "copies")
        })
    });
    t.row("the kubelet does not run with its new files -> it has the previous ones again, and the step says so", || {
        under(Fault::None, &with_bad_files(), kubelet(), "it has its previous files again, and runs with them", as_before)
    });
    t.row("an interrupted run has changed the files before -> the kubelet has those again with which it ran", || {
        let host = host();
        host.apply(files(&host, &[(CONFIG, "newer config\n")]));
        host.apply(files(&host, &[(CONFIG, "a bad config\n"), (FLAGS, "bad flags\n")]));
        under(Fault::None, &host, kubelet(), "and runs with them", as_before)
    });
    t.row("the kubelet does not run with its previous files either -> the step says so", || {
        let host = host();
        host.write(FLAGS, "bad flags\n");
        host.apply(files(&host, &[(CONFIG, "a bad config\n")]));
        under(Fault::None, &host, kubelet(), "does not run with them either", |h| has(h, &[(CONFIG, Some("old config\n"))]))
    });
    t.row("the kubelet is slow, and does not end -> its new files stay", || {
        let host = host();
        host.apply(files(&host, &[(CONFIG, "new config\n")]));
        host.stub("curl.script", "");
        under(Fault::None, &host, kubelet(), "done", |h| has(h, &[(CONFIG, Some("new config\n")), (STAMP, Some("after\n"))]))
    });
    t.row("no kubelet has run with the present files -> none of them is kept", || {
        let host = host();
        host.remove(STAMP);
        under(Fault::None, &host, files(&host, &[(CONFIG, "a bad config\n")]), "done", |h| same(h.list(SPARE), vec![], "copies"))
    });
    t.row("another run takes the lock while the kubelet is watched -> nothing is put back", || {
        let host = with_bad_files();
        let script = host.read("/stub/curl.script").unwrap_or_default();
        host.stub("curl.script", &format!("{script}echo 'run2 other' >\"$ROOT/var/lib/clusterctl/lock\"\n"));
        under(Fault::None, &host, kubelet(), "fenced", |h| has(h, &[(CONFIG, Some("a bad config\n"))]))
    });
    t.row("the disk is full for the copies -> no file is changed", || {
        let host = host();
        let new = files(&host, &[(CONFIG, "new config\n")]);
        under(Fault::DiskFull("cp", "*spare-kubelet*"), &host, new, "cannot be kept", |h| {
            has(h, &[(CONFIG, Some("old config\n")), (STAMP, Some("before\n"))])
        })
    });
    t.row("a previous file cannot be put back -> the step says where its copy is, and the next run puts it back", || {
        let host = with_bad_files();
        under(Fault::DiskFull("cp", "*config.yaml.clusterctl-back"), &host, kubelet(), "the previous files are in", |h| {
            has(h, &[(CONFIG, Some("a bad config\n")), (&format!("{SPARE}/1"), Some("old config\n"))])
        })?;
        under(Fault::None, &host, kubelet(), "and runs with them", as_before)
    });
    for (how, fault) in ENDS {
        t.sweep(
            format!("the kubelet does not run with its new files, {how} an effect -> the next run puts the previous ones back"),
            1,
            |n| {
                let host = with_bad_files();
                host.inject(fault(n));
                host.apply(kubelet());
                let reached = host.was_killed();
                host.inject(Fault::None);
                reached.then(|| {
                    let now = host.read(CONFIG).unwrap_or_default();
                    same(["old config\n", "a bad config\n"].contains(&now.as_str()), true, "the configuration is whole")?;
                    // The next run writes its files again, because it sees that they differ.
                    host.apply(files(&host, &[(CONFIG, "a bad config\n"), (INSTANCE, "new\n")]));
                    under(Fault::None, &host, kubelet(), "and runs with them", as_before)
                })
            },
        );
        t.sweep(format!("files of the kubelet are written, {how} an effect -> its previous ones are there or kept"), 1, |n| {
            let host = host();
            host.inject(fault(n));
            host.apply(files(&host, &[(CONFIG, "a bad config\n")]));
            host.was_killed().then(|| {
                let kept = host.read(&format!("{SPARE}/1")).is_some_and(|text| text == "old config\n");
                let there = host.read(CONFIG).is_some_and(|text| text == "old config\n");
                same(kept || there, true, "the previous configuration")
            })
        });
    }
}
