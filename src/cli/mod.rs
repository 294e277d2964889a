//! The commands, one file each. This one holds what they share: arguments, the adapter line, exit codes.

mod adapters;
mod attribute;
mod bench;
mod budget;
mod cluster;
mod compare;
mod completions;
mod credit;
mod dream;
mod explain;
mod outputs;
mod pattern_answers;
mod patterns;
mod probe_lines;
mod progress;
mod replay;
mod report;
mod run_options;
mod sample;
mod sample_args;
mod sample_lines;
mod scenarios;
mod tolerance;
mod train;
#[cfg(feature = "window")]
mod watch;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use trainscope::gpu::{AdapterChoice, Gpu};
use trainscope::text::printable;
use trainscope::{ByteSize, Error, Result, panics};

/// Trains deep generative models in WGSL compute shaders and shows why a training run goes wrong.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Use the adapter with this in its name (see `trainscope adapters`)
    #[arg(long, global = true, value_name = "NAME")]
    adapter: Option<String>,
    /// Use at most this much of the adapter's memory for training, such as 2GiB
    #[arg(long, global = true, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// Print one JSON object on stdout; progress and notes go to stderr
    #[arg(long, global = true)]
    json: bool,
    /// Print no notes, only results and errors
    #[arg(long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a scenario and record the run
    Train(train::TrainArgs),
    /// Open the window: train live, or look at a run
    #[cfg(feature = "window")]
    Watch(watch::WatchArgs),
    /// Run steps of a recorded run again, with every unit recorded at every step
    Replay(replay::ReplayArgs),
    /// Decompose the change of a unit over some steps: what its predecessors and its successors did
    Credit(credit::CreditArgs),
    /// Select the lines that matter from many time series (.npy, .csv or a run directory)
    Sample(sample_args::SampleArgs),
    /// Put the units of a layer into clusters of those that behave alike
    Cluster(cluster::ClusterArgs),
    /// Write a run's report, one self-contained HTML file
    Report(report::ReportArgs),
    /// Say why a run went as it did, with the evidence and what to change
    Explain(explain::ExplainArgs),
    /// Show what each pixel of the input contributes to a unit
    Attribute(attribute::AttributeArgs),
    /// Show the input that a unit answers most, beside the real inputs that drive it most
    Dream(dream::DreamArgs),
    /// Find what comes again in what the units do, what is like nothing else, and where a sequence of words is met
    Patterns(patterns::PatternsArgs),
    /// Show how much would still be found in a run if less had been recorded
    Budget(budget::BudgetArgs),
    /// Show where runs part: their first difference, scenarios and scalars side by side
    Compare(compare::CompareArgs),
    /// Measure what limits training steps on this adapter
    Bench(bench::BenchArgs),
    /// List the adapters of this machine, best first
    Adapters,
    /// List the built-in scenarios, show one, or check a scenario without training
    Scenarios(scenarios::ScenariosArgs),
    /// Print completions for a shell, such as `trainscope completions bash`
    Completions(completions::CompletionsArgs),
    /// Print the manual page, such as `trainscope man | man -l -`
    Man,
}

/// Parses the command line, runs the command and turns its error into a sentence and an exit code.
pub fn main() -> ExitCode {
    panics::silence(|error| {
        say(error);
        std::process::exit(i32::from(error.exit_code()));
    });
    let arguments = Arguments::parse();
    match panics::caught(|| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            std::iter::once(&error).chain(error.further()).for_each(say);
            ExitCode::from(error.exit_code())
        }
    }
}

/// An error as a sentence for the user.
fn say(error: &Error) {
    let _ = writeln!(std::io::stderr(), "trainscope: {error}");
}

fn run(arguments: &Arguments) -> Result<()> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Train(args) => train::run(common, args),
        #[cfg(feature = "window")]
        Command::Watch(args) => watch::run(common, args),
        Command::Replay(args) => replay::run(common, args),
        Command::Credit(args) => credit::run(common, args),
        Command::Sample(args) => sample::run(common, args),
        Command::Cluster(args) => cluster::run(common, args),
        Command::Report(args) => report::run(common, args),
        Command::Explain(args) => explain::run(common, args),
        Command::Attribute(args) => attribute::run(common, args),
        Command::Dream(args) => dream::run(common, args),
        Command::Patterns(args) => patterns::run(common, args),
        Command::Budget(args) => budget::run(common, args),
        Command::Compare(args) => compare::run(common, args),
        Command::Bench(args) => bench::run(common, args),
        Command::Adapters => adapters::run(common),
        Command::Scenarios(args) => scenarios::run(common, args),
        Command::Completions(args) => completions::completions(args),
        Command::Man => completions::man(),
    }
}

impl Common {
    fn choice(&self) -> AdapterChoice {
        AdapterChoice {
            name: self.adapter.clone(),
        }
    }

    /// The device of the chosen adapter, [prepared](Common::prepared).
    fn gpu(&self) -> Result<Gpu> {
        Ok(self.prepared(Gpu::new(&self.choice())?))
    }

    /// The same device with the user's kernel cache and memory limit. Notes which adapter it is on.
    fn prepared(&self, mut gpu: Gpu) -> Gpu {
        if let Some(caches) = dirs::cache_dir() {
            gpu = gpu.with_kernel_cache(&caches.join("trainscope"));
        }
        if let Some(ByteSize(bytes)) = self.memory {
            gpu = gpu.with_memory(bytes);
        }
        self.note(&format!("adapter: {}", gpu.describe()));
        gpu
    }

    /// A line about the work, which `--quiet` leaves out.
    fn note(&self, line: &str) {
        if !self.quiet {
            self.print(line);
        }
    }

    /// Keeps the answer of an analysis for the report of its run, and prints it with `--json`. A run that cannot be written to
    /// is analyzed all the same.
    fn keep_and_print_json(&self, run: &Path, name: &str, answer: &serde_json::Value) {
        if let Err(error) = trainscope::report::keep_answer(run, name, answer) {
            self.note(&format!("the answer is not kept for the report: {error}"));
        }
        self.print_json(answer);
    }

    /// A line of what was asked for, which `--quiet` leaves out only where the JSON has it.
    fn answer(&self, line: &str) {
        if !(self.quiet && self.json) {
            self.print(line);
        }
    }

    /// A line for a person: on stdout, or on stderr where stdout is for JSON.
    fn print(&self, line: &str) {
        // A line may quote names and reasons from files of strangers.
        let line = printable(line);
        // A closed pipe (`| head -1`) must not end the work.
        let _ = if self.json {
            writeln!(std::io::stderr(), "{line}")
        } else {
            writeln!(std::io::stdout(), "{line}")
        };
    }

    /// A progress bar over `steps`.
    fn bar(&self, steps: u64) -> progress::Bar {
        progress::bar(steps, self.quiet)
    }

    /// Text that is the result of a command, as it is; it is printed with `--quiet` too, and not where JSON is.
    fn result(&self, line: &str) {
        if !self.json {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// The command's result as JSON, where asked for.
    fn print_json(&self, value: &serde_json::Value) {
        if self.json {
            let _ = writeln!(std::io::stdout(), "{value}");
        }
    }
}

/// A flag that Ctrl-C, SIGTERM and SIGHUP set; a second one ends the program at once.
fn interrupt() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let shared = flag.clone();
    on_interrupt(move || shared.swap(true, Ordering::Relaxed));
    flag
}

/// Signals within this time are one request: `timeout` sends its signal to the program and to its group.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// Calls `request` on Ctrl-C, SIGTERM and SIGHUP. Once it returns that there was a request before, and not just before, the
/// program ends at once.
fn on_interrupt(request: impl Fn() -> bool + Send + 'static) {
    let mut first: Option<Instant> = None;
    // Only one handler can be installed. If there is one already, it stays.
    let _ = ctrlc::set_handler(move || {
        let since = first.get_or_insert_with(Instant::now).elapsed();
        if request() && since >= ONE_REQUEST {
            std::process::exit(130);
        }
    });
}

/// Checks at the start that a file can be written at the end.
fn check_writable(path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if folder.is_dir() {
        return Ok(());
    }
    Err(Error::input(
        path.display().to_string(),
        format!("the folder {} does not exist", folder.display()),
        "create it, or choose another folder",
    ))
}
