//! The program clusterctl: runs the command line and exits with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::from(1),
    };
    let exit = runtime.block_on(clusterctl::cli::main());
    // Connections that are still being closed must not delay the exit of the program.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}
