//! Which variants of the kernels a device runs, decided once from what its adapter is and can do.

/// How the sum over a row is divided among invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// One invocation sums a row, or few of them a long one. Best on the CPU, where a barrier costs more than a sum.
    Serial,
    /// The invocations of a workgroup share a row. Best on a GPU, whose invocations then read neighboring addresses.
    Parallel,
}

impl Reduction {
    /// Its name in `run.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "1 lane",
            Self::Parallel => "64 lanes",
        }
    }
}

/// The kernels of matrix products and convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatmulKernel {
    /// A workgroup is one subgroup, which reads its operands as images and shares what it loads by shuffles. Best on
    /// llvmpipe, where loads cost more than arithmetic, and shared memory and barriers more than the product itself.
    Subgroup {
        /// Invocations of a subgroup: 4 or 8.
        lanes: u32,
    },
    /// 64 x 64 tiles pass through shared memory. Runs on every adapter, and is best on GPUs.
    Tiled,
}

impl MatmulKernel {
    /// Its name in `run.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subgroup { lanes: 4 } => "matmul_cpu 4 lanes",
            Self::Subgroup { .. } => "matmul_cpu 8 lanes",
            Self::Tiled => "matmul_gpu 64x64x16 shared",
        }
    }
}

/// The kernel variants of a device ([`super::Gpu::profile`]). All variants compute the same up to rounding; which one
/// runs decides the last bits of a result, so a run records the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdapterProfile {
    /// How sums over rows are made.
    pub reduction: Reduction,
    /// The kernels of matrix products and convolutions.
    pub matmul: MatmulKernel,
    /// Whether kernels read buffers as images of the same memory ([`super::Binding::as_image`]). llvmpipe loads from
    /// images six times faster than from buffers; GPUs have no use for that.
    pub image_loads: bool,
}

impl AdapterProfile {
    /// What every GPU runs.
    pub const GPU: Self = Self {
        reduction: Reduction::Parallel,
        matmul: MatmulKernel::Tiled,
        image_loads: false,
    };

    /// What an adapter runs that executes kernels on the CPU, without the abilities of llvmpipe.
    pub const CPU: Self = Self {
        reduction: Reduction::Serial,
        ..Self::GPU
    };

    /// The profile of a device with these abilities.
    pub(super) fn new(device_type: wgpu::DeviceType, abilities: Abilities) -> Self {
        let base = match device_type {
            wgpu::DeviceType::Cpu => Self::CPU,
            _ => Self::GPU,
        };
        let Abilities {
            subgroup_size,
            image_loads,
        } = abilities;
        let matmul = match subgroup_size {
            Some(lanes @ (4 | 8)) if image_loads => MatmulKernel::Subgroup { lanes },
            _ => MatmulKernel::Tiled,
        };
        Self {
            matmul,
            image_loads,
            ..base
        }
    }

    /// The constant that makes a kernel with a choice of both load from images (`shaders/shared/image_loads.wgsl`).
    pub fn image_loads_constant(&self) -> (&'static str, f64) {
        ("IMAGE_LOADS", f64::from(u8::from(self.image_loads)))
    }
}

/// What a device can do, beyond what every device can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Invocations of a subgroup, where shaders may use subgroups and all of them have this size.
    pub subgroup_size: Option<u32>,
    /// Whether the memory of a buffer can be bound as an image too.
    pub image_loads: bool,
}

impl Abilities {
    /// What keeps a device with these abilities from running `profile`, if anything.
    pub fn missing_for(&self, profile: &AdapterProfile) -> Option<String> {
        if profile.image_loads && !self.image_loads {
            return Some("buffers cannot be read as images".to_owned());
        }
        let MatmulKernel::Subgroup { lanes } = profile.matmul else {
            return None;
        };
        if !profile.image_loads {
            return Some("matrix products by subgroups need image loads".to_owned());
        }
        let is_known = matches!(lanes, 4 | 8);
        (!is_known || self.subgroup_size != Some(lanes)).then(|| {
            let has = match self.subgroup_size {
                Some(size) => format!("subgroups of {size}"),
                None => "no subgroups of one size".to_owned(),
            };
            format!("matrix products by subgroups of {lanes} are not possible with {has}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLVMPIPE: Abilities = Abilities {
        subgroup_size: Some(8),
        image_loads: true,
    };

    #[test]
    fn profiles_follow_abilities() {
        let on = AdapterProfile::new;
        let llvmpipe = on(wgpu::DeviceType::Cpu, LLVMPIPE);
        assert_eq!(llvmpipe.reduction, Reduction::Serial);
        assert_eq!(llvmpipe.matmul, MatmulKernel::Subgroup { lanes: 8 });
        assert!(llvmpipe.image_loads);
        // Subgroups alone do not make a matrix product by subgroups fast.
        let abilities = Abilities {
            subgroup_size: Some(4),
            image_loads: false,
        };
        assert_eq!(on(wgpu::DeviceType::Cpu, abilities), AdapterProfile::CPU);
        let abilities = Abilities {
            subgroup_size: Some(32),
            image_loads: false,
        };
        let gpu = on(wgpu::DeviceType::DiscreteGpu, abilities);
        assert_eq!(gpu, AdapterProfile::GPU);
        for profile in [AdapterProfile::GPU, AdapterProfile::CPU, llvmpipe] {
            assert_eq!(LLVMPIPE.missing_for(&profile), None);
        }
        assert!(abilities.missing_for(&llvmpipe).is_some());
        let wrong_size = AdapterProfile {
            matmul: MatmulKernel::Subgroup { lanes: 4 },
            ..llvmpipe
        };
        let missing = LLVMPIPE.missing_for(&wrong_size).expect("8 is not 4");
        assert!(missing.contains("subgroups of 8"), "{missing}");
    }

    #[test]
    fn names_in_run_directories_stay() {
        assert_eq!(Reduction::Serial.name(), "1 lane");
        assert_eq!(Reduction::Parallel.name(), "64 lanes");
        let names = [4, 8].map(|lanes| MatmulKernel::Subgroup { lanes }.name());
        assert_eq!(names, ["matmul_cpu 4 lanes", "matmul_cpu 8 lanes"]);
        assert_eq!(MatmulKernel::Tiled.name(), "matmul_gpu 64x64x16 shared");
    }
}
