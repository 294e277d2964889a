//! `trainscope sample`

use super::Common;
use trainscope::Result;

#[derive(Debug, clap::Args)]
pub struct SampleArgs {}

pub fn run(_common: &Common, _args: &SampleArgs) -> Result<()> {
    Ok(())
}
