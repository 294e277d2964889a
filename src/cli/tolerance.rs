//! The option of every command that runs steps of a run again: another adapter than the run's, and how far it may be off.

use trainscope::train::Deviation;

use super::Common;

#[derive(Debug, clap::Args)]
pub struct ToleranceArgs {
    /// Accept a run of another adapter, if its scalars come out otherwise by at most this share of their size in the steps
    /// that are run again, such as 1e-3
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub tolerance: Option<f64>,
}

fn share(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a tolerance is a number from 0 to 1, such as 1e-3".into()),
    }
}

/// Says how far the steps are from the run's, where it was made on another adapter.
pub fn say(common: &Common, deviation: Option<&Deviation>) {
    if let Some(deviation) = deviation {
        common.answer(&format!("another adapter: {deviation}"));
    }
}
