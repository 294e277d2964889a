//! trainscope itself, through its public interface.

use std::process::ExitCode;

use clap::Parser;
use peer_protocol::{
    Arguments, Contender, Failure, Workload, corner_matrix, measure, reflection, version_of,
};
use trainscope::gpu::{AdapterChoice, Dispatch, Gpu};
use trainscope::nn::matmul::{Matmul, MatrixLayout};
use trainscope::train::{Scenario, Trainer};

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,
    /// Use the adapter with this in its name
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer-trainscope: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let arguments = &options.common;
    let workload = arguments.workload()?;
    let gpu = Gpu::new(&AdapterChoice {
        name: options.adapter.clone(),
    })?;
    let text = match workload {
        Workload::Matmul(side) => return products(arguments, &gpu, side),
        Workload::Vae => include_str!("../../scenarios/vae.toml"),
        Workload::ConvVae(vae) if vae.side == 28 => {
            include_str!("../../scenarios/conv-vae-28.toml")
        }
        Workload::ConvVae(_) => include_str!("../../scenarios/conv-vae-32.toml"),
        Workload::Dcgan => include_str!("../../scenarios/dcgan.toml"),
    };
    let path = arguments
        .data
        .as_ref()
        .ok_or("training needs --data FILE.npy")?;
    let settings = [
        format!("data.path={:?}", path.display().to_string()),
        format!("train.batch={}", arguments.batch),
    ];
    let scenario = Scenario::parse(text, &arguments.workload, &settings)?;
    let mut trainer = Trainer::new(&gpu, &scenario)?;
    let parameters = trainer.parameter_count();
    measure(arguments, contender(&gpu, parameters), |steps| {
        let mut loss = f64::NAN;
        // As a run does: the CPU goes ahead as far as the ring of results lets it, and every step's loss comes back.
        for _ in 0..steps {
            trainer.step(false)?;
            while let Some(record) = trainer.take(trainer.is_full())? {
                loss = record.scalars[0].into();
            }
        }
        while let Some(record) = trainer.take(true)? {
            loss = record.scalars[0].into();
        }
        Ok(loss)
    })
}

fn contender(gpu: &Gpu, parameters: usize) -> Contender {
    Contender {
        contender: "trainscope".to_owned(),
        version: version_of("trainscope"),
        device: gpu.describe(),
        parameters,
    }
}

/// The reflection times one matrix into another and back again.
fn products(arguments: &Arguments, gpu: &Gpu, side: usize) -> Result<(), Failure> {
    let a = gpu.upload("reflection", &reflection(side))?;
    let buffers = [
        gpu.upload("even", &corner_matrix(side))?,
        gpu.buffer::<f32>("odd", side * side)?,
    ];
    let product = |from: usize| -> trainscope::Result<Dispatch> {
        Matmul {
            m: side,
            n: side,
            k: side,
            a: (a.binding(), MatrixLayout::RowMajor),
            b: (buffers[from].binding(), MatrixLayout::RowMajor),
            bias: None,
            c: buffers[1 - from].binding(),
            bias_gradient: None,
            accumulate: false,
        }
        .dispatch(gpu)
    };
    let products = [product(0)?, product(1)?];
    let mut done = 0;
    measure(arguments, contender(gpu, 0), |steps| {
        gpu.run("products", (done..done + steps).map(|i| &products[i % 2]));
        done += steps;
        let bytes = gpu.read_bytes(buffers[done % 2].raw(), 0, 4)?;
        Ok(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into())
    })
}
