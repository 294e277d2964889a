//! candle on the CPU.

mod layers;
mod train;

use std::process::ExitCode;

use candle_core::{Device, IndexOp, Tensor};
use clap::Parser;
use peer_protocol::{
    Arguments, Contender, Failure, Workload, corner_matrix, measure, reflection, version_of,
};

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,
}

fn main() -> ExitCode {
    let arguments = Options::parse().common;
    let run = || match arguments.workload()? {
        Workload::Matmul(side) => products(&arguments, side),
        Workload::Vae => train::vae(&arguments, None),
        Workload::ConvVae(sizes) => train::vae(&arguments, Some(sizes)),
        Workload::Dcgan => train::dcgan(&arguments),
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer-candle: {error}");
            ExitCode::FAILURE
        }
    }
}

fn contender(parameters: usize) -> Contender {
    Contender {
        contender: "candle-cpu".to_owned(),
        version: version_of("candle-core"),
        device: format!("CPU, {} threads", candle_core::utils::get_num_threads()),
        parameters,
    }
}

/// The reflection times one matrix into another and back again.
fn products(arguments: &Arguments, side: usize) -> Result<(), Failure> {
    let a = Tensor::from_vec(reflection(side), (side, side), &Device::Cpu)?;
    let mut b = Tensor::from_vec(corner_matrix(side), (side, side), &Device::Cpu)?;
    measure(arguments, contender(0), |steps| {
        for _ in 0..steps {
            b = a.matmul(&b)?;
        }
        Ok(b.i((0, 0))?.to_scalar::<f32>()?.into())
    })
}
