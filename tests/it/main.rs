//! All integration tests, in one binary, because each binary has to be linked with the whole of clusterctl.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod cli;
mod counting;
mod documents;
mod inventory;
mod needs;
mod paths;
mod pki;
mod plans;
mod render;
mod ssh;
mod tidy;
