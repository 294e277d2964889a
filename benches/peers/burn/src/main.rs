//! burn, on the backend that is named.

mod gan;
mod train;
mod vae;

use std::process::ExitCode;

use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use clap::{Parser, ValueEnum};
use peer_protocol::{
    Arguments, Contender, Failure, Workload, corner_matrix, measure, reflection, version_of,
};

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,
    #[arg(long)]
    backend: Backend,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Backend {
    /// Any GPU, or a software adapter: WGSL, or SPIR-V if built with the feature `vulkan`
    Wgpu,
    /// The CPU
    Flex,
    /// The CPU, by the backend that was there before Flex
    Ndarray,
}

impl Backend {
    fn device(self) -> Device {
        match self {
            Self::Wgpu => Device::wgpu(DeviceKind::DefaultDevice),
            Self::Flex => Device::flex(),
            #[expect(deprecated, reason = "it is still the faster one for some")]
            Self::Ndarray => Device::ndarray(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Wgpu if cfg!(feature = "vulkan") => "burn-vulkan",
            Self::Wgpu => "burn-wgpu",
            Self::Flex => "burn-flex",
            Self::Ndarray => "burn-ndarray",
        }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer-burn: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let arguments = &options.common;
    let workload = arguments.workload()?;
    let device = options.backend.device();
    let name = match device.identity() {
        Some(identity) => identity.name,
        None => "CPU".to_owned(),
    };
    let contender = |parameters| Contender {
        contender: options.backend.name().to_owned(),
        version: version_of("burn"),
        device: name.clone(),
        parameters,
    };
    match workload {
        Workload::Matmul(side) => products(arguments, contender(0), &device, side),
        Workload::Vae => {
            let device = device.autodiff();
            train::vae(arguments, contender, &device, vae::Dense::new(&device))
        }
        Workload::ConvVae(sizes) => {
            let device = device.autodiff();
            train::vae(
                arguments,
                contender,
                &device,
                vae::Convolutional::new(&sizes, &device),
            )
        }
        Workload::Dcgan => train::dcgan(arguments, contender, &device.autodiff()),
    }
}

/// The reflection times one matrix into another and back again.
fn products(
    arguments: &Arguments,
    contender: Contender,
    device: &Device,
    side: usize,
) -> Result<(), Failure> {
    let matrix = |values| Tensor::<2>::from_data(TensorData::new(values, [side, side]), device);
    let a = matrix(reflection(side));
    let mut b = matrix(corner_matrix(side));
    measure(arguments, contender, |steps| {
        for _ in 0..steps {
            b = a.clone().matmul(b.clone());
        }
        Ok(b.clone().slice([0..1, 0..1]).into_scalar::<f32>().into())
    })
}
