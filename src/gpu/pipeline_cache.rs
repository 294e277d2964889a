//! Compiled pipelines on disk, so that the next start need not compile them again: Vulkan's own cache, where the adapter
//! has it. Most desktop drivers keep one themselves; others leave it to the program.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::files;

/// Larger than the cache of any set of pipelines.
const MAX_BYTES: u64 = 64 << 20;

/// A SHA-256 digest follows the data in the file.
const DIGEST_BYTES: usize = 32;

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
        let file = files::read_bounded(&path, MAX_BYTES).ok();
        let data = file.as_deref().and_then(checked);
        // What wgpu or the driver refuses counts as empty, too.
        let loaded = data.and_then(|data| Some((create(device, Some(data))?, data.len())));
        let (cache, loaded) = match loaded {
            Some(loaded) => loaded,
            None => (create(device, None)?, 0),
        };
        Some(Self {
            cache,
            path,
            loaded,
        })
    }

    /// For descriptors of pipelines.
    pub fn get(&self) -> &wgpu::PipelineCache {
        &self.cache
    }
}

/// What a file holds, if it is as it was written: cut and overwritten files must not reach the driver.
fn checked(file: &[u8]) -> Option<&[u8]> {
    let (data, digest) = file.split_at_checked(file.len().checked_sub(DIGEST_BYTES)?)?;
    (Sha256::digest(data)[..] == *digest).then_some(data)
}

/// A cache that begins with `data`, or `None` where it cannot.
fn create(device: &wgpu::Device, data: Option<&[u8]>) -> Option<wgpu::PipelineCache> {
    use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
    let scopes = [Internal, OutOfMemory, Validation].map(|filter| device.push_error_scope(filter));
    // SAFETY: the data are from the user's own cache folder, under a name of this adapter and driver, and as this program
    // has written them from `get_data`: their digest says so.
    #[allow(unsafe_code)]
    let cache = unsafe {
        device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
            label: Some("kernels"),
            data,
            fallback: true,
        })
    };
    let scopes = scopes.into_iter().rev();
    let errors = scopes.filter_map(|scope| pollster::block_on(scope.pop()));
    (errors.count() == 0).then_some(cache)
}

impl Drop for PipelineCache {
    fn drop(&mut self) {
        let mut data = self.cache.get_data().unwrap_or_default();
        if data.len() == self.loaded || data.is_empty() {
            return;
        }
        data.extend(Sha256::digest(&data));
        // A full disk or a folder without write access only costs time at the next start.
        let _ = self
            .path
            .parent()
            .map_or(Ok(()), files::make_folder)
            .and_then(|()| files::write_whole(&self.path, &data));
    }
}
