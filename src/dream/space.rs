//! What a dream may look like: the values of an input in units of what real inputs reach, and the bounds on them.
//!
//! A value of 0 is what is usual (gray, no flow, a black background), and the components of a pixel (its colors, or a flow
//! across and down) have a norm of at most 1, the bound: 99 % of the pixels of real inputs have a smaller one.

use std::ops::Range;

use crate::data::clips::FRAME_CHANNELS;
use crate::gpu::{Binding, Buffer, Dispatch, Gpu, Shader, grid};
use crate::nn::StepCounter;
use crate::random::{self, Stream};
use crate::{Result, gpu_struct, shader};

static SPACE: Shader = shader!("dream/space.wgsl");

/// The share of real pixels whose norm is below the bound.
const QUANTILE: f64 = 0.99;
/// Standard deviation of the start, as a share of the bound.
const START: f32 = 0.1;
/// Where a channel has no neighbor in time.
const NONE: u32 = u32::MAX;

gpu_struct! {
    struct SpaceUniforms in SPACE::Uniforms {
        rows: u32,
        channels: u32,
        height: u32,
        width: u32,
        jitter: u32,
        stream: u32,
        seed_low: u32,
        seed_high: u32,
        is_boxed: u32,
    }
}

/// What the input of a graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// An image: channels, height, width.
    Image,
    /// A frame and the flow fields around it, as [`crate::data::clips`] makes them.
    Clip,
    /// Numbers without places, such as a latent vector.
    Vector,
}

/// Channels of an input that are of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct InputStream {
    /// What it shows.
    pub name: &'static str,
    /// Its channels.
    pub channels: Range<usize>,
    /// Channels of a pixel; a stream of more has several frames.
    pub components: usize,
    /// The input at value 0.
    pub center: f32,
    /// The norm of a pixel's distance to the center at most.
    pub bound: f32,
}

impl InputStream {
    /// Frames in it.
    pub fn frames(&self) -> usize {
        self.channels.len() / self.components
    }
}

/// The space in which inputs of a graph are dreamt.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpace {
    /// What the input is.
    pub kind: InputKind,
    /// The shape of a sample.
    pub shape: Vec<usize>,
    /// Its streams, which together have all channels.
    pub streams: Vec<InputStream>,
}

/// Mean squared differences between neighboring pixels of a dream, in units of the bound.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Energies {
    /// Across and down, summed over both and over the components, mean over the pixels of all frames of all streams.
    pub spatial: f64,
    /// From a frame to the next, the same mean over the pairs of frames; 0 where there is no time.
    pub temporal: f64,
}

impl InputSpace {
    /// The space of inputs like the `real` ones, `[samples, ...shape]`.
    pub fn new(kind: InputKind, shape: &[usize], real: &[f32]) -> Self {
        let channels = match kind {
            InputKind::Vector => shape.iter().product(),
            InputKind::Image | InputKind::Clip => shape[0],
        };
        let stream = |name, channels: Range<usize>, components, center| InputStream {
            name,
            channels,
            components,
            center,
            bound: 1.0,
        };
        let streams = match kind {
            // Bytes in whose middle is gray, and no flow.
            InputKind::Clip => vec![
                stream("appearance", 0..FRAME_CHANNELS, FRAME_CHANNELS, 0.5),
                stream("flow", FRAME_CHANNELS..channels, 2, 0.5),
            ],
            InputKind::Image => vec![stream("image", 0..channels, channels, median(real))],
            InputKind::Vector => vec![stream("vector", 0..channels, channels, 0.0)],
        };
        let mut space = Self {
            kind,
            shape: shape.to_vec(),
            streams,
        };
        for index in 0..space.streams.len() {
            let norms = space.norms(&space.streams[index], real);
            space.streams[index].bound = bound(norms);
        }
        space
    }

    /// Values of an input.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Channels of an input.
    pub fn channels(&self) -> usize {
        self.streams
            .iter()
            .map(|stream| stream.channels.len())
            .sum()
    }

    /// Height and width in pixels; 1 and 1 of a vector.
    pub fn sides(&self) -> [usize; 2] {
        match (self.kind, &self.shape[..]) {
            (InputKind::Image | InputKind::Clip, &[_, height, width]) => [height, width],
            _ => [1, 1],
        }
    }

    /// Pixels of a frame.
    pub fn positions(&self) -> usize {
        self.sides().iter().product()
    }

    /// The norms of all pixels of a stream, about its center.
    fn norms(&self, stream: &InputStream, real: &[f32]) -> Vec<f32> {
        let positions = self.positions();
        let mut norms = Vec::new();
        for sample in real.chunks_exact(self.size()) {
            for first in stream.channels.clone().step_by(stream.components) {
                for position in 0..positions {
                    let parts = first..first + stream.components;
                    let squares = parts.map(|channel| {
                        let away = sample[channel * positions + position] - stream.center;
                        away * away
                    });
                    norms.push(squares.sum::<f32>().sqrt());
                }
            }
        }
        norms
    }

    fn stream_of(&self, channel: usize) -> &InputStream {
        let found = self
            .streams
            .iter()
            .find(|stream| stream.channels.contains(&channel));
        found.expect("streams have all channels")
    }

    /// Inputs `[samples, ...shape]` in the units of the data as values.
    pub fn values_of(&self, inputs: &[f32]) -> Vec<f32> {
        self.each(inputs, |stream, input| {
            (input - stream.center) / stream.bound
        })
    }

    /// Values as inputs in the units of the data.
    pub fn inputs_of(&self, values: &[f32]) -> Vec<f32> {
        self.each(values, |stream, value| stream.center + stream.bound * value)
    }

    fn each(&self, all: &[f32], map: impl Fn(&InputStream, f32) -> f32) -> Vec<f32> {
        let positions = self.positions();
        let channels = self.channels();
        let mapped = all
            .chunks_exact(positions)
            .enumerate()
            .flat_map(|(plane, values)| {
                let stream = self.stream_of(plane % channels);
                let map = &map;
                values.iter().map(move |&value| map(stream, value))
            });
        mapped.collect()
    }

    /// The start of every dream of a seed: noise, the same at every snapshot and for every unit.
    pub fn start(&self, seed: u64) -> Vec<f32> {
        let noise = random::standard_normals(seed, Stream::Dream, 0, self.size());
        noise.into_iter().map(|value| START * value).collect()
    }

    /// Differences between neighbors in the values of one dream.
    pub fn energies(&self, values: &[f32]) -> Energies {
        let [height, width] = self.sides();
        let positions = height * width;
        let square = |a: usize, b: usize| (f64::from(values[a]) - f64::from(values[b])).powi(2);
        let (mut spatial, mut temporal) = (0.0, 0.0);
        let (mut pixels, mut pairs) = (0, 0);
        for stream in &self.streams {
            pixels += stream.frames() * positions;
            pairs += (stream.frames() - 1) * positions;
            for channel in stream.channels.clone() {
                for position in 0..positions {
                    let at = channel * positions + position;
                    if position % width + 1 < width {
                        spatial += square(at, at + 1);
                    }
                    if position / width + 1 < height {
                        spatial += square(at, at + width);
                    }
                    if channel + stream.components < stream.channels.end {
                        temporal += square(at, at + stream.components * positions);
                    }
                }
            }
        }
        Energies {
            spatial: spatial / pixels.max(1) as f64,
            temporal: temporal / pairs.max(1) as f64,
        }
    }

    /// The float64 reference of the projection of values into their bounds.
    pub fn reference_projection(&self, values: &mut [f64]) {
        let positions = self.positions();
        for sample in values.chunks_exact_mut(self.size()) {
            for stream in &self.streams {
                let [center, bound] = [stream.center, stream.bound].map(f64::from);
                for first in stream.channels.clone().step_by(stream.components) {
                    for position in 0..positions {
                        let at = |part: usize| (first + part) * positions + position;
                        let parts = 0..stream.components;
                        let squares: f64 = parts.clone().map(|p| sample[at(p)].powi(2)).sum();
                        let norm = squares.sqrt().max(1.0);
                        for part in parts {
                            let value = sample[at(part)] / norm;
                            sample[at(part)] = match self.kind {
                                InputKind::Vector => value,
                                _ => value.clamp(-center / bound, (1.0 - center) / bound),
                            };
                        }
                    }
                }
            }
        }
    }

    /// The largest shift of `jitter` pixels that the image has room for; none of a vector.
    pub fn jitter(&self, jitter: usize) -> usize {
        let [height, width] = self.sides();
        jitter.min(height.min(width) - 1)
    }

    /// The float64 reference of the shift of a step: rows down and columns to the right.
    pub fn reference_shift(&self, seed: u64, jitter: usize, step: u32) -> [usize; 2] {
        let jitter = self.jitter(jitter);
        let words = random::words(seed, Stream::Dream, step + 1, 0);
        let [height, width] = self.sides();
        let span = 2 * jitter + 1;
        let shift = |word: u32, side: usize| (word as usize % span + side - jitter) % side;
        [shift(words[0], height), shift(words[1], width)]
    }
}

fn median(values: &[f32]) -> f32 {
    let mut finite: Vec<f32> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    if finite.is_empty() {
        return 0.0;
    }
    let middle = finite.len() / 2;
    *finite.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// The norm that few of these exceed; the largest where that is 0, and 1 where all are.
fn bound(mut norms: Vec<f32>) -> f32 {
    norms.retain(|norm| norm.is_finite());
    if norms.is_empty() {
        return 1.0;
    }
    let largest = norms.iter().copied().fold(0.0, f32::max);
    let at = ((norms.len() - 1) as f64 * QUANTILE).round() as usize;
    let quantile = *norms.select_nth_unstable_by(at, f32::total_cmp).1;
    match (quantile > 0.0, largest > 0.0) {
        (true, _) => quantile,
        (_, true) => largest,
        _ => 1.0,
    }
}

/// The space on the GPU, for a number of rows.
#[derive(Debug)]
pub struct SpaceOnGpu<'a> {
    gpu: &'a Gpu,
    space: &'a InputSpace,
    rows: usize,
    /// Of each channel: the first channel of its pixel, how many channels that has, and the same channel a frame before
    /// and a frame after.
    pixels: Buffer<[u32; 4]>,
    /// Of each channel: the input at value 0, how far value 1 is from that, and one over the pixels of its stream's frames.
    scales: Buffer<[f32; 4]>,
}

impl<'a> SpaceOnGpu<'a> {
    /// Uploads the space.
    ///
    /// # Errors
    /// The adapter has no memory left.
    pub fn new(gpu: &'a Gpu, space: &'a InputSpace, rows: usize) -> Result<Self> {
        let positions = space.positions();
        let (mut pixels, mut scales) = (Vec::new(), Vec::new());
        for stream in &space.streams {
            let Range { start, end } = stream.channels;
            let components = stream.components;
            for channel in stream.channels.clone() {
                let first = start + (channel - start) / components * components;
                let before = channel
                    .checked_sub(components)
                    .filter(|before| *before >= start);
                let after = Some(channel + components).filter(|after| *after < end);
                let number = |channel: Option<usize>| channel.map_or(NONE, |it| it as u32);
                pixels.push([
                    first as u32,
                    components as u32,
                    number(before),
                    number(after),
                ]);
                let share = 1.0 / (positions * stream.frames()) as f32;
                scales.push([stream.center, stream.bound, share, 0.0]);
            }
        }
        Ok(Self {
            gpu,
            space,
            rows,
            pixels: gpu.upload("pixels of a dream", &pixels)?,
            scales: gpu.upload("scales of a dream", &scales)?,
        })
    }

    /// The tables that kernels bind: of pixels and of scales.
    pub(super) fn tables(&self) -> [Binding<'_>; 2] {
        [self.pixels.binding(), self.scales.binding()]
    }

    /// Rows of a batch.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The space.
    pub(super) fn space(&self) -> &InputSpace {
        self.space
    }

    fn uniforms(&self, jitter: usize, seed: u64) -> SpaceUniforms {
        let [height, width] = self.space.sides();
        let [seed_low, seed_high] = random::key(seed);
        SpaceUniforms {
            rows: self.rows as u32,
            channels: self.space.channels() as u32,
            height: height as u32,
            width: width as u32,
            jitter: jitter as u32,
            stream: Stream::Dream as u32,
            seed_low,
            seed_high,
            is_boxed: u32::from(self.space.kind != InputKind::Vector),
        }
    }

    /// Draws the shift of a step.
    pub fn draw_shift(
        &self,
        seed: u64,
        jitter: usize,
        step_counter: &StepCounter,
        shift: &Buffer<u32>,
    ) -> Dispatch {
        let uniforms = self.uniforms(self.space.jitter(jitter), seed);
        let uniform = self.gpu.uniform("dream", &uniforms);
        let bindings = [
            (0, uniform.binding()),
            (3, step_counter.buffer().binding()),
            (4, shift.binding()),
        ];
        let kernel = self.gpu.kernel(&SPACE, "draw_shift", &[]);
        kernel.bind(self.gpu, &bindings, [1, 1, 1])
    }

    /// Writes values `[rows, ...shape]`, rolled, to an input of a network.
    pub fn to_input(
        &self,
        values: &Buffer<f32>,
        shift: &Buffer<u32>,
        input: &Buffer<f32>,
    ) -> Dispatch {
        let uniform = self.gpu.uniform("dream", &self.uniforms(0, 0));
        let bindings = [
            (0, uniform.binding()),
            (2, self.scales.binding()),
            (5, shift.binding()),
            (6, values.binding()),
            (7, input.binding()),
        ];
        let kernel = self.gpu.kernel(&SPACE, "to_input", &[]);
        kernel.bind(self.gpu, &bindings, grid(values.len(), 64))
    }

    /// Brings values into their bounds.
    pub fn project(&self, values: &Buffer<f32>) -> Dispatch {
        let uniform = self.gpu.uniform("dream", &self.uniforms(0, 0));
        let bindings = [
            (0, uniform.binding()),
            (1, self.pixels.binding()),
            (2, self.scales.binding()),
            (7, values.binding()),
        ];
        let kernel = self.gpu.kernel(&SPACE, "project", &[]);
        let places = self.rows * self.space.positions();
        kernel.bind(self.gpu, &bindings, grid(places, 64))
    }
}
