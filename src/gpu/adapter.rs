//! Which adapter to use: hardware before software, and whatever the user names before both.

use crate::{Error, Result};

/// How an adapter is chosen. The default takes the best hardware there is and falls back on a software adapter.
///
/// The variables of the wgpu ecosystem hold as well: `WGPU_BACKEND`, `WGPU_ADAPTER_NAME` (used where
/// [`AdapterChoice::name`] is empty) and `WGPU_POWER_PREF`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdapterChoice {
    /// A part of the adapter's name, in any case; `None` leaves the choice to the environment and the ranking.
    pub name: Option<String>,
}

impl AdapterChoice {
    /// The adapter whose name contains `name`, in any case.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
        }
    }
}

/// An instance with every backend that the build and `WGPU_BACKEND` allow.
pub fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env())
}

/// All adapters, best first.
pub fn list(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let low_power = matches!(
        wgpu::PowerPreference::from_env(),
        Some(wgpu::PowerPreference::LowPower)
    );
    adapters.sort_by_key(|adapter| rank(adapter.get_info().device_type, low_power));
    adapters
}

/// Smaller is better.
fn rank(device_type: wgpu::DeviceType, low_power: bool) -> u8 {
    use wgpu::DeviceType as Type;
    match device_type {
        Type::DiscreteGpu => 1,
        Type::IntegratedGpu if low_power => 0,
        Type::IntegratedGpu => 2,
        Type::VirtualGpu => 3,
        Type::Other => 4,
        Type::Cpu => 5,
    }
}

/// The adapter that `choice` asks for; where a window is given, one that can draw to it.
///
/// # Errors
/// No adapter at all, or none of the asked name (the message lists what there is).
pub fn choose(
    instance: &wgpu::Instance,
    choice: &AdapterChoice,
    surface: Option<&wgpu::Surface<'_>>,
) -> Result<wgpu::Adapter> {
    let mut adapters = list(instance);
    if let Some(surface) = surface {
        adapters.retain(|adapter| adapter.is_surface_supported(surface));
    }
    if adapters.is_empty() {
        return Err(Error::gpu(
            "adapter",
            "this machine shows no Vulkan, Metal or DX12 adapter",
            "install a GPU driver, or a software adapter (Debian and Ubuntu: apt install mesa-vulkan-drivers)",
        ));
    }
    let name = choice
        .name
        .clone()
        .or_else(|| std::env::var("WGPU_ADAPTER_NAME").ok())
        .filter(|name| !name.is_empty());
    let Some(name) = name else {
        return Ok(adapters.swap_remove(0));
    };
    let wanted = name.to_lowercase();
    let names: Vec<String> = adapters.iter().map(|a| a.get_info().name).collect();
    match names
        .iter()
        .position(|name| name.to_lowercase().contains(&wanted))
    {
        Some(index) => Ok(adapters.swap_remove(index)),
        None => Err(Error::gpu(
            format!("adapter '{name}'"),
            "no adapter has that in its name",
            format!("name a part of one of these: {}", names.join(", ")),
        )),
    }
}

/// One line for a person: name, backend, driver, and whether it is software.
pub fn describe(info: &wgpu::AdapterInfo) -> String {
    let software = if info.device_type == wgpu::DeviceType::Cpu {
        ", a software adapter on the CPU"
    } else {
        ""
    };
    let driver = format!("{} {}", info.driver, info.driver_info);
    format!(
        "{} ({}, {}{software})",
        info.name,
        info.backend,
        driver.trim()
    )
}
