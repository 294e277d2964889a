//! A kernel is a plain WGSL file, an entry point and override constants; bound to buffers it is a [`Dispatch`].
//!
//! Pipelines take their layout from the shader itself, so a binding is declared once, in WGSL. There is no
//! templating: variants are `override` constants, and the only text that is ever added to a file are the shared
//! functions that its header names (`// uses shared/philox.wgsl`).

use std::sync::{Arc, LazyLock, OnceLock};

use super::Gpu;
use super::binding::{Binding, Bound};
use super::pipeline_pool::Pipeline;

/// A WGSL file of this crate, embedded; made with [`crate::shader!`].
#[derive(Debug)]
pub struct Shader {
    /// Path below `shaders/`, for labels and messages.
    pub path: &'static str,
    /// The file's text.
    pub source: &'static str,
}

/// Embeds a file below `shaders/` as a [`Shader`]: `static RELU: Shader = shader!("nn/ops/activation.wgsl");`
#[macro_export]
macro_rules! shader {
    ($path:literal) => {
        $crate::gpu::Shader {
            path: $path,
            source: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path)),
        }
    };
}

/// Functions that several shaders share.
static SHARED: &[Shader] = &[
    crate::shader!("shared/elementary.wgsl"),
    crate::shader!("shared/grid.wgsl"),
    crate::shader!("shared/philox.wgsl"),
    crate::shader!("shared/rows.wgsl"),
    crate::shader!("shared/scale.wgsl"),
    crate::shader!("shared/texels.wgsl"),
    crate::shader!("data/permutation.wgsl"),
    crate::shader!("shared/convolution/gradient.wgsl"),
    crate::shader!("shared/convolution/images.wgsl"),
    crate::shader!("shared/convolution/product.wgsl"),
    crate::shader!("shared/step_scale.wgsl"),
    crate::shader!("shared/subgroup_product.wgsl"),
];

/// The text that is compiled: the shared functions that the header lines `// uses PATH` name, then the file.
///
/// # Panics
/// A header names a file that is not among the shared ones; the shader test finds that.
pub fn expand(source: &str) -> String {
    let mut text = String::new();
    for line in source.lines() {
        if let Some(path) = line.strip_prefix("// uses ") {
            let shared = SHARED
                .iter()
                .find(|shared| shared.path == path.trim())
                .unwrap_or_else(|| panic!("no shared shader '{path}'"));
            text.push_str(shared.source);
        }
    }
    text.push_str(source);
    text
}

/// What makes two kernels the same: file, entry point and constants (by their bits).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct KernelKey {
    path: &'static str,
    entry: &'static str,
    constants: Vec<(&'static str, u64)>,
}

impl KernelKey {
    pub(super) fn new(
        shader: &Shader,
        entry: &'static str,
        constants: &[(&'static str, f64)],
    ) -> Self {
        Self {
            path: shader.path,
            entry,
            constants: constants
                .iter()
                .map(|(name, value)| (*name, value.to_bits()))
                .collect(),
        }
    }
}

/// A compute pipeline with a name. It may still be building: the first dispatch that is recorded waits for it.
#[derive(Debug, Clone)]
pub struct Kernel {
    pipeline: Arc<Pipeline>,
    label: Arc<str>,
}

impl Kernel {
    pub(super) fn new(
        gpu: &Gpu,
        shader: &'static Shader,
        entry: &'static str,
        constants: &[(&'static str, f64)],
    ) -> Self {
        let label: Arc<str> = format!("{}:{entry}", shader.path).into();
        let (device, cache) = (gpu.device.clone(), gpu.cache.clone());
        let constants = constants.to_vec();
        let name = label.clone();
        let build = move || {
            let module = trusted_module(&device, &name, &expand(shader.source));
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&name),
                layout: None,
                module: &module,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    // Every kernel writes its shared memory before it reads it.
                    zero_initialize_workgroup_memory: false,
                },
                cache: cache.as_ref().map(|cache| cache.get()),
            })
        };
        let pipeline: Arc<Pipeline> = Arc::new(LazyLock::new(Box::new(build)));
        gpu.pool.order(&pipeline);
        Self { pipeline, label }
    }

    /// File and entry point.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Binds buffers to the numbers of `@group(0)` and fixes the number of workgroups.
    pub fn bind(
        &self,
        gpu: &Gpu,
        bindings: &[(u32, Binding<'_>)],
        workgroups: [u32; 3],
    ) -> Dispatch {
        Dispatch {
            kernel: self.clone(),
            device: gpu.device.clone(),
            workgroups,
            flops: 0.0,
            bytes: bindings.iter().map(|(_, binding)| binding.bytes()).sum(),
            bindings: bindings
                .iter()
                .map(|(number, binding)| binding.bound(gpu, *number))
                .collect(),
            bind_group: Arc::default(),
        }
    }
}

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

impl Dispatch {
    /// The same, saying how many multiplications and additions it does.
    pub fn with_flops(self, flops: f64) -> Self {
        Self { flops, ..self }
    }

    /// The same, saying how many bytes it reads and writes, where that is not each bound byte once.
    pub fn with_bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// Multiplications and additions, where they were told.
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
        pass.set_pipeline(&self.kernel.pipeline);
        pass.set_bind_group(0, self.bind_group.get_or_init(|| self.bound()), &[]);
        pass.dispatch_workgroups(x, y, z);
    }

    fn bound(&self) -> wgpu::BindGroup {
        let entries: Vec<_> = self.bindings.iter().map(Bound::entry).collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.label()),
            layout: &self.kernel.pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// File and entry point of its kernel.
    pub fn label(&self) -> &str {
        self.kernel.label()
    }
}

/// Workgroups that cover `items` with `per_group` each.
pub fn groups(items: usize, per_group: usize) -> u32 {
    u32::try_from(items.div_ceil(per_group).max(1)).expect("buffers are bound by u32 indices")
}

/// The same as a grid that stays below the 65,535 workgroups of one dimension. The shader finds its place with
/// `linear_index` of `shared/grid.wgsl`.
pub fn grid(items: usize, per_group: usize) -> [u32; 3] {
    const ROW: u32 = 32_768;
    let all = groups(items, per_group);
    if all <= ROW {
        [all, 1, 1]
    } else {
        [ROW, all.div_ceil(ROW), 1]
    }
}

/// Compiles WGSL; builds without debug assertions leave out bounds checks and loop bounding, which keeps the
/// driver's compiler from unrolling (the matrix product on a software adapter is three times slower with them).
fn trusted_module(device: &wgpu::Device, label: &str, source: &str) -> wgpu::ShaderModule {
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    };
    if cfg!(debug_assertions) {
        return device.create_shader_module(descriptor);
    }
    // SAFETY: the text is one of this crate's own files, validated by wgpu here as any module is; only the
    // run-time checks are left out. Every shader clamps or guards its indices against the sizes in its
    // parameters, its loops are bounded by them, and the test-suite runs every kernel with the checks on.
    #[allow(unsafe_code)]
    unsafe {
        device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
    }
}
