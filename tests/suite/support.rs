//! What every test needs: one device for all of them.

use std::sync::OnceLock;

use trainscope::gpu::{AdapterChoice, Gpu};

/// The device that the tests share, on the adapter that a user would get. The first call prints its name.
pub fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| {
        let gpu = Gpu::new(&AdapterChoice::default()).expect("the tests need an adapter");
        println!("adapter: {}", gpu.describe());
        gpu
    })
}
