//! What belongs to one unit of a buffer: its weights out of a layer's, its channel out of a batch of images.

use crate::gpu::{Buffer, Dispatch, Gpu, Shader, grid};
use crate::nn::{Graph, Node, ParameterSlice, Parameters, Property};
use crate::{gpu_struct, shader};

static BLOCKS: Shader = shader!("credit/blocks.wgsl");

gpu_struct! {
    struct BlocksUniforms in BLOCKS::Uniforms {
        first: u32,
        block: u32,
        stride: u32,
        count: u32,
        gathered_first: u32,
    }
}

/// Blocks of equal size at even distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocks {
    /// Where the first one begins.
    pub first: usize,
    /// Elements of one.
    pub block: usize,
    /// From one to the next.
    pub stride: usize,
    /// How many.
    pub count: usize,
}

impl Blocks {
    /// The unit of a batch `[samples, units, places]`.
    pub fn of_unit(unit: usize, samples: usize, [units, places]: [usize; 2]) -> Self {
        Self {
            first: unit * places,
            block: places,
            stride: units * places,
            count: samples,
        }
    }

    /// Copies the blocks of `source`, one behind the other, to `target` from element `at` on.
    pub fn gather(
        &self,
        gpu: &Gpu,
        source: &Buffer<f32>,
        target: &Buffer<f32>,
        at: usize,
    ) -> Dispatch {
        self.dispatch(gpu, "gather", (source, target), self.block * self.count, at)
    }

    /// Copies `source` to the blocks of `target`, whose other elements become 0.
    pub fn spread(&self, gpu: &Gpu, source: &Buffer<f32>, target: &Buffer<f32>) -> Dispatch {
        self.dispatch(gpu, "spread", (source, target), target.len(), 0)
    }

    fn dispatch(
        &self,
        gpu: &Gpu,
        entry: &'static str,
        (source, result): (&Buffer<f32>, &Buffer<f32>),
        count: usize,
        at: usize,
    ) -> Dispatch {
        let uniform = gpu.uniform(
            "blocks",
            &BlocksUniforms {
                first: self.first as u32,
                block: self.block as u32,
                stride: self.stride as u32,
                count: count as u32,
                gathered_first: at as u32,
            },
        );
        let bindings = [
            (0, uniform.binding()),
            (1, source.binding()),
            (2, result.binding()),
        ];
        let kernel = gpu.kernel(&BLOCKS, entry, &[]);
        kernel.bind(gpu, &bindings, grid(count, 64))
    }
}

/// Where the weights and the bias of each unit of a layer lie, and where they go in a row: laid out like the parameters of
/// the layer with that unit alone.
#[derive(Debug, Clone)]
pub(super) struct RowLayout {
    weight_start: usize,
    weights: usize,
    block: usize,
    stride: usize,
    bias_start: usize,
    bias_at: usize,
    /// Elements of a row, gaps included.
    pub len: usize,
}

impl RowLayout {
    /// The layout of `node`, a layer with weights, whose parameters are among `parameters`; `single` are those of the layer
    /// with one unit.
    pub fn new(
        graph: &Graph,
        node: &Node,
        parameters: &Parameters,
        single: &Parameters,
    ) -> Option<Self> {
        let [weight, bias, ..] = node.parameters[..] else {
            return None;
        };
        let [weight, bias] = [weight, bias].map(|index| &graph.parameters()[index]);
        let start = |name: &str| parameters.slice(name).map(|slice| slice.start);
        let [single_weight, single_bias]: [ParameterSlice<'_>; 2] =
            [single.slice("unit.weight")?, single.slice("unit.bias")?];
        // A transposed convolution has the channels that come in first.
        let units = bias.shape[0];
        let properties = node.operation.as_ref()?.properties();
        let is_transposed = properties.contains(&Property::TransposedWeight);
        let block = if is_transposed {
            weight.shape[2..].iter().product()
        } else {
            single_weight.len
        };
        Some(Self {
            weight_start: start(&weight.name)?,
            weights: single_weight.len,
            block,
            stride: units * block,
            bias_start: start(&bias.name)?,
            bias_at: single_bias.start,
            len: single.trainable_len(),
        })
    }

    /// Copies the row of a unit out of a buffer laid out like the parameters.
    pub fn gather(
        &self,
        gpu: &Gpu,
        unit: usize,
        source: &Buffer<f32>,
        row: &Buffer<f32>,
    ) -> [Dispatch; 2] {
        let weights = Blocks {
            first: self.weight_start + unit * self.block,
            block: self.block,
            stride: self.stride,
            count: self.weights / self.block,
        };
        let bias = Blocks {
            first: self.bias_start + unit,
            block: 1,
            stride: 1,
            count: 1,
        };
        [
            weights.gather(gpu, source, row, 0),
            bias.gather(gpu, source, row, self.bias_at),
        ]
    }
}
