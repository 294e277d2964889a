//! A kernel is an entry point of a shader with override constants, compiled.
//!
//! Pipelines take their layout from the shader itself, so a binding is declared once, in WGSL.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::pipeline_cache::PipelineCache;
use super::pipeline_pool::{Pipeline, PipelinePool};
use super::shader::Shader;

/// Equal keys give equal kernels: text and checks of the shader, entry point, and constants by their bits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct KernelKey {
    shader: Shader,
    entry: &'static str,
    constants: Vec<(&'static str, u64)>,
}

/// The kernels of a device, and the threads that build them.
#[derive(Debug)]
pub(super) struct KernelCache {
    kernels: Mutex<HashMap<KernelKey, Kernel>>,
    pool: PipelinePool,
}

impl Default for KernelCache {
    fn default() -> Self {
        Self {
            kernels: Mutex::default(),
            pool: PipelinePool::new(),
        }
    }
}

impl KernelCache {
    /// The kernel at `entry` of `shader` with these override constants, made now if nobody has asked for it.
    pub fn get(
        &self,
        device: &wgpu::Device,
        cache: Option<&Arc<PipelineCache>>,
        shader: &Shader,
        entry: &'static str,
        constants: &[(&'static str, f64)],
    ) -> Kernel {
        let bits = constants
            .iter()
            .map(|(name, value)| (*name, value.to_bits()));
        let key = KernelKey {
            shader: *shader,
            entry,
            constants: bits.collect(),
        };
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let kernel = kernels.entry(key).or_insert_with(|| {
            let kernel = Kernel::new(device, cache.cloned(), *shader, entry, constants);
            self.pool.order(&kernel.pipeline);
            kernel
        });
        kernel.clone()
    }

    /// The labels of all kernels, in alphabetical order.
    pub fn labels(&self) -> Vec<String> {
        let kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = kernels.values().map(|kernel| kernel.label().to_owned());
        labels.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// A compute pipeline with a name. It may still be building: the first dispatch that is recorded waits for it.
#[derive(Debug, Clone)]
pub struct Kernel {
    pipeline: Arc<Pipeline>,
    label: Arc<str>,
}

impl Kernel {
    fn new(
        device: &wgpu::Device,
        cache: Option<Arc<PipelineCache>>,
        shader: Shader,
        entry: &'static str,
        constants: &[(&'static str, f64)],
    ) -> Self {
        let label: Arc<str> = format!("{}:{entry}", shader.path).into();
        let device = device.clone();
        let constants = constants.to_vec();
        let name = label.clone();
        let build = move || {
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&name),
                layout: None,
                module: &shader.module(&device, &name),
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    // Every kernel of this crate writes its shared memory before it reads it.
                    zero_initialize_workgroup_memory: !shader.is_trusted(),
                },
                cache: cache.as_ref().map(|cache| cache.get()),
            })
        };
        Self {
            pipeline: Arc::new(LazyLock::new(Box::new(build))),
            label,
        }
    }

    /// Path of its shader and entry point.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The compiled pipeline; waits for it.
    pub(super) fn pipeline(&self) -> &wgpu::ComputePipeline {
        &self.pipeline
    }
}
