//! The SSH transport against real OpenSSH servers.
#![allow(clippy::unwrap_used)]

#[path = "ssh/commands.rs"]
mod commands;
#[path = "ssh/host_keys.rs"]
mod host_keys;
#[path = "ssh/log_in.rs"]
mod log_in;
#[path = "ssh/routes.rs"]
mod routes;
#[path = "ssh/speed.rs"]
mod speed;
#[path = "ssh/sshd.rs"]
mod sshd;
#[path = "ssh/sudo.rs"]
mod sudo;
#[path = "ssh/upload.rs"]
mod upload;
