//! The SSH transport against real OpenSSH servers.

mod commands;
mod host_keys;
mod log_in;
mod routes;
mod speed;
pub mod sshd;
mod sudo;
mod upload;
