//! clusterctl: a list of Linux hosts, reachable over SSH, becomes a highly available Kubernetes cluster and stays healthy.
//!
//! A cluster is described by one ordered list of desired steps ([`plan::desired`]). Each verb that brings a cluster to a goal observes all hosts
//! ([`facts`]), removes the steps that are already done according to the facts ([`plan::Plan::of`]), shows the remaining steps, runs exactly these
//! steps ([`run`]), and observes the hosts again: the goal is reached if the next plan is empty. The flow is in `cli/operation.rs`.
//!
//! Code map, in reading order:
//! - [`inventory`]: the operator's file; its types, and a parser that reports all faults at once with their positions.
//! - [`versions`]: the differences between Kubernetes minor versions. [`layout`]: every path and port.
//! - [`facts`]: the requests to a host and to the API, and the parsers of the answers.
//! - [`pki`]: certificates, kept or created. [`render`]: text files and API objects, made from inventory, version and `templates/`.
//! - [`step`]: the closed enum of steps; for each, which part of it is still to be done, how it changes the facts, and how it is executed.
//! - [`plan`]: desired steps, plans and refusals. [`run`]: the engine that runs a plan. [`error`]: failures, hints and exit codes.
//! - [`host`]: the only access to hosts and processes; SSH, and the constant scripts of `host/scripts/`.
//! - [`cli`]: the verbs; `cli/report/` is the only code that prints.
//!
//! The test `tests/it/tidy.rs` checks that certain things are absent: IO, the clock and randomness in `plan`, `render` and `inventory`; the
//! start of processes outside `host`; Kubernetes paths outside `layout`; printing outside `cli`; shell text that is made from values; and state
//! files.

pub mod cli;
pub mod error;
pub mod facts;
pub mod host;
pub mod inventory;
pub mod layout;
pub mod pki;
pub mod plan;
pub mod render;
pub mod run;
pub mod step;
pub mod versions;
mod yaml;
