//! The inventory: its types, and a parser that reports all faults at once, each with its position in the file.
//!
//! The YAML text is read into a tree with positions (`yaml`, `tree`). The tree is checked against the JSON Schema of the types (`schema`,
//! `kinds`, `structure`). The values that could be read are deserialised into an [`Inventory`], and the rules about their meaning are applied to
//! it (`check`). The path of a value that could not be read is recorded as a hole. No rule reports a finding about a path that is inside a hole
//! or contains one. This module reads no file, no clock and no environment variable.

mod check;
mod defaults;
mod duration;
mod encryption;
mod fault;
mod files;
mod forms;
mod kinds;
mod options;
mod parse;
mod path;
mod registries;
mod resolve;
mod root_schema;
mod scalar;
mod schema;
mod show;
mod starter;
mod structure;
mod tree;
mod types;
mod version;
mod words;
mod yaml;

pub use duration::{parse_duration, show_duration};
pub use encryption::{ENCRYPTABLE, Encryption, EncryptionProvider};
pub use fault::{Fault, Faults};
pub use files::{ControlPlaneFile, ExtraVolume, FILE_VOLUMES, PathType, below};
pub use options::*;
pub use parse::{Parsed, Supported, parse, parse_bytes};
pub use registries::{DEFAULT_REGISTRY, RegistryMirror, RegistryMirrors, server_name};
pub use resolve::{DEFAULT_ENDPOINT_PORT, NO_JUMP, merge};
pub use root_schema::schema;
pub use show::{fields, show};
pub use starter::{Profile, starter};
pub use types::*;
pub use version::KubeVersion;
