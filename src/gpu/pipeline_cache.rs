//! Compiled pipelines on disk, so that the next start need not compile them again: Vulkan's own cache, where the adapter
//! has it. Most desktop drivers keep one themselves; others leave it to the program.

use std::path::{Path, PathBuf};

use crate::files;

/// Larger than the cache of any set of pipelines.
const MAX_BYTES: u64 = 64 << 20;

/// A cache that is written back when its last user is dropped.
#[derive(Debug)]
pub(super) struct PipelineCache {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    /// The number of bytes that were read.
    loaded: usize,
}

impl PipelineCache {
    /// The cache of this adapter and driver in `folder`, or `None` where the adapter does not support one. A file that
    /// cannot be read or used counts as empty, and pipelines are then compiled again.
    pub fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo, folder: &Path) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let path = folder.join(wgpu::util::pipeline_cache_key(info)?);
        let data = files::read_bounded(&path, MAX_BYTES).ok();
        // SAFETY: the file is in the user's own cache folder, under a name of this adapter and driver, and only this
        // program writes it, whole and from `get_data`. wgpu and the driver check its header beside that, and begin
        // with an empty cache where it does not fit.
        #[allow(unsafe_code)]
        let cache = unsafe {
            device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
                label: Some("kernels"),
                data: data.as_deref(),
                fallback: true,
            })
        };
        Some(Self {
            cache,
            path,
            loaded: data.map_or(0, |data| data.len()),
        })
    }

    /// For descriptors of pipelines.
    pub fn get(&self) -> &wgpu::PipelineCache {
        &self.cache
    }
}

impl Drop for PipelineCache {
    fn drop(&mut self) {
        let data = self.cache.get_data().unwrap_or_default();
        if data.len() == self.loaded {
            return;
        }
        // A full disk or a folder without write access only costs time at the next start.
        let _ = self
            .path
            .parent()
            .map_or(Ok(()), files::make_folder)
            .and_then(|()| files::write_whole(&self.path, &data));
    }
}
