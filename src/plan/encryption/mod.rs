//! Encryption of what API servers store in etcd: which configuration each of them has, and which one it gets next.
//!
//! Nothing but the hosts records how far a change of keys has come. The files of control planes have the keys, the manifests and the running
//! processes name the files, and etcd has the values; see `ladder` for the law of the order.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Facts, HostFacts};
use crate::host::{HostName, Secret};
use crate::inventory::{EncryptionProvider, Inventory, below};
use crate::layout;

mod config;
mod ladder;
pub mod rewrite;
pub mod view;

use config::{Config, KeyId, Provider, Ring};
pub use config::{KEY_BYTES, KeyFile};
use ladder::Then;

/// The flag of the API server that names the file.
pub const FLAG: &str = "encryption-provider-config";

/// What a run may do with the configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Each API server keeps its configuration, and a new one gets that of the others.
    Hold,
    /// The cluster is brought to the inventory. If `least` is given, the key in use must have this number or a higher one.
    Move { least: Option<u32> },
}

/// The configurations of a stage.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    /// The files of API servers by host. A host without an entry has none.
    pub files: BTreeMap<HostName, KeyFile>,
    /// The resources that are rewritten once all API servers have these files, each with the beginning of all values afterwards.
    pub rewrite: BTreeMap<String, String>,
}

/// A reason for which a run must not change the encryption of stored values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The host that the reason concerns; empty for the whole cluster.
    pub host: HostName,
    pub message: String,
    /// What the operator can do about it.
    pub fix: String,
}

impl Fault {
    fn new(host: &str, message: impl Into<String>, fix: impl Into<String>) -> Fault {
        Fault { host: host.into(), message: message.into(), fix: fix.into() }
    }
}

/// What the control planes of a cluster have.
struct Present {
    /// The configurations that each API server has now or may have when it starts again; that of its manifest is the first one.
    servers: BTreeMap<HostName, Vec<Config>>,
    ring: Ring,
}

impl Present {
    /// All configurations of all API servers.
    fn configs(&self) -> impl Iterator<Item = &Config> {
        self.servers.values().flatten()
    }

    /// The resources that an API server encrypts or reads with a key.
    fn resources(&self) -> BTreeSet<&String> {
        self.configs().flat_map(Config::resources).collect()
    }
}

/// Whether the inventory or a host has anything to do with the encryption of stored values.
pub fn concerns(inv: &Inventory, facts: &Facts) -> bool {
    inv.control_plane.encryption.is_some() || facts.hosts.values().any(|f| f.files.contains_key(layout::ENCRYPTION_DIR))
}

/// The number of the key that `clusterctl secrets rotate-key` brings: that of the newest key if an interrupted change of keys goes on, or else the next
/// number.
pub fn number_to_bring(inv: &Inventory, facts: &Facts) -> u32 {
    let ring = present(inv, facts).map(|present| present.ring).unwrap_or_default();
    let newest = ring.keys().map(|k| k.number).max().unwrap_or(0);
    if ring.len() > 1 { newest } else { newest + 1 }
}

/// The configurations of the next stage. `fresh` is the key that is used if a new one is needed. The error has the reasons for which nothing can be
/// said.
pub fn targets(inv: &Inventory, facts: &Facts, intent: Intent, fresh: &Secret) -> Result<Targets, Vec<Fault>> {
    let encrypts = inv.control_plane.encryption.as_ref().is_some_and(|e| e.provider != EncryptionProvider::Identity);
    if matches!(intent, Intent::Move { least: Some(_) }) && !encrypts {
        let message = "the inventory does not encrypt what is stored, so there is no key to change";
        return Err(vec![Fault::new("", message, "set `controlPlane.encryption`, and run `clusterctl apply`")]);
    }
    if !concerns(inv, facts) {
        return Ok(Targets::default());
    }
    let mut present = present(inv, facts)?;
    let all: Vec<&HostName> = inv.control_planes().map(|h| &h.name).collect();
    let Intent::Move { least } = intent else {
        let of_others = all.iter().find_map(|h| present.servers.get(*h)).cloned().unwrap_or_default();
        let own = |h: &HostName| present.servers.get(h).unwrap_or(&of_others).first().cloned().unwrap_or_default();
        return Ok(files(all.iter().map(|h| ((*h).clone(), own(h))), &present.ring, BTreeMap::new()));
    };
    let Some(encryption) = &inv.control_plane.encryption else { return left_out(&present) };
    let key = goal_key(&mut present.ring, encryption.provider, least, fresh);
    let goal = |resource: &String| match &key {
        Some(key) if encryption.resources.contains(resource) => Provider::Key(key.clone()),
        _ => Provider::Identity,
    };
    let configs: Vec<&Config> = present.configs().collect();
    let resources: BTreeSet<&String> = present.resources().into_iter().chain(&encryption.resources).collect();
    let (mut lists, mut rewrite, mut unknown) = (BTreeMap::new(), BTreeMap::new(), false);
    for resource in resources {
        let goal = goal(resource);
        let now: Vec<Vec<Provider>> = configs.iter().map(|c| c.list(resource)).collect();
        let next = ladder::next(&now, &goal, rewritten(facts, resource, &goal));
        unknown |= next.then == Then::Unknown;
        let everywhere = now.iter().all(|list| *list == next.list);
        if next.then == Then::Rewrite && everywhere {
            rewrite.insert(resource.clone(), goal.prefix());
        }
        lists.insert(resource.clone(), next.list);
    }
    let mut config = Config::new(lists);
    if let Some(now) = unfinished(&present, facts, &config, !rewrite.is_empty()) {
        config = now;
        rewrite.clear();
    }
    let moves = !rewrite.is_empty() || configs.iter().any(|c| **c != config);
    let silent: Vec<&str> = all.iter().filter(|h| !facts.hosts.contains_key(**h)).map(|h| h.as_str()).collect();
    if unknown {
        let message = "no etcd member tells how the values are stored, and an old key must not go before nothing needs it";
        return Err(vec![Fault::new("", message, "see `clusterctl etcd status`, then run the same command again")]);
    }
    if moves && !silent.is_empty() && !present.servers.is_empty() {
        let message = format!("keys change on all control planes, one step at a time, and these do not answer: {}", silent.join(", "));
        let fix = "bring them back, or take them out with `clusterctl remove --dead`";
        return Err(vec![Fault::new("", message, fix)]);
    }
    Ok(files(all.into_iter().map(|h| (h.clone(), config.clone())), &present.ring, rewrite))
}

/// The configuration that all API servers have, if the pass over the control planes that brought it has not ended: a host still watches its new API
/// server, and may put the previous one back, which could not read what the next pass lets others write; or a host still has the file of the previous
/// pass. `None` if the pass has ended, or if nothing would follow it.
fn unfinished(present: &Present, facts: &Facts, next: &Config, rewrites: bool) -> Option<Config> {
    let mut configs = present.configs();
    let now = configs.next().filter(|now| configs.all(|c| c == *now))?;
    let known: Vec<String> = [now, next].into_iter().filter_map(|c| Some(config::file(c, &present.ring)?.path)).collect();
    let busy = present
        .servers
        .keys()
        .map(|h| facts.host(h))
        .any(|f| f.unsettled.contains("kube-apiserver") || contents(f).any(|(path, _)| !known.contains(path)));
    (busy && (now != next || rewrites)).then(|| now.clone())
}

fn files(configs: impl Iterator<Item = (HostName, Config)>, ring: &Ring, rewrite: BTreeMap<String, String>) -> Targets {
    Targets { files: configs.filter_map(|(h, c)| Some((h, config::file(&c, ring)?))).collect(), rewrite }
}

/// The targets of an inventory without `controlPlane.encryption`, which must not decrypt a cluster by accident.
fn left_out(present: &Present) -> Result<Targets, Vec<Fault>> {
    let encrypts = |(_, configs): &(&HostName, &Vec<Config>)| configs.iter().any(|c| *c != Config::default());
    let hosts: Vec<&str> = present.servers.iter().filter(encrypts).map(|(h, _)| h.as_str()).collect();
    if hosts.is_empty() {
        return Ok(Targets::default());
    }
    let message =
        format!("the inventory has no `controlPlane.encryption`, and the API servers of {} encrypt what they store", hosts.join(", "));
    let fix = "put it back, or write `encryption: { provider: identity }` to store everything in clear again";
    Err(vec![Fault::new("", message, fix)])
}

/// The key that everything is to be encrypted with: the newest one, or a new one if there is none of this provider with this number. The new key is
/// added to the ring. `None` for `identity`.
fn goal_key(ring: &mut Ring, provider: EncryptionProvider, least: Option<u32>, fresh: &Secret) -> Option<KeyId> {
    if provider == EncryptionProvider::Identity {
        return None;
    }
    let newest = ring.keys().max().cloned();
    let fits = newest.clone().filter(|k| k.provider == provider && least.is_none_or(|n| k.number >= n));
    Some(fits.unwrap_or_else(|| {
        let id = KeyId::of(newest.map_or(0, |k| k.number) + 1, provider, fresh);
        ring.insert(id.clone(), fresh.clone());
        id
    }))
}

/// Whether all stored values of a resource are as this provider writes them; `None` if no etcd member has told. A prediction alone is not enough: after
/// a rewrite, etcd is asked.
fn rewritten(facts: &Facts, resource: &str, goal: &Provider) -> Option<bool> {
    if facts.ledger.unchecked_values.contains(resource) {
        return Some(false);
    }
    let counts = facts.stored()?.get(resource)?;
    Some(counts.iter().all(|(prefix, count)| *prefix == goal.prefix() || *count == 0))
}

/// Reads what the control planes have. The error has every reason for which this cannot be understood.
fn present(inv: &Inventory, facts: &Facts) -> Result<Present, Vec<Fault>> {
    let mut known: BTreeMap<String, (Config, Ring)> = BTreeMap::new();
    for (path, content) in inv.control_planes().flat_map(|h| contents(facts.host(&h.name))) {
        // A file whose content does not fit its name was changed by hand. The file of another host may have the content that belongs to the name.
        if config::path_of(&content) == *path
            && let Some(read) = config::read(&content)
        {
            known.insert(path.clone(), read);
        }
    }
    let (mut servers, mut refusals) = (BTreeMap::new(), Vec::new());
    for h in inv.control_planes() {
        let f = facts.host(&h.name);
        let mut configs = Vec::new();
        let mut paths = named(f);
        paths.dedup();
        for path in paths {
            match (path, known.get(path.unwrap_or_default())) {
                (None, _) => configs.push(Config::default()),
                (Some(_), Some((config, _))) => configs.push(config.clone()),
                (Some(path), None) if below(path, layout::ENCRYPTION_DIR).is_some() => {
                    let message = format!("its API server reads its keys from {path}, which is missing or was changed by hand");
                    let fix = "put the file back from a copy; without its keys, the values that they have encrypted are lost";
                    refusals.push(Fault::new(&h.name, message, fix));
                }
                (Some(path), None) => {
                    let message = format!("its API server has a configuration of its own for encryption, {path}");
                    let fix = "keep the flag in the inventory and remove `controlPlane.encryption`";
                    refusals.push(Fault::new(&h.name, message, fix));
                }
            }
        }
        configs.dedup();
        if !configs.is_empty() {
            servers.insert(h.name.clone(), configs);
        }
    }
    refusals.extend(contradiction(&servers));
    let ring = known.into_values().flat_map(|(_, ring)| ring).collect();
    if refusals.is_empty() { Ok(Present { servers, ring }) } else { Err(refusals) }
}

/// The files below [`layout::ENCRYPTION_DIR`] on a host.
fn contents(f: &HostFacts) -> impl Iterator<Item = (&String, Secret)> {
    let inside = |path: &&String| below(path, layout::ENCRYPTION_DIR).is_some_and(|rest| !rest.is_empty());
    f.files.keys().filter(inside).filter_map(|path| Some((path, Secret::from(f.content(path)?.to_vec()))))
}

/// The files that the flags of the host's API server name: first in its manifest, and then in its running process. `None` in place of a file is an
/// API server without the flag.
fn named(f: &HostFacts) -> Vec<Option<&str>> {
    let flag = format!("--{FLAG}=");
    let manifest = f.text(&format!("{}/kube-apiserver.yaml", layout::MANIFESTS_DIR));
    let manifest = manifest.map(|text| text.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix(&flag)));
    let process = f.pods.get("kube-apiserver").map(|pod| pod.argv.iter().find_map(|arg| arg.strip_prefix(&flag)));
    manifest.into_iter().chain(process).map(|path| path.map(|p| p.trim_matches(['"', '\'']))).collect()
}

/// The refusal if an API server cannot read what another one writes, which no interrupted run leaves behind.
fn contradiction(servers: &BTreeMap<HostName, Vec<Config>>) -> Option<Fault> {
    let all: Vec<(&HostName, &Config)> = servers.iter().flat_map(|(h, configs)| configs.iter().map(move |c| (h, c))).collect();
    let resources: BTreeSet<&String> = all.iter().flat_map(|(_, c)| c.resources()).collect();
    resources.into_iter().find_map(|resource| {
        let lists: Vec<Vec<Provider>> = all.iter().map(|(_, c)| c.list(resource)).collect();
        let (writes, reads) = ladder::broken(&lists)?;
        let (writes, reads) = (all[writes].0, all[reads].0);
        let message = format!("the API server of {reads} cannot read the {resource} that the API server of {writes} writes");
        let fix = format!("compare the files in {} of the two hosts, and put the one with all keys on both", layout::ENCRYPTION_DIR);
        Some(Fault::new("", message, fix))
    })
}
