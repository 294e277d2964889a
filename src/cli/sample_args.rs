//! What `trainscope sample` takes.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use trainscope::formats::{Header, LinesAre, ReadOptions};
use trainscope::series::Scale;
use trainscope::tensor::TensorKind;
use trainscope::trace::Statistic;

use super::tolerance::ToleranceArgs;

#[derive(Debug, clap::Args)]
#[group(id = "budget", required = true, multiple = false)]
pub struct Amount {
    /// Keep this many lines
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// Keep lines that are this far apart, in units of the scaled value range [0, 1]
    #[arg(long, value_name = "R", value_parser = radius)]
    pub radius: Option<f32>,
}

#[derive(Debug, clap::Args)]
pub struct SampleArgs {
    /// A .npy array [lines, steps], a .csv or .parquet table (one line a row), a segment of a trace or a run directory
    pub input: PathBuf,
    #[command(flatten)]
    pub amount: Amount,
    /// Of a table: whether row 1 is its header [default: as it looks]
    #[arg(long, value_name = "yes|no", value_parser = PossibleValuesParser::new(["yes", "no"]))]
    header: Option<String>,
    /// Of a file: each column is a line and each row a step, as TensorBoard and Weights & Biases export them
    #[arg(long)]
    columns_are_lines: bool,
    /// Compare lines in this many pixel columns
    #[arg(long, value_name = "W", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub columns: u32,
    /// The chart's y-axis, in which distances are measured
    #[arg(long, default_value = "linear", value_parser = PossibleValuesParser::new(["linear", "symlog"]).map(|word| scale(&word)))]
    pub scale: Scale,
    /// Seed of the order in which lines are taken
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Write the numbers of the kept lines, most remarkable first (int64)
    #[arg(long, value_name = "FILE.npy")]
    pub out: Option<PathBuf>,
    /// Write for each line the number of the kept line that represents it (int64)
    #[arg(long, value_name = "FILE.npy")]
    pub assign: Option<PathBuf>,
    /// Draw the kept lines over the density of all lines
    #[arg(long, value_name = "FILE.png")]
    pub plot: Option<PathBuf>,
    /// Of a run: only the units of this layer or parameter [default: all]
    #[arg(long, value_name = "NAME")]
    pub tensor: Option<String>,
    /// Of a run: which values of the units
    #[arg(long, default_value = "activation", value_parser = PossibleValuesParser::new(TensorKind::ALL.map(TensorKind::name)).map(|word| named(&TensorKind::ALL, TensorKind::name, &word)))]
    pub kind: TensorKind,
    /// Of a run: which statistic of those values over the batch
    #[arg(long, default_value = "mean", value_parser = PossibleValuesParser::new(Statistic::ALL.map(Statistic::name)).map(|word| named(&Statistic::ALL, Statistic::name, &word)))]
    pub quantity: Statistic,
    /// Of a run: a line for each value of --tensor on each sample of the probe batch; the steps are run again
    #[arg(long, requires = "tensor", value_parser = ["sample"])]
    pub per: Option<String>,
    /// With --per sample: the first step [default: 0]
    #[arg(long, value_name = "T0", requires = "per")]
    pub from: Option<u64>,
    /// With --per sample: the step after the last [default: all of the run's]
    #[arg(long, value_name = "T1", requires = "per")]
    pub to: Option<u64>,
    #[command(flatten)]
    pub tolerance: ToleranceArgs,
}

impl SampleArgs {
    /// How the table is to be read.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions {
            header: match self.header.as_deref() {
                Some("yes") => Header::Yes,
                Some(_) => Header::No,
                None => Header::Auto,
            },
            lines_are: if self.columns_are_lines {
                LinesAre::Columns
            } else {
                LinesAre::Rows
            },
        }
    }
}

/// The value with this name; the parser in front lets no other word through.
pub(super) fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, word: &str) -> T {
    let found = all.iter().find(|value| name(**value) == word);
    *found.unwrap_or(&all[0])
}

fn scale(word: &str) -> Scale {
    match word {
        "symlog" => Scale::Symlog,
        _ => Scale::Linear,
    }
}

fn radius(word: &str) -> std::result::Result<f32, String> {
    match word.parse::<f32>() {
        Ok(radius) if (1e-6..=3.0).contains(&radius) => Ok(radius),
        _ => Err("a radius is a number from 0.000001 to 3, such as 0.05".into()),
    }
}
