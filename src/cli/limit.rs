//! `--limit`: the selection of hosts of the inventory by name.

use super::stop::Stop;
use crate::error::Exit;
use crate::host::HostName;
use crate::inventory::Inventory;

/// The error for names that no host of the inventory has.
#[derive(Debug, PartialEq, Eq)]
pub struct LimitFault {
    pub message: String,
    pub hint: String,
}

impl From<LimitFault> for Stop {
    fn from(fault: LimitFault) -> Stop {
        Stop::with(Exit::Usage).error(fault.message, fault.hint)
    }
}

/// A host's name is suggested in place of an unknown name if the two are at least this similar (Jaro-Winkler, 0 to 1).
const SIMILAR: f64 = 0.8;

/// The hosts that `names` lists, in the inventory's order; every host if `names` is empty. The error lists the names that no host has.
pub fn select(inventory: &Inventory, names: &[String]) -> Result<Vec<HostName>, LimitFault> {
    let all = || inventory.hosts.iter().map(|h| &h.name);
    let unknown: Vec<&String> = names.iter().filter(|n| !all().any(|h| h == *n)).collect();
    let Some(first) = unknown.first() else {
        return Ok(all().filter(|h| names.is_empty() || names.contains(h)).cloned().collect());
    };
    let quoted = |names: Vec<&String>| names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ");
    let near = all().map(|h| (strsim::jaro_winkler(first, h), h)).filter(|(s, _)| *s >= SIMILAR).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match near {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("the hosts are {}", quoted(all().collect())),
    };
    Err(LimitFault { message: format!("no such host in the inventory: {}", quoted(unknown)), hint })
}
