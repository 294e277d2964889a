//! The program `trainscope`; the commands are in `cli/`.

mod cli;

use std::process::ExitCode;

/// The environment variable for the number of threads that llvmpipe starts; by default there is one for each core.
const THREADS: &str = "LP_NUM_THREADS";

/// The environment variable that keeps Mesa's layer for choosing a device out of a Vulkan instance. trainscope chooses its
/// adapter itself, and the layer prints errors of its own where there is no desktop session.
const NO_DEVICE_SELECTION: &str = "NODEVICE_SELECT";

fn main() -> ExitCode {
    balance_software_adapter();
    set_default(NO_DEVICE_SELECTION, "1");
    cli::main()
}

/// Gives llvmpipe twice as many threads as there are cores. llvmpipe divides the workgroups of a dispatch into equal parts
/// before they start. Where cores are shared with other programs they are not equally fast, and the faster one would wait.
/// Results do not depend on which thread runs a workgroup.
fn balance_software_adapter() {
    let cores = std::thread::available_parallelism();
    if let Ok(cores) = cores {
        set_default(THREADS, &(2 * cores.get()).to_string());
    }
}

/// Sets an environment variable that has no value.
fn set_default(name: &str, value: &str) {
    if std::env::var_os(name).is_none() {
        // SAFETY: nothing has started a thread yet that could read the environment.
        #[allow(unsafe_code)]
        unsafe {
            std::env::set_var(name, value);
        }
    }
}
