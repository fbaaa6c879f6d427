//! Reads the operator's text into an inventory, or reports every fault in the text.

use serde_json::Value;

use super::defaults::NODE_CIDR_MASK_IPV6;
use super::path::Path;
use super::structure::{self, Finding, MAX_FAULTS};
use super::tree::{Node, Pos};
use super::yaml::{self, TextFault};
use super::{Fault, Faults, Inventory, KubeVersion, check, root_schema};

/// An inventory without faults, and warnings about doubtful values in it.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub inventory: Inventory,
    pub warnings: Vec<Fault>,
}

/// Checks whether clusterctl supports a Kubernetes version. The error names the supported versions.
pub type Supported<'a> = &'a dyn Fn(&KubeVersion) -> Result<(), String>;

/// Reads an inventory from the bytes of a file, as `parse` does from text. `file_name` is used in messages only.
pub fn parse_bytes(bytes: &[u8], file_name: &str, supported: Supported) -> Result<Parsed, Faults> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text, file_name, supported),
        Err(error) => Err(Faults(vec![not_utf8(bytes, error.valid_up_to(), file_name)])),
    }
}

/// Parses the text of an inventory and applies all checks to it. `file_name` is used in messages only. The error has every fault, or the first
/// `MAX_FAULTS` of them.
pub fn parse(text: &str, file_name: &str, supported: Supported) -> Result<Parsed, Faults> {
    let place = Place { file: file_name };
    let reading = yaml::read(text);
    let mut faults: Vec<Fault> = reading.faults.into_iter().map(|f| place.of_text(f)).collect();
    let Some(root) = reading.root.filter(|root| !root.is_null()) else {
        if faults.is_empty() {
            let message = if text.trim().is_empty() { "the inventory is empty" } else { "the inventory has nothing but comments" };
            faults.push(place.top(message, Some("`clusterctl inventory new` writes a starter")));
        }
        return Err(in_order(faults));
    };
    let mut read = structure::check(&root, root_schema::cached());
    let full = read.findings.len() >= MAX_FAULTS;
    faults.extend(read.findings.into_iter().map(|f| place.of_finding(f, &root)));
    if full {
        return Err(in_order(faults));
    }
    complete(&mut read.value);
    let mut inventory: Inventory = match serde_json::from_value(read.value) {
        Ok(inventory) => inventory,
        Err(error) => {
            faults.push(place.top(&error.to_string(), None));
            return Err(in_order(faults));
        }
    };
    for host in &mut inventory.hosts {
        host.private_address = host.private_address.or_else(|| host.address.parse().ok());
    }
    let opinion = check::all(&inventory, &root, &read.holes, supported);
    faults.extend(opinion.faults.into_iter().map(|f| place.of_finding(f, &root)));
    if !faults.is_empty() {
        return Err(in_order(faults));
    }
    let warnings = opinion.warnings.into_iter().map(|f| place.of_finding(f, &root)).collect();
    Ok(Parsed { inventory, warnings })
}

/// Adds the defaults that depend on other fields: the default of `nodeCidrMask` depends on whether `podCidr` is an IPv6 range.
fn complete(value: &mut Value) {
    let Some(network) = value.get_mut("network").and_then(Value::as_object_mut) else { return };
    let ipv6 = network.get("podCidr").and_then(Value::as_str).is_some_and(|cidr| cidr.contains(':'));
    if ipv6 && !network.contains_key("nodeCidrMask") {
        network.insert("nodeCidrMask".into(), NODE_CIDR_MASK_IPV6.into());
    }
}

/// Sorts the faults by their positions in the file and removes duplicates. If `MAX_FAULTS` faults were found, a last one reports that more may
/// follow.
fn in_order(mut faults: Vec<Fault>) -> Faults {
    faults.sort_by_key(|f| (f.line, f.column));
    faults.dedup();
    if faults.len() >= MAX_FAULTS {
        faults.truncate(MAX_FAULTS);
        faults.extend(faults.last().cloned().map(|last| Fault { message: "more faults may follow".into(), hint: None, ..last }));
    }
    Faults(faults)
}

/// Makes faults that all name the same file.
struct Place<'a> {
    file: &'a str,
}

impl Place<'_> {
    fn fault(&self, pos: Pos, path: &Path, message: String, hint: Option<String>) -> Fault {
        Fault { file: self.file.into(), line: pos.line, column: pos.column, path: path.to_string(), message, hint }
    }

    fn of_text(&self, fault: TextFault) -> Fault {
        self.fault(fault.pos, &Path::default(), fault.message, fault.hint)
    }

    fn of_finding(&self, finding: Finding, root: &Node) -> Fault {
        let pos = root.position(&finding.path, finding.spot);
        self.fault(pos, &finding.path, finding.message, finding.hint)
    }

    /// A fault of the file as a whole, which is reported at its first line.
    fn top(&self, message: &str, hint: Option<&str>) -> Fault {
        self.fault(Pos { line: 1, column: 1 }, &Path::default(), message.into(), hint.map(Into::into))
    }
}

/// The fault for a file that is not UTF-8, at its first wrong byte. `valid` is the number of bytes before this byte.
fn not_utf8(bytes: &[u8], valid: usize, file: &str) -> Fault {
    let before = String::from_utf8_lossy(&bytes[..valid]);
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let message = if utf16 { "the file is UTF-16".into() } else { format!("the byte 0x{:02x} is not UTF-8", bytes[valid]) };
    let pos = Pos { line: before.matches('\n').count() + 1, column };
    Place { file }.fault(pos, &Path::default(), message, Some("save the file as UTF-8".into()))
}
