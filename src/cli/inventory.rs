//! `clusterctl inventory`.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::save::{self, Existing};
use super::stop::{Ended, Stop};
use super::{Call, session};
use crate::error::Exit;
use crate::inventory::{self, Profile};

/// Write, explain and check inventories
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do
#[derive(Debug, Subcommand)]
enum Action {
    New(New),
    /// Print the JSON Schema of inventories, for editors
    #[command(after_help = "Example:\n  clusterctl inventory schema >inventory.schema.json\n  \
            First line of an inventory: # yaml-language-server: $schema=inventory.schema.json")]
    Schema,
    /// Print the inventory with every default filled in
    #[command(
        after_help = "Example:\n  clusterctl inventory show -i prod.yaml\n  clusterctl inventory show -i prod.yaml --output json | jq .hosts"
    )]
    Show,
}

/// Write a commented inventory to start with
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl inventory new --profile production --output-file prod.yaml")]
struct New {
    /// Kind of cluster: one machine, one control plane with workers, or highly available
    #[arg(long, default_value = "production", value_parser = profiles())]
    profile: Profile,
    /// Write to this new file instead of standard output
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
}

fn profiles() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::ALL.map(Profile::name)).try_map(|name| name.parse::<Profile>())
}

/// Runs the verb.
pub fn run(call: &Call, args: &Args) -> Ended {
    match &args.action {
        Action::New(args) => new(call, args),
        Action::Schema => {
            let schema = inventory::schema();
            call.report.result(&schema, format!("{schema:#}"));
            Ok(Exit::Done)
        }
        Action::Show => {
            let parsed = session::load(&call.global)?;
            call.report.warnings(&parsed.warnings);
            call.report.result(&parsed.inventory, inventory::show(&parsed.inventory));
            Ok(Exit::Done)
        }
    }
}

fn new(call: &Call, args: &New) -> Ended {
    let text = inventory::starter(args.profile);
    let Some(path) = &args.output_file else {
        call.report.result(&json!({"profile": args.profile.name(), "inventory": text}), text);
        return Ok(Exit::Done);
    };
    let file = path.display().to_string();
    save::whole(path, text.as_bytes(), 0o644, Existing::Refuse).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Stop::with(Exit::Refused).error(format!("`{file}` exists already"), "name another file, or remove this one")
        }
        _ => Stop::with(Exit::Failed).error(format!("cannot write `{file}`: {e}"), ""),
    })?;
    call.report.result(&json!({"profile": args.profile.name(), "file": file}), format!("wrote {file}"));
    call.report.ending("", &format!("change the addresses in {file}, then `clusterctl validate -i {file}`"));
    Ok(Exit::Done)
}
