//! The shapes of the matrix products that a convolution is computed as.

use super::Convolution;
#[cfg(test)]
use crate::gpu::Shader;
use crate::gpu_struct;

#[cfg(test)]
static PACK: Shader = crate::shader!("nn/convolution/pack.wgsl");

gpu_struct! {
    /// One product; the fields are explained in `shaders/shared/convolution/implicit_gemm.wgsl`.
    pub(super) struct ImplicitGemm in PACK::ImplicitGemm {
        rows: u32,
        inner_channels: u32,
        inner_height: u32,
        inner_width: u32,
        samples: u32,
        groups: u32,
        column_height: u32,
        column_width: u32,
        weight_first: u32,
        weight_row: u32,
        weight_channel: u32,
        weight_y: u32,
        weight_x: u32,
        packed_first: u32,
        image_height: u32,
        image_width: u32,
        first_y: i32,
        first_x: i32,
        column_y: i32,
        column_x: i32,
        inner_y: i32,
        inner_x: i32,
        c_first: u32,
        c_sample: u32,
        c_row: u32,
        c_y: u32,
        c_x: u32,
    }
}

/// The positions of the input side along one axis that are equal modulo the stride, and the elements of the kernel under
/// which they lie for some position of the output side.
struct StridePhase {
    /// The first of these positions.
    start: usize,
    /// The number of these positions.
    positions: usize,
    /// The first of these elements of the kernel.
    first: usize,
    /// From one of these elements to the next.
    step: usize,
    /// The number of these elements.
    elements: usize,
    /// The output position at which the first position lies under the first element.
    origin: i32,
    /// How far the output position moves back from one of these elements to the next.
    output_step: usize,
}

/// The phases of an axis, where input position = stride x output position + dilation x element - padding.
fn stride_phases(
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Vec<StridePhase> {
    let common = greatest_common_divisor(stride, dilation);
    let (step, output_step) = (stride / common, dilation / common);
    let phase = |start: usize| {
        let reach = |element: usize| (start + padding) as i64 - (element * dilation) as i64;
        let first = (0..step.min(kernel)).find(|&k| reach(k).rem_euclid(stride as i64) == 0);
        StridePhase {
            start,
            positions: (size - start).div_ceil(stride),
            first: first.unwrap_or(0),
            step,
            elements: first.map_or(0, |first| (kernel - first).div_ceil(step)),
            origin: (reach(first.unwrap_or(0)).div_euclid(stride as i64)) as i32,
            output_step,
        }
    };
    (0..stride.min(size)).map(phase).collect()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

impl ImplicitGemm {
    /// The output side from the weight and the input side.
    pub fn forward(convolution: &Convolution, batch: usize) -> Self {
        let Convolution {
            geometry,
            input: [input_channels, input_height, input_width],
            output: [output_channels, output_height, output_width],
        } = *convolution;
        let kernel = geometry.kernel;
        let positions = output_height * output_width;
        Self {
            rows: output_channels as u32,
            inner_channels: input_channels as u32,
            inner_height: kernel.y as u32,
            inner_width: kernel.x as u32,
            samples: batch as u32,
            groups: batch.div_ceil(4) as u32,
            column_height: output_height as u32,
            column_width: output_width as u32,
            weight_first: 0,
            weight_row: (input_channels * geometry.area()) as u32,
            weight_channel: geometry.area() as u32,
            weight_y: kernel.x as u32,
            weight_x: 1,
            packed_first: 0,
            image_height: input_height as u32,
            image_width: input_width as u32,
            first_y: -(geometry.padding.y as i32),
            first_x: -(geometry.padding.x as i32),
            column_y: geometry.stride.y as i32,
            column_x: geometry.stride.x as i32,
            inner_y: geometry.dilation.y as i32,
            inner_x: geometry.dilation.x as i32,
            c_first: 0,
            c_sample: (output_channels * positions) as u32,
            c_row: positions as u32,
            c_y: output_width as u32,
            c_x: 1,
        }
    }

    /// The input side from the weight and the output side: a product for each stride phase of both axes.
    pub fn backward_input(convolution: &Convolution, batch: usize) -> Vec<Self> {
        let Convolution {
            geometry,
            input: [input_channels, input_height, input_width],
            output: [output_channels, output_height, output_width],
        } = *convolution;
        let (kernel, stride) = (geometry.kernel, geometry.stride);
        let (padding, dilation) = (geometry.padding, geometry.dilation);
        let input_area = input_height * input_width;
        let gemm = |y: &StridePhase, x: &StridePhase| Self {
            rows: input_channels as u32,
            inner_channels: output_channels as u32,
            inner_height: y.elements as u32,
            inner_width: x.elements as u32,
            samples: batch as u32,
            groups: batch.div_ceil(4) as u32,
            column_height: y.positions as u32,
            column_width: x.positions as u32,
            weight_first: (y.first * kernel.x + x.first) as u32,
            weight_row: geometry.area() as u32,
            weight_channel: (input_channels * geometry.area()) as u32,
            weight_y: (y.step * kernel.x) as u32,
            weight_x: x.step as u32,
            packed_first: 0,
            image_height: output_height as u32,
            image_width: output_width as u32,
            first_y: y.origin,
            first_x: x.origin,
            column_y: 1,
            column_x: 1,
            inner_y: -(y.output_step as i32),
            inner_x: -(x.output_step as i32),
            c_first: (y.start * input_width + x.start) as u32,
            c_sample: (input_channels * input_area) as u32,
            c_row: input_area as u32,
            c_y: (stride.y * input_width) as u32,
            c_x: stride.x as u32,
        };
        let along_x = stride_phases(input_width, kernel.x, stride.x, padding.x, dilation.x);
        let along_y = stride_phases(input_height, kernel.y, stride.y, padding.y, dilation.y);
        let mut gemms = Vec::with_capacity(along_y.len() * along_x.len());
        let mut packed_first = 0;
        for y in &along_y {
            for x in &along_x {
                let gemm = Self {
                    packed_first: packed_first as u32,
                    ..gemm(y, x)
                };
                packed_first += gemm.packed();
                gemms.push(gemm);
            }
        }
        gemms
    }

    /// The number of rows of the result.
    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// The number of inner indices, over which the product sums.
    fn inner(&self) -> usize {
        self.inner_height as usize * self.inner_width as usize * self.inner_channels as usize
    }

    /// The number of columns, of four samples each.
    pub fn columns(&self) -> usize {
        self.groups as usize * self.column_height as usize * self.column_width as usize
    }

    /// Vectors of the packed weight; one where the sum is empty, since a shader may load what it does not use.
    pub fn packed(&self) -> usize {
        (self.inner() * self.rows.div_ceil(4) as usize).max(1)
    }

    /// Multiplications and additions.
    pub fn flops(&self) -> f64 {
        2.0 * f64::from(self.rows) * 4.0 * self.columns() as f64 * self.inner() as f64
    }
}
