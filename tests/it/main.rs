//! All integration tests, in one binary: eleven binaries would each be linked with the whole program.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod cli;
mod counting;
mod documents;
mod inventory;
mod needs;
mod pki;
mod plans;
mod render;
mod ssh;
mod tidy;
