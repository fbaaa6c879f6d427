//! `clusterctl balancer`.

use std::net::IpAddr;

use clap::ValueEnum;
use serde_json::json;

use super::stop::Ended;
use super::{Call, session};
use crate::error::Exit;
use crate::render::lb::{self, Listen};

/// Print a load balancer configuration for this inventory without connecting to a host
///
/// The output is a whole configuration file for a load balancer of your own (`loadBalancer.kind: external`). Hosts with the role
/// `load-balancer` are configured by `init` and `apply`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  clusterctl balancer -i prod.yaml >haproxy.cfg\n  clusterctl balancer -i prod.yaml --format nginx")]
pub struct Args {
    /// Program that the configuration is for
    #[arg(long, value_enum, default_value_t = Program::Haproxy, value_name = "PROGRAM")]
    format: Program,
}

/// The programs
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Program {
    /// haproxy, which checks the readiness of each API server
    Haproxy,
    /// nginx with the stream module, which notices an API server that is down by failed connections
    Nginx,
}

/// Runs the verb.
pub fn run(call: &Call, args: &Args) -> Ended {
    let inv = session::load(&call.global)?.inventory;
    let (_, port) = inv.endpoint();
    let backends: Vec<(String, IpAddr)> = inv.control_planes().map(|m| (m.name.clone(), m.node_address())).collect();
    let (program, config) = match args.format {
        Program::Haproxy => ("haproxy", lb::haproxy(&inv, &backends, Listen::Everywhere, port)),
        Program::Nginx => ("nginx", lb::nginx(&backends, port)),
    };
    call.report.result(&json!({"program": program, "endpoint": inv.endpoint_authority(), "config": config}), config);
    Ok(Exit::Done)
}
