//! `clusterctl balancer`.

use std::net::IpAddr;

use clap::ValueEnum;
use serde_json::json;

use super::{Call, session};
use crate::error::Exit;
use crate::render::lb::{self, Listen};

/// Print a load balancer's configuration for this inventory, touching no host
///
/// For a balancer of your own (`loadBalancer.kind: external`): what it has to do, as a whole configuration file. The hosts with the role
/// `load-balancer` get theirs from `init` and `apply`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl balancer -i prod.yaml >haproxy.cfg\n  clusterctl balancer -i prod.yaml --format nginx")]
pub struct Args {
    /// Program that it is for
    #[arg(long, value_enum, default_value_t = Program::Haproxy, value_name = "PROGRAM")]
    format: Program,
}

/// The programs
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Program {
    /// haproxy, which asks each API server how it is
    Haproxy,
    /// nginx with the stream module, which learns from connections that fail
    Nginx,
}

/// Runs the verb.
pub fn run(call: &Call, args: &Args) -> Exit {
    let inv = match session::load(&call.global, &call.report) {
        Ok(parsed) => parsed.inventory,
        Err(exit) => return exit,
    };
    let (_, port) = inv.endpoint();
    let backends: Vec<(String, IpAddr)> = inv.control_planes().map(|m| (m.name.clone(), m.node_address())).collect();
    let (program, config) = match args.format {
        Program::Haproxy => ("haproxy", lb::haproxy(&inv, &backends, Listen::Everywhere, port)),
        Program::Nginx => ("nginx", lb::nginx(&backends, port)),
    };
    call.report.result(&json!({"program": program, "endpoint": inv.endpoint_authority(), "config": config}), config);
    Exit::Done
}
