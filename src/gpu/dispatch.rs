//! A kernel with its buffers and workgroups, and how many workgroups cover how many items.

use std::sync::{Arc, OnceLock};

use super::binding::{Binding, Bound};
use super::device::Gpu;
use super::kernel::Kernel;

/// A kernel, its buffers and its workgroups: built once, recorded as often as wanted.
#[derive(Debug, Clone)]
pub struct Dispatch {
    kernel: Kernel,
    device: wgpu::Device,
    bindings: Arc<[Bound]>,
    /// Made when it is first recorded: its layout is the pipeline's.
    bind_group: Arc<OnceLock<wgpu::BindGroup>>,
    workgroups: [u32; 3],
    flops: f64,
    bytes: u64,
}

impl Kernel {
    /// Binds buffers to the numbers of `@group(0)` and fixes the number of workgroups.
    pub fn bind(
        &self,
        gpu: &Gpu,
        bindings: &[(u32, Binding<'_>)],
        workgroups: [u32; 3],
    ) -> Dispatch {
        Dispatch::new(gpu, self.clone(), bindings, workgroups)
    }
}

impl Dispatch {
    fn new(
        gpu: &Gpu,
        kernel: Kernel,
        bindings: &[(u32, Binding<'_>)],
        workgroups: [u32; 3],
    ) -> Self {
        let has_image_loads = gpu.profile().image_loads;
        let bound = bindings.iter();
        Self {
            kernel,
            device: gpu.device.clone(),
            workgroups,
            flops: 0.0,
            bytes: bindings.iter().map(|(_, binding)| binding.bytes()).sum(),
            bindings: bound
                .map(|(number, binding)| binding.bound(&gpu.images, has_image_loads, *number))
                .collect(),
            bind_group: Arc::default(),
        }
    }

    /// The same, with the number of multiplications and additions that it does.
    pub fn with_flops(self, flops: f64) -> Self {
        Self { flops, ..self }
    }

    /// The same, with the number of bytes that it reads and writes, where that is not each bound byte once.
    pub fn with_bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// Multiplications and additions, or 0 where [`Dispatch::with_flops`] was not called.
    pub fn flops(&self) -> f64 {
        self.flops
    }

    /// Bytes of storage that it moves at least.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records it into a pass. The first time it waits for its pipeline.
    pub(super) fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(self.kernel.pipeline());
        let bind_group = self.bind_group.get_or_init(|| self.new_bind_group());
        pass.set_bind_group(0, bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }

    fn new_bind_group(&self) -> wgpu::BindGroup {
        let entries: Vec<_> = self.bindings.iter().map(Bound::entry).collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.label()),
            layout: &self.kernel.pipeline().get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// Path of its kernel's shader and entry point.
    pub fn label(&self) -> &str {
        self.kernel.label()
    }
}

/// Workgroups that cover `items` with `per_group` each.
///
/// # Panics
/// More than 32 bits count: buffers are smaller than that.
pub fn groups(items: usize, per_group: usize) -> u32 {
    u32::try_from(items.div_ceil(per_group).max(1)).expect("buffers are bound by u32 indices")
}

/// The same as a grid that stays below the 65,535 workgroups of one dimension. The shader finds its item with
/// `linear_index` of `shared/grid.wgsl`.
///
/// # Panics
/// As [`groups`].
pub fn grid(items: usize, per_group: usize) -> [u32; 3] {
    const ROW: u32 = 32_768;
    let all = groups(items, per_group);
    if all <= ROW {
        [all, 1, 1]
    } else {
        [ROW, all.div_ceil(ROW), 1]
    }
}
