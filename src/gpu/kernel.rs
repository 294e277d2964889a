//! A kernel is a plain WGSL file, an entry point and override constants; bound to buffers it is a [`Dispatch`].
//!
//! Pipelines take their layout from the shader itself, so a binding is declared once, in WGSL. There is no
//! templating: variants are `override` constants, and the only text that is ever added to a file are the shared
//! functions that its header names (`// uses common/philox.wgsl`).

use std::sync::{Arc, LazyLock, OnceLock};

use super::Gpu;
use super::pipeline_pool::Pipeline;
use super::texels::Texels;

/// A WGSL file of this crate, embedded; made with [`crate::shader!`].
#[derive(Debug)]
pub struct Shader {
    /// Path below `shaders/`, for labels and messages.
    pub path: &'static str,
    /// The file's text.
    pub source: &'static str,
}

/// Embeds a file below `shaders/` as a [`Shader`]: `static RELU: Shader = shader!("nn/activation.wgsl");`
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
    crate::shader!("common/elementary.wgsl"),
    crate::shader!("common/grid.wgsl"),
    crate::shader!("common/philox.wgsl"),
    crate::shader!("common/rows.wgsl"),
    crate::shader!("common/scale.wgsl"),
    crate::shader!("common/texels.wgsl"),
    crate::shader!("data/permutation.wgsl"),
    crate::shader!("nn/convolution/gradient.wgsl"),
    crate::shader!("nn/convolution/images.wgsl"),
    crate::shader!("nn/convolution/product.wgsl"),
    crate::shader!("nn/pace.wgsl"),
    crate::shader!("nn/subgroup_product.wgsl"),
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
    ///
    /// # Panics
    /// A resource is no buffer: textures come with [`Dispatch::with_texels`].
    pub fn bind(
        &self,
        gpu: &Gpu,
        bindings: &[(u32, wgpu::BindingResource<'_>)],
        workgroups: [u32; 3],
    ) -> Dispatch {
        let bound = |(binding, resource): &(u32, wgpu::BindingResource<'_>)| {
            Bound::new(&self.label, *binding, resource)
        };
        let bindings: Arc<[Bound]> = bindings.iter().map(bound).collect();
        let sizes = bindings.iter().filter_map(|bound| bound.size);
        Dispatch {
            kernel: self.clone(),
            device: gpu.device.clone(),
            workgroups,
            flops: 0.0,
            // Buffers of parameters are bound whole, without a size, and do not count.
            bytes: sizes.map(|size| size.get()).sum(),
            bindings,
            copies: Vec::new(),
            bind_group: Arc::default(),
        }
    }
}

/// A buffer, or a part of it, and the number that it is bound to.
#[derive(Debug)]
struct Bound {
    binding: u32,
    buffer: wgpu::Buffer,
    offset: u64,
    size: Option<wgpu::BufferSize>,
}

impl Bound {
    fn new(label: &str, binding: u32, resource: &wgpu::BindingResource<'_>) -> Self {
        let wgpu::BindingResource::Buffer(part) = resource else {
            panic!("{label} binds {resource:?}");
        };
        Self {
            binding,
            buffer: part.buffer.clone(),
            offset: part.offset,
            size: part.size,
        }
    }
}

/// Vectors that are copied before a dispatch into the texels that it reads.
#[derive(Debug, Clone)]
struct Copy {
    from: Arc<Bound>,
    vectors: usize,
    to: Texels,
}

/// A kernel, its buffers and its workgroups: built once, recorded as often as wanted.
#[derive(Debug, Clone)]
pub struct Dispatch {
    kernel: Kernel,
    device: wgpu::Device,
    bindings: Arc<[Bound]>,
    copies: Vec<Copy>,
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

    /// The same, reading so many elements of a buffer as texels, which are copied anew each time.
    ///
    /// # Panics
    /// The source is no buffer.
    pub fn with_texels(
        mut self,
        binding: u32,
        source: &wgpu::BindingResource<'_>,
        elements: usize,
        texels: Texels,
    ) -> Self {
        self.copies.push(Copy {
            from: Arc::new(Bound::new(self.label(), binding, source)),
            vectors: elements.div_ceil(4),
            to: texels,
        });
        self
    }

    /// Multiplications and additions, where they were told.
    pub fn flops(&self) -> f64 {
        self.flops
    }

    /// Bytes of storage that it moves at least.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether something is to be copied before it, which no pass may hold.
    pub(super) fn copies(&self) -> bool {
        !self.copies.is_empty()
    }

    /// Records what is to be copied before it.
    pub(super) fn record_copies(&self, encoder: &mut wgpu::CommandEncoder) {
        for Copy { from, vectors, to } in &self.copies {
            to.copy(encoder, &from.buffer, from.offset, *vectors);
        }
    }

    /// Records it into a pass. The first time it waits for its pipeline.
    pub(super) fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.kernel.pipeline);
        pass.set_bind_group(0, self.bind_group.get_or_init(|| self.bound()), &[]);
        pass.dispatch_workgroups(x, y, z);
    }

    fn bound(&self) -> wgpu::BindGroup {
        let entry = |bound| {
            let &Bound {
                binding,
                ref buffer,
                offset,
                size,
            } = bound;
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size,
            });
            wgpu::BindGroupEntry { binding, resource }
        };
        let buffers = self.bindings.iter().map(entry);
        let texels = self.copies.iter().map(|copy| wgpu::BindGroupEntry {
            binding: copy.from.binding,
            resource: wgpu::BindingResource::TextureView(&copy.to.view),
        });
        let entries: Vec<_> = buffers.chain(texels).collect();
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
/// `linear_index` of `common/grid.wgsl`.
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
