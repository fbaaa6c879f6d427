//! Writes the man pages of clusterctl and of every command into the folder that is its one argument: `cargo run --example man -- FOLDER`.

use std::io::{Error, ErrorKind, Result};

use clap::CommandFactory;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).ok_or_else(|| Error::new(ErrorKind::InvalidInput, "name the folder for the man pages"))?;
    std::fs::create_dir_all(&folder)?;
    clap_mangen::generate_to(clusterctl::cli::Cli::command(), &folder)
}
