//! The operator's file: types, parsing with positions, every fault at once.
//!
//! A text becomes a tree with positions (`yaml`, `tree`), the tree is held against the JSON Schema of the types (`schema`, `kinds`,
//! `structure`), what could be read becomes an [`Inventory`], and the rules about its meaning run over that (`check`). A value that could
//! not be read leaves a hole, and no rule speaks of what touches a hole. Nothing here reads a file, a clock or the environment.

mod check;
mod defaults;
mod duration;
mod fault;
mod forms;
mod kinds;
mod options;
mod parse;
mod path;
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
pub use fault::{Fault, Faults};
pub use options::*;
pub use parse::{Parsed, Supported, parse, parse_bytes};
pub use resolve::{DEFAULT_ENDPOINT_PORT, NO_JUMP, merge};
pub use root_schema::schema;
pub use show::{fields, show};
pub use starter::{Profile, starter};
pub use types::*;
pub use version::KubeVersion;
