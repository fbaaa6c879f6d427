//! clusterctl: a list of Linux hosts, reachable over SSH, becomes a highly available Kubernetes cluster and stays healthy.
//!
//! A cluster is one ordered list of desired steps ([`plan::cluster`]). Every converging verb observes all hosts ([`facts`]), leaves out the
//! steps that hold for the facts ([`plan::Plan::of`]), shows the rest, runs exactly that ([`run`]), and observes again: done means that the
//! next plan is empty. The flow is in `cli/operation.rs`.
//!
//! Code map, in reading order:
//! - [`inventory`]: the operator's file; types, parsing with positions, every fault at once.
//! - [`versions`], [`layout`]: Kubernetes facts by minor version; every path and port.
//! - [`facts`]: what to ask a host and the API, and how to read the answer.
//! - [`pki`], [`render`]: certificates kept or minted; inventory and version to text and objects, through `templates/`.
//! - [`step`]: the closed enum; what is pending, what the facts become, the one effect.
//! - [`plan`]: desired steps, plans, blockers. [`run`]: the engine. [`error`]: failures, hints, exit codes.
//! - [`host`]: the one seam to the world; SSH, and the constant scripts of `host/remote/`.
//! - [`cli`]: the verbs; `cli/report/` is the only code that prints.
//!
//! Absences, held by `tests/it/tidy.rs`: no IO, clock or randomness in `plan`, `render` and `inventory`; no process started outside `host`; no
//! Kubernetes path outside `layout`; no printing outside `cli`; no shell text made from values anywhere; no state file.

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
