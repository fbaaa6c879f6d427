//! Asks a host which ports of other hosts it reaches, before a plan is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::url_host;
use crate::host::Cmd;
use crate::script;

const REACH: &str = script!("observe/reach.sh");

/// The line with which a host tells that it listens on all its ports.
pub const READY: &str = "ready";
/// The line with which a host tells that it has tried all connections.
pub const TRIED: &str = "tried";

/// What one host is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The ports on which the host listens for the time of the check.
    pub listen: BTreeSet<u16>,
    /// The addresses and ports to which the host connects.
    pub connect: BTreeSet<(IpAddr, u16)>,
    /// The addresses that should be in the same layer-2 network as the host.
    pub beside: BTreeSet<IpAddr>,
}

/// What one host answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The ports on which the host listened. Empty if the host has no program that can listen.
    pub listens: BTreeSet<u16>,
    /// Why connections were not possible, by address and port.
    pub blocked: BTreeMap<(IpAddr, u16), String>,
    /// The gateways of addresses that are not in a network of the host.
    pub routed: BTreeMap<IpAddr, String>,
    /// The names of active firewalls: `firewalld` or `ufw`.
    pub firewalls: Vec<String>,
    /// Some rules that drop or reject packets, as iptables-save prints them.
    pub rules: Vec<String>,
}

/// The reason of a connection to a host on whose port nothing listens, or whose firewall rejects the connection.
pub const REFUSED: &str = "refused";

/// The command that asks a host with this address. The command waits for a line on its input when it is ready, and again when it has tried everything.
pub fn request(address: IpAddr, question: &Question) -> Cmd {
    let comma = || [",".to_string()];
    let connect = question.connect.iter().flat_map(|(address, port)| [address.to_string(), port.to_string()]);
    let words = question.listen.iter().map(u16::to_string).chain(comma()).chain(connect).chain(comma());
    let words = words.chain(question.beside.iter().map(IpAddr::to_string));
    Cmd::script(REACH).arg("address", url_host(address)).words(words).timeout(Duration::from_secs(120))
}

/// Reads the output of `reach.sh`. Lines that cannot be read are left out.
pub fn parse(text: &str) -> Reached {
    let mut reach = Reached::default();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.splitn(3, ' ');
        let (first, second, third) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.next().unwrap_or(""));
        match word {
            "listens" => reach.listens.extend(first.parse::<u16>()),
            "blocked" => reach.blocked.extend(first.parse().ok().zip(second.parse().ok()).map(|to| (to, third.to_string()))),
            "routed" => reach.routed.extend(first.parse::<IpAddr>().ok().map(|to| (to, second.to_string()))),
            "firewall" => reach.firewalls.push(rest.to_string()),
            "rule" => reach.rules.push(rest.to_string()),
            _ => {}
        }
    }
    reach
}
