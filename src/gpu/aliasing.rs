//! Memory that a buffer and images are bound to at once, on adapters that run on the CPU, such as Mesa's llvmpipe.
//! [`super::image_alias`] explains the use.
//!
//! wgpu gives every buffer and every texture memory of its own, so this goes past it, to Vulkan. What makes that sound
//! holds of llvmpipe and is not promised by Vulkan: images lie row after row in the memory they are bound to, have no
//! layouts, and dispatches run one after the other, each seeing all that was written before. So a driver is asked for the
//! first, and the rest is tried ([`super::image_check`]). Resources hold on to their memory: it is freed when the last of
//! them is gone.

#![allow(unsafe_code)]

use std::sync::Arc;

use ash::vk;
use wgpu::hal;

use super::refusal::Refusal;

/// The type of the memory: llvmpipe's only one.
const MEMORY_TYPE: u32 = 0;
/// Bindings of buffers begin on multiples of this, so images must be able to begin there, too.
const MAX_ALIGNMENT: u64 = 256;
/// Texels in a row of an image. Shaders know it too: `shaders/shared/image_loads.wgsl`.
const ROW: u32 = 1024;
/// Bytes of a row: a texel has four components in float32.
const ROW_BYTES: u64 = 16 * ROW as u64;
/// llvmpipe's images have whole blocks of so many rows.
const BLOCK: u32 = 4;
/// An image that starts anywhere in a buffer may end this far behind it: [`rows`] may add three rows, and its last block
/// as many.
const TAIL: u64 = ROW_BYTES * (3 + BLOCK as u64 - 1);

/// Rows of texels for so many bytes. llvmpipe compiles a kernel once for images whose height is a power of two, and once
/// for all others: so none is.
fn rows(bytes: u64) -> u32 {
    let rows = bytes.div_ceil(ROW_BYTES).max(3) as u32;
    rows + u32::from(rows.is_power_of_two())
}

/// Memory of a buffer, to which images can be bound too.
pub(super) struct Memory {
    raw: vk::DeviceMemory,
    device: ash::Device,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:?}", self.raw)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: whatever is bound to it holds on to it, and to the device through wgpu's own resources.
        unsafe { self.device.free_memory(self.raw, None) };
    }
}

/// Whether buffers of this device can be seen as images, as far as the driver says so.
pub(super) fn is_supported(info: &wgpu::AdapterInfo, device: &wgpu::Device) -> bool {
    if info.backend != wgpu::Backend::Vulkan || info.device_type != wgpu::DeviceType::Cpu {
        return false;
    }
    let rows_follow_each_other = |device: &hal::vulkan::Device| {
        let instance = device.shared_instance().raw_instance();
        let adapter = device.raw_physical_device();
        let device = device.raw_device();
        let image = image(device, 2 * BLOCK)?;
        // SAFETY: the image is of this device, has one plane and level, and is not used after; the adapter is the device's.
        let (rows, needs, memory) = unsafe {
            let color = vk::ImageSubresource::default().aspect_mask(vk::ImageAspectFlags::COLOR);
            let rows = device.get_image_subresource_layout(image, color);
            let needs = device.get_image_memory_requirements(image);
            device.destroy_image(image, None);
            let memory = instance.get_physical_device_memory_properties(adapter);
            (rows, needs, memory)
        };
        let flags = memory.memory_types[MEMORY_TYPE as usize].property_flags;
        let wanted = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        Ok(rows.offset == 0
            && rows.row_pitch == ROW_BYTES
            && needs.size <= u64::from(2 * BLOCK) * ROW_BYTES
            && needs.alignment <= MAX_ALIGNMENT
            && needs.memory_type_bits & (1 << MEMORY_TYPE) != 0
            && flags.contains(wanted))
    };
    with_vulkan(device, rows_follow_each_other).unwrap_or(false)
        && buffer(device, "probe", 16, wgpu::BufferUsages::STORAGE).is_ok()
}

/// A zeroed storage buffer that can be copied from and to, and its memory. `usage` is what wgpu is to know of it: at most
/// storage and copies.
///
/// # Errors
/// The driver refuses it: no memory is left, or the device is lost.
pub(super) fn buffer(
    device: &wgpu::Device,
    label: &str,
    size: u64,
    usage: wgpu::BufferUsages,
) -> Result<(wgpu::Buffer, Arc<Memory>), Refusal> {
    let (hal_buffer, memory) = with_vulkan(device, |device| {
        let raw = device.raw_device();
        let flags = vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let described = vk::BufferCreateInfo::default().size(size).usage(flags);
        let asked = vk::MemoryAllocateInfo::default()
            .memory_type_index(MEMORY_TYPE)
            .allocation_size(size + TAIL);
        // SAFETY: the memory is larger than the buffer, llvmpipe's only type can be mapped, and each is destroyed once:
        // the buffer before its memory, which the callback holds on to.
        unsafe {
            let memory = Arc::new(Memory {
                raw: raw.allocate_memory(&asked, None)?,
                device: raw.clone(),
            });
            let flags = vk::MemoryMapFlags::empty();
            let bytes = raw.map_memory(memory.raw, 0, size, flags)?;
            bytes.cast::<u8>().write_bytes(0, size as usize);
            raw.unmap_memory(memory.raw);
            let buffer = raw.create_buffer(&described, None)?;
            let held = memory.clone();
            let destroy = Box::new(move || held.device.destroy_buffer(buffer, None));
            let bound = raw.bind_buffer_memory(buffer, memory.raw, 0);
            let hal_buffer = hal::vulkan::Buffer::from_raw_externally_owned(buffer, destroy);
            bound.map(|()| (hal_buffer, memory))
        }
    })?;
    let described = wgpu::BufferDescriptor {
        label: Some(label),
        size,
        usage,
        mapped_at_creation: false,
    };
    // SAFETY: it is of this device, as described, and zeroed.
    let buffer =
        unsafe { device.create_buffer_from_hal::<hal::api::Vulkan>(hal_buffer, &described) };
    Ok((buffer, memory))
}

/// `bytes` bytes of `memory` from `offset` on as a texture that shaders read, row after row; the last rows may reach beyond
/// them.
///
/// # Errors
/// As [`buffer`].
pub(super) fn texture(
    device: &wgpu::Device,
    memory: &Arc<Memory>,
    offset: u64,
    bytes: u64,
) -> Result<wgpu::Texture, Refusal> {
    let rows = rows(bytes);
    let size = wgpu::Extent3d {
        width: ROW,
        height: rows,
        depth_or_array_layers: 1,
    };
    let hal_texture = with_vulkan(device, |device| {
        let raw = device.raw_device();
        let image = image(raw, rows)?;
        let described = hal::TextureDescriptor {
            label: Some("image of a buffer"),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba32Float,
            usage: wgpu::TextureUses::STORAGE_READ_ONLY,
            memory_flags: hal::MemoryFlags::empty(),
            view_formats: Vec::new(),
        };
        // SAFETY: the image ends before its memory, which the callback holds on to, and is destroyed once.
        unsafe {
            let held = memory.clone();
            let destroy = Box::new(move || held.device.destroy_image(image, None));
            let bound = raw.bind_image_memory(image, memory.raw, offset);
            let external = hal::vulkan::TextureMemory::External;
            let texture = device.texture_from_raw(image, &described, Some(destroy), external);
            bound.map(|()| texture)
        }
    })?;
    let described = wgpu::TextureDescriptor {
        label: Some("image of a buffer"),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba32Float,
        usage: wgpu::TextureUsages::STORAGE_BINDING,
        view_formats: &[],
    };
    let state = wgpu::TextureUses::STORAGE_READ_ONLY;
    // SAFETY: it is of this device, as described, and holds what its memory holds.
    let texture = unsafe {
        device.create_texture_from_hal::<hal::api::Vulkan>(hal_texture, &described, state)
    };
    Ok(texture)
}

/// Waits until the driver has nothing left to do, whatever wgpu knows of it.
pub(super) fn wait_idle(device: &wgpu::Device) {
    // SAFETY: it only waits; what it answers of a lost device is known.
    let _ = with_vulkan(device, |device| unsafe {
        device.raw_device().device_wait_idle()
    });
}

/// An image of texels without memory.
fn image(device: &ash::Device, rows: u32) -> Result<vk::Image, vk::Result> {
    let described = vk::ImageCreateInfo::default()
        .image_type(vk::ImageType::TYPE_2D)
        .format(vk::Format::R32G32B32A32_SFLOAT)
        .extent(vk::Extent3D {
            width: ROW,
            height: rows,
            depth: 1,
        })
        .mip_levels(1)
        .array_layers(1)
        .samples(vk::SampleCountFlags::TYPE_1)
        .tiling(vk::ImageTiling::LINEAR)
        .usage(vk::ImageUsageFlags::STORAGE)
        .initial_layout(vk::ImageLayout::PREINITIALIZED);
    // SAFETY: all that Vulkan asks for is described.
    unsafe { device.create_image(&described, None) }
}

fn with_vulkan<T>(
    device: &wgpu::Device,
    f: impl FnOnce(&hal::vulkan::Device) -> Result<T, vk::Result>,
) -> Result<T, Refusal> {
    // SAFETY: nobody destroys it, nor anything of it that wgpu made.
    let device = unsafe { device.as_hal::<hal::api::Vulkan>() };
    let device = device.ok_or(Refusal::Failed("the device is not Vulkan's".to_owned()))?;
    f(&device).map_err(|result| match result {
        vk::Result::ERROR_OUT_OF_HOST_MEMORY | vk::Result::ERROR_OUT_OF_DEVICE_MEMORY => {
            Refusal::NoMemory
        }
        other => Refusal::Failed(other.to_string()),
    })
}
