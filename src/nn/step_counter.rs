//! A step counter on the GPU, which noise, schedules and bias corrections read.

use crate::Result;
use crate::gpu::{Buffer, Dispatch, Gpu, Shader};
use crate::shader;

static STEP_COUNTER: Shader = shader!("nn/step_counter.wgsl");

/// A buffer whose first word is a number of steps, starting from 0.
#[derive(Debug, Clone)]
pub struct StepCounter {
    buffer: Buffer<u32>,
    advance: Dispatch,
}

impl StepCounter {
    /// A counter at 0.
    ///
    /// # Errors
    /// The adapter has no memory left.
    pub fn new(gpu: &Gpu) -> Result<Self> {
        let buffer = gpu.upload("step counter", &[0u32; 4])?;
        let kernel = gpu.kernel(&STEP_COUNTER, "advance", &[]);
        let advance = kernel.bind(gpu, &[(0, buffer.binding())], [1, 1, 1]);
        Ok(Self { buffer, advance })
    }

    /// The buffer; its first word is the count.
    pub fn buffer(&self) -> &Buffer<u32> {
        &self.buffer
    }

    /// The dispatch that adds one to the count.
    pub fn advance(&self) -> Dispatch {
        self.advance.clone()
    }

    /// Sets the count.
    pub fn set(&self, gpu: &Gpu, count: u32) {
        gpu.write(&self.buffer, 0, &[count]);
    }
}
