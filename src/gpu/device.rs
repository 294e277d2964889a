//! [`Gpu`]: a device and its queue, and all that is shared by what runs on them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::adapter;
use super::adapter_profile::{Abilities, AdapterProfile};
use super::aliasing;
use super::allocation::MemoryUse;
use super::attention::Attention;
use super::errors::{FirstError, Teardown};
use super::image_alias::ImageAliases;
use super::kernel::{Kernel, KernelCache};
use super::pipeline_cache::PipelineCache;
use super::scratch::ScratchPool;
use super::shader::Shader;
use crate::{Error, ErrorKind, Result};

/// A submission that takes longer than this counts as hung: far longer than any that is meant to run.
const HANG_TIMEOUT: Duration = Duration::from_secs(600);

/// Indices of elements have 32 bits, so no binding is larger than this.
const MAX_BINDING_SIZE: u64 = 1 << 32;

/// A device, its queue and the kernels built on it. Cloning is cheap and shares all three.
#[derive(Clone)]
pub struct Gpu {
    /// The wgpu device.
    pub device: wgpu::Device,
    /// Its only queue.
    pub queue: wgpu::Queue,
    info: wgpu::AdapterInfo,
    limits: wgpu::Limits,
    abilities: Abilities,
    profile: AdapterProfile,
    kernels: Arc<KernelCache>,
    pipeline_cache: Option<Arc<PipelineCache>>,
    pub(super) scratch: ScratchPool,
    pub(super) images: ImageAliases,
    first_error: FirstError,
    _teardown: Arc<Teardown>,
    pub(super) memory_use: Arc<MemoryUse>,
    pub(super) memory: Option<u64>,
    pub(super) max_binding_size: u64,
    pub(super) timeout: Duration,
    attention: Arc<Attention>,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Gpu")
            .field("adapter", &self.describe())
            .field("profile", &self.profile)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

impl Gpu {
    /// A device and its queue, which report their errors to `first_error`.
    pub(super) fn with_errors(
        info: wgpu::AdapterInfo,
        device: wgpu::Device,
        queue: wgpu::Queue,
        first_error: FirstError,
    ) -> Self {
        let limits = device.limits();
        let has_subgroups = device.features().contains(wgpu::Features::SUBGROUP);
        let is_one_size = info.subgroup_min_size == info.subgroup_max_size;
        let abilities = Abilities {
            subgroup_size: (has_subgroups && is_one_size).then_some(info.subgroup_max_size),
            image_loads: aliasing::is_supported(&info, &device),
        };
        let max_binding_size = limits
            .max_buffer_size
            .min(limits.max_storage_buffer_binding_size)
            .min(MAX_BINDING_SIZE);
        Self {
            images: ImageAliases::new(&device, &first_error),
            _teardown: Arc::new(Teardown::new(&device, &queue, &first_error)),
            profile: AdapterProfile::new(info.device_type, abilities),
            device,
            queue,
            info,
            limits,
            abilities,
            kernels: Arc::default(),
            pipeline_cache: None,
            scratch: ScratchPool::default(),
            first_error,
            memory_use: Arc::default(),
            memory: None,
            max_binding_size,
            timeout: HANG_TIMEOUT,
            attention: Arc::default(),
        }
    }

    /// The same device, which never reads buffers as images.
    pub(super) fn without_image_loads(mut self) -> Self {
        self.abilities.image_loads = false;
        self.profile = AdapterProfile::new(self.info.device_type, self.abilities);
        self
    }

    /// The same device, which keeps compiled kernels in `folder` from one start to the next, where the adapter
    /// supports it. Call it before the first kernel is made.
    pub fn with_kernel_cache(self, folder: &Path) -> Self {
        let cache = PipelineCache::open(&self.device, &self.info, folder).map(Arc::new);
        Self {
            pipeline_cache: cache,
            ..self
        }
    }

    /// The same device with another choice of kernels: to compare results of the variants, or to reproduce what
    /// another adapter computes. Buffers of the two must not be mixed.
    ///
    /// # Errors
    /// The device cannot run that choice.
    pub fn with_profile(self, profile: AdapterProfile) -> Result<Self> {
        if let Some(missing) = self.abilities.missing_for(&profile) {
            let hint = format!("choose what it supports, such as {:?}", AdapterProfile::GPU);
            return Err(self.error(missing, hint));
        }
        Ok(Self {
            profile,
            scratch: ScratchPool::default(),
            ..self
        })
    }

    /// The same device, which counts as hung when it takes longer than this for what was submitted. The default is 10
    /// minutes.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Whose work comes first while somebody waits for frames of this device; shared by all clones.
    pub fn attention(&self) -> &Attention {
        &self.attention
    }

    /// To be called before work that takes long and comes again, such as a training step. Several of them are in flight
    /// otherwise, and a frame that is submitted waits for all. While somebody waits for frames, this waits until the
    /// [frame in progress](Attention::frame) is submitted and the device is idle, so that it is one. On a GPU, which is
    /// through with them sooner than a frame is due, it never waits.
    ///
    /// # Errors
    /// As [`Gpu::wait`].
    pub fn give_way(&self) -> Result<()> {
        let is_software = self.info.device_type == wgpu::DeviceType::Cpu;
        if is_software && self.attention.comes_first() {
            return self.wait_aside();
        }
        Ok(())
    }

    /// The adapter's description of itself.
    pub fn info(&self) -> &wgpu::AdapterInfo {
        &self.info
    }

    /// The limits that the device was made with.
    pub fn limits(&self) -> &wgpu::Limits {
        &self.limits
    }

    /// Which variants of the kernels it runs.
    pub fn profile(&self) -> &AdapterProfile {
        &self.profile
    }

    /// The kernel at `entry` of `shader` with these override constants. It is built once, by a thread of its own, then
    /// shared by all who ask for the same. Errors of a shader show at [`Gpu::check`], when it is first run.
    pub fn kernel(
        &self,
        shader: &Shader,
        entry: &'static str,
        constants: &[(&'static str, f64)],
    ) -> Kernel {
        let cache = self.pipeline_cache.as_ref();
        self.kernels
            .get(&self.device, cache, shader, entry, constants)
    }

    /// The labels of the kernels that were asked for so far, in alphabetical order.
    pub fn kernel_labels(&self) -> Vec<String> {
        self.kernels.labels()
    }

    /// The adapter in one line (see [`adapter::describe`]).
    pub fn describe(&self) -> String {
        adapter::describe(&self.info)
    }

    /// The first error that the device reported since it was made, if any.
    ///
    /// # Errors
    /// That error, in a sentence.
    pub fn check(&self) -> Result<()> {
        self.first_error.get().map_or(Ok(()), |(kind, message)| {
            let hint = "try again, or choose another adapter with --adapter";
            Err(self.error(message, hint).with_kind(kind))
        })
    }

    /// An error of this adapter.
    pub(super) fn error(&self, problem: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::gpu(format!("adapter '{}'", self.info.name), problem, hint)
    }

    /// The error of a device that is lost or does not do what it was asked.
    pub(super) fn lost(&self, problem: impl Into<String>, hint: impl Into<String>) -> Error {
        self.error(problem, hint).with_kind(ErrorKind::DeviceLost)
    }
}
