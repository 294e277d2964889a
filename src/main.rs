//! The program `trainscope`; the commands are in `cli/`.

#![deny(unsafe_code)]

mod cli;

use std::process::ExitCode;

/// How many threads llvmpipe starts; as many as cores where nothing is said.
const THREADS: &str = "LP_NUM_THREADS";

fn main() -> ExitCode {
    balance_software_adapter();
    cli::main()
}

/// Gives llvmpipe twice as many threads as there are cores. It deals the workgroups of a dispatch out in equal parts
/// before they start; where cores are shared with others they are not equally fast, and the faster one would wait. Which
/// thread runs a workgroup changes no result.
fn balance_software_adapter() {
    let cores = std::thread::available_parallelism();
    if let (Ok(cores), None) = (cores, std::env::var_os(THREADS)) {
        // SAFETY: nothing has started a thread yet that could read the environment.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var(THREADS, (2 * cores.get()).to_string());
        }
    }
}
