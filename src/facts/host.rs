//! Collects all facts about one host with one command, and parses the output of the command.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use serde_json::Value;

use super::{FileFact, FileKind, HostFacts, Listener, MemberFact, PodFact, url_host};
use crate::host::{Cmd, Secret};
use crate::script;

const OBSERVE: &str = script!("lib/mounts.sh", "lib/process.sh", "lib/etcdctl.sh", "observe/observe.sh");

/// A host whose answer takes longer than this is reported as unreachable.
const LIMIT: Duration = Duration::from_secs(30);

/// The one command that observes a host. `address` is that of the host's API server, and `control_plane` is true if the host may run a control plane.
/// If `endpoint` (`host:port`) is given, the host also tries to reach the API there. `files` are paths to look at in addition to those that every
/// cluster has.
pub fn request(address: std::net::IpAddr, control_plane: bool, endpoint: Option<&str>, files: &[&str]) -> Cmd {
    Cmd::script(OBSERVE)
        .arg("address", url_host(address))
        .arg("control_plane", u8::from(control_plane))
        .arg("endpoint", endpoint.unwrap_or_default())
        .words(files.iter().copied())
        .timeout(LIMIT)
}

/// Parses the output of `observe.sh`. `asked_at` is the time of the operator's clock in the middle between request and answer, in Unix seconds.
pub fn parse(stdout: &[u8], asked_at: f64) -> Result<HostFacts, String> {
    const MARK: &[u8] = b"\n@tar\n";
    let split = stdout.windows(MARK.len()).position(|w| w == MARK).ok_or("the host's answer is cut off")?;
    let mut reading = Reading {
        facts: HostFacts { clock: asked_at, ..HostFacts::default() },
        asked_at,
        unit: String::new(),
        containers: BTreeMap::new(),
        status: Value::Null,
    };
    for line in String::from_utf8_lossy(&stdout[..split]).lines() {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        reading.line(key, value);
    }
    reading.mark_leader();
    let mut facts = reading.facts;
    read_tar(&stdout[split + MARK.len()..], &mut facts.files).map_err(|e| format!("the host's file listing is unreadable: {e}"))?;
    Ok(facts)
}

struct Reading {
    facts: HostFacts,
    asked_at: f64,
    unit: String,
    containers: BTreeMap<String, String>,
    status: Value,
}

impl Reading {
    fn line(&mut self, key: &str, value: &str) {
        let f = &mut self.facts;
        let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
        match key {
            "clock" => {
                f.clock = value.parse().unwrap_or(self.asked_at);
                f.clock_offset = f.clock - self.asked_at;
            }
            "certificate" => {
                let kind = FileKind::File(rest.replace('\u{1f}', "\n").into());
                f.files.insert(first.into(), FileFact { kind, mode: 0o600, uid: 0, gid: 0 });
            }
            "os_id" => f.os_id = value.into(),
            "os_name" => f.os_name = value.into(),
            "machine" => f.machine = value.into(),
            "hostname" => f.hostname = value.into(),
            "machine_id" => f.machine_id = value.into(),
            "cpus" => f.cpus = value.parse().unwrap_or(0),
            "memory_kib" => f.memory_kib = value.parse().unwrap_or(0),
            "swap" => f.swap = !value.is_empty(),
            "cgroup_fs" => f.cgroup_fs = value.into(),
            "feature" => drop(f.features.insert(value.into())),
            "sysctl" => drop(f.sysctls.insert(first.replace('/', "."), rest.into())),
            "boot_sysctl" => {
                // The value of each of these settings is one word; the path of the file may contain blanks.
                let (value, file) = rest.split_once(' ').unwrap_or((rest, ""));
                f.boot_sysctls.insert(first.replace('/', "."), (value.into(), file.into()));
            }
            "kubelet_state" => drop(f.kubelet_policies.insert(first.into(), rest.into())),
            "disk" => drop(f.disk_free.insert(rest.into(), first.parse::<u64>().unwrap_or(0) * 1024)),
            "address" => f.addresses.extend(first.parse().ok().map(|ip: std::net::IpAddr| (ip, rest.to_string()))),
            "listen" => f.listeners.extend(first.parse().ok().map(|port| Listener { port, process: program(rest) })),
            "ca_dir" => f.ca_dirs.push(value.into()),
            "package" if rest == "installed" => drop(f.packages.insert(first.into())),
            "other_containers" => drop(f.other_containers.insert(value.into())),
            "stamp" => f.units.entry(first.into()).or_default().stamp = rest.into(),
            "unit" => {
                self.unit = value.into();
                f.units.entry(value.into()).or_default();
            }
            "active" => f.units.entry(self.unit.clone()).or_default().active = value.into(),
            "enabled" => f.units.entry(self.unit.clone()).or_default().enabled = value.into(),
            "kubelet_age" => f.kubelet_age = value.parse().ok(),
            "binary" => drop(f.binaries.insert(first.into(), rest.into())),
            "image" => drop(f.images.insert(value.into())),
            "digest" => drop(f.image_digests.insert(first.into(), rest.into())),
            "container" => drop(self.containers.insert(first.into(), rest.into())),
            "process" => self.process(first, rest),
            "outdated" => drop(f.outdated.insert(value.into())),
            "api" => f.api_version = Some(value.into()),
            "endpoint" => f.endpoint_ready = value == "200",
            "members" => f.members = members(value),
            "etcd_status" => self.status = serde_json::from_str(value).unwrap_or(Value::Null),
            "swapping" => f.swapping = true,
            "unsettled" => drop(f.unsettled.insert(value.into())),
            "last_run" => f.last_run = value.into(),
            "leftover" => f.leftovers.push(value.into()),
            "mount" => f.mounts.push(value.into()),
            _ => {}
        }
    }

    fn process(&mut self, container: &str, argv: &str) {
        let argv: Vec<String> = argv.trim_end_matches('\u{1f}').split('\u{1f}').map(String::from).collect();
        let image = self.containers.get(container).cloned().unwrap_or_default();
        self.facts.pods.insert(argv[0].clone(), PodFact { image, argv });
    }

    /// Marks the leader in the member list, and notes the raft term. The list has neither; the status of the host's own endpoint has both.
    fn mark_leader(&mut self) {
        self.facts.raft_term = self.status[0]["Status"]["raftTerm"].as_u64();
        let leader = self.status[0]["Status"]["leader"].as_u64().map(|id| format!("{id:x}"));
        for m in self.facts.members.iter_mut().flatten() {
            m.leader = Some(&m.id) == leader.as_ref();
        }
    }
}

/// The program's name and pid out of `users:(("nginx",pid=12,fd=6))`.
fn program(users: &str) -> String {
    let name = users.split('"').nth(1).unwrap_or("unknown");
    let pid = users.split("pid=").nth(1).and_then(|p| p.split(',').next()).unwrap_or("?");
    format!("{name} (pid {pid})")
}

/// Reads the member list as `etcdctl member list -w json` prints it.
pub(super) fn members(json: &str) -> Option<Vec<MemberFact>> {
    let value: Value = serde_json::from_str(json).ok()?;
    let list = value["members"].as_array()?;
    Some(
        list.iter()
            .map(|m| MemberFact {
                id: m["ID"].as_u64().map(|id| format!("{id:x}")).unwrap_or_default(),
                name: m["name"].as_str().unwrap_or_default().into(),
                peer_urls: m["peerURLs"].as_array().into_iter().flatten().filter_map(|u| u.as_str().map(String::from)).collect(),
                learner: m["isLearner"].as_bool().unwrap_or(false),
                leader: false,
            })
            .collect(),
    )
}

fn read_tar(bytes: &[u8], into: &mut BTreeMap<String, FileFact>) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(bytes);
    archive.set_ignore_zeros(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let header = entry.header();
        let (mode, uid, gid) = (header.mode()? & 0o7777, header.uid()? as u32, header.gid()? as u32);
        let path = format!("/{}", entry.path()?.display().to_string().trim_end_matches('/'));
        let kind = match header.entry_type() {
            tar::EntryType::Directory => FileKind::Directory,
            tar::EntryType::Symlink => FileKind::Link(entry.link_name()?.map(|l| l.display().to_string()).unwrap_or_default()),
            _ => {
                let mut content = Vec::with_capacity(usize::try_from(entry.size()).unwrap_or(0));
                entry.read_to_end(&mut content)?;
                FileKind::File(Secret::from(content))
            }
        };
        into.insert(path, FileFact { kind, mode, uid, gid });
    }
    Ok(())
}
