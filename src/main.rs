//! The program: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(_) => return ExitCode::from(1),
    };
    let exit = runtime.block_on(clusterctl::cli::main());
    // Connections still closing must not hold the shell prompt.
    runtime.shutdown_background();
    ExitCode::from(exit as u8)
}
