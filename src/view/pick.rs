//! Picking: which line is under the pointer, at which step, and what its value is there.

use std::fmt;

use glam::Vec2;

use super::geometry::Plot;
use super::series_data::SeriesData;
use crate::gpu::{Buffer, Gpu, ReadbackRing, Shader};
use crate::series::ValueScale;
use crate::{Result, gpu_struct, shader};

static SHADER: Shader = shader!("view/pick.wgsl");

/// Picks that may be on their way at the same time.
const SLOTS: usize = 3;
/// The line of a pick that has found none.
const NO_LINE: u32 = u32::MAX;

gpu_struct! {
    struct PickUniforms in SHADER::Uniforms {
        scale: ValueScale,
        rect: [f32; 4],
        window: [f32; 4],
        point: [f32; 2],
        reach: f32,
        steps: u32,
        lines: u32,
    }
}

/// What was found near a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Picked {
    /// The line of the series.
    pub line: u32,
    /// The step index: of both ends of the nearest segment the one nearer along the x-axis.
    pub step: u32,
    /// What the series stores at that step, which is finite: see [`SeriesBuffer::value`](crate::series::SeriesBuffer::value).
    pub value: f32,
    /// From the pixel to the line, in pixels.
    pub distance: f32,
}

/// The answer to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PickAnswer {
    /// The pixel that was asked for.
    pub at: Vec2,
    /// The nearest line; `None` where none is near.
    pub picked: Option<Picked>,
}

/// Finds the line nearest to a pixel, in one dispatch whose answer comes back without blocking.
pub struct Picker {
    gpu: Gpu,
    /// Line, step, value and distance of the pick that ran last, by their bits.
    picked: Buffer<u32>,
    ring: ReadbackRing<Vec2>,
}

impl fmt::Debug for Picker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picker").finish_non_exhaustive()
    }
}

impl Picker {
    /// A picker on `gpu`.
    ///
    /// # Errors
    /// The adapter has no room for a few bytes.
    pub fn new(gpu: &Gpu) -> Result<Self> {
        let bytes = (4 * size_of::<u32>()) as u64;
        Ok(Self {
            gpu: gpu.clone(),
            picked: gpu.buffer("picked", 4)?,
            ring: ReadbackRing::new(gpu, "picked", SLOTS, bytes),
        })
    }

    /// Asks for the line nearest to the pixel `at`, of all lines, drawn or not, within `reach` pixels. `false` where so many answers are on their way
    /// that this one has to be asked for again later.
    pub fn request(&mut self, data: &SeriesData, plot: &Plot, at: Vec2, reach: f32) -> bool {
        if self.ring.is_full() {
            return false;
        }
        let series = data.series();
        let gpu = &self.gpu;
        let uniforms = PickUniforms {
            scale: series.scale(),
            rect: plot.rect.to_array(),
            window: plot.window(),
            point: at.to_array(),
            reach,
            steps: series.steps() as u32,
            lines: series.lines() as u32,
        };
        let uniform = gpu.uniform("pick", &uniforms);
        let bindings = [
            (0, uniform.binding()),
            (1, series.values().binding()),
            (2, self.picked.binding()),
        ];
        let kernel = gpu.kernel(&SHADER, "main", &[]);
        let dispatch = kernel.bind(gpu, &bindings, [1, 1, 1]);
        let mut encoder = gpu.encoder("pick");
        gpu.record(&mut encoder, "pick", [&dispatch]);
        let raw = self.picked.raw();
        let bytes = (4 * size_of::<u32>()) as u64;
        self.ring.copy(&mut encoder, at, &[(raw, 0, bytes)]);
        gpu.queue.submit([encoder.finish()]);
        self.ring.submitted();
        true
    }

    /// The answer to the oldest request, if it has arrived.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn take(&mut self) -> Result<Option<PickAnswer>> {
        let answer = self.ring.take(&self.gpu, false)?;
        Ok(answer.map(|(at, bytes)| PickAnswer::read(at, &bytes)))
    }

    /// The answer to the oldest request, for which this waits; `None` where nothing was asked.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn wait(&mut self) -> Result<Option<PickAnswer>> {
        let answer = self.ring.take(&self.gpu, true)?;
        Ok(answer.map(|(at, bytes)| PickAnswer::read(at, &bytes)))
    }

    /// Whether no answer is on its way.
    pub fn is_idle(&self) -> bool {
        self.ring.is_idle()
    }
}

impl PickAnswer {
    /// The answer in the bytes of the shader's `Pick`.
    fn read(at: Vec2, bytes: &[u8]) -> Self {
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(bytes);
        let picked = match words[..] {
            [line, step, value, distance] if line != NO_LINE => Some(Picked {
                line,
                step,
                value: f32::from_bits(value),
                distance: f32::from_bits(distance),
            }),
            _ => None,
        };
        Self { at, picked }
    }
}
