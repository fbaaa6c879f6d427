//! Tests of `process.sh`, which finds the processes of the host's own static pods: a process of a tenant's control plane on the same host, which has
//! the same name, is never ended and never taken for the host's own.

use std::process::{Child, Command};

use clusterctl::step::StaticPodsGone;

use super::pods::{all, ended, in_place, manifest, pod, same, standing};
use super::sandbox::{End, Sandbox};
use super::table::Table;

const API: &str = "kube-apiserver";

/// Starts a process that has the name of the component and is older than the host's own process. It is in a tenant's pod, which was created through
/// the API. `pod` is `NAMESPACE_NAME` of that pod; in the worst case its namespace is kube-system, as for static pods.
fn tenant(host: &Sandbox, component: &str, pod: &str) -> Child {
    let child = Command::new("/bin/sleep").arg("300").spawn().expect("a process can be started");
    let pid = child.id().to_string();
    let (uid, slice) = ("5b3e1f0a-7a0c-4f3e-9d57-0a1b2c3d4e5f", "5b3e1f0a_7a0c_4f3e_9d57_0a1b2c3d4e5f");
    host.write(&format!("/var/log/pods/{pod}_{uid}/{component}/0.log"), "a tenant's log\n");
    host.write(&format!("/proc/{pid}/comm"), &format!("{component:.15}\n"));
    host.write(
        &format!("/proc/{pid}/cgroup"),
        &format!("0::/kubepods.slice/kubepods-pod{slice}.slice/cri-containerd-beef.scope\n1:x:/kubepods/pod{uid}/beef\n"),
    );
    host.write(&format!("/proc/{pid}/stat"), &format!("{pid} (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0\n"));
    child
}

/// Returns whether the process is alive, and ends it.
fn lived(mut child: Child) -> bool {
    let lives = matches!(child.try_wait(), Ok(None));
    let _ = child.kill();
    let _ = child.wait();
    lives
}

pub fn table(t: &mut Table) {
    for driver in ["cgroupfs", "systemd"] {
        for runtime in ["answers", "does not answer"] {
            for place in ["tenant-a_kube-apiserver-0", "kube-system_kube-apiserver-tenant-0"] {
                t.row(
                    format!("driver {driver}, the runtime {runtime}, a tenant's pod {place} -> ours is swapped, the tenant's lives"),
                    || {
                        let host = Sandbox::new();
                        host.stub("driver", &format!("{driver}\n"));
                        host.stub("images", "site/kube-apiserver:new\n");
                        host.write("/etc/kubernetes/manifests/kube-apiserver.yaml", &manifest(API, "old", ""));
                        host.tick();
                        let foreign = tenant(&host, API, place);
                        if runtime != "answers" {
                            host.stub("no-runtime", "");
                        }
                        let new = manifest(API, "new", "");
                        let ending = host.apply(pod(API, new.clone(), 0));
                        let lives = lived(foreign);
                        let (wanted, stays) =
                            if runtime == "answers" { ("done", new) } else { ("containerd does not answer", manifest(API, "old", "")) };
                        all(
                            &host,
                            [same(lives, true, "the tenant's process lives"), ended(&ending, wanted), in_place(&host, API, &[&stays])],
                        )
                    },
                );
            }
        }
    }
    t.row("removal beside a tenant's process -> ours is gone, the tenant's lives and is not waited for", || {
        let host = standing(&[API]);
        let foreign = tenant(&host, API, "tenant-a_kube-apiserver-0");
        let ending = host.apply(StaticPodsGone { components: vec![API] });
        let lives = lived(foreign);
        all(
            &host,
            [
                same(lives, true, "the tenant's process lives"),
                same(ending, End::Done, "end"),
                same(host.list("/stub/pods"), vec![], "pods"),
            ],
        )
    });
    t.row("only a tenant's process runs, and the new manifest does not serve -> it is not taken for ours", || {
        let host = standing(&[API]);
        let foreign = tenant(&host, API, "tenant-a_kube-apiserver-0");
        let ending = host.apply(pod(API, manifest(API, "new", "# crashes\n"), 0));
        let lives = lived(foreign);
        all(
            &host,
            [
                same(lives, true, "the tenant's process lives"),
                ended(&ending, "is back and serves"),
                in_place(&host, API, &[&manifest(API, "old", "")]),
            ],
        )
    });
}
