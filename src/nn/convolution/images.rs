//! The products of a convolution that give images.

use super::interleave::Interleaved;
use super::{Convolution, Target};
use crate::gpu::{Binding, Dispatch, Gpu, MatmulKernel, Shader, grid};
use crate::{Result, gpu_struct, shader};

static PACK: Shader = shader!("nn/convolution/pack.wgsl");
static CPU: Shader = shader!("nn/convolution/images_cpu.wgsl");
static GPU: Shader = shader!("nn/convolution/images_gpu.wgsl");

gpu_struct! {
    pub(super) struct Product in CPU::Product {
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

/// Along one axis, the places of the large side that are equal modulo the stride, and the elements of the kernel that
/// bring them to places of the small side.
struct Phase {
    /// The first of these places.
    start: usize,
    /// How many there are.
    places: usize,
    /// The first such element of the kernel.
    first: usize,
    /// From one to the next.
    step: usize,
    /// How many there are.
    taps: usize,
    /// Where the first element brings the first place, and how far back each further element does.
    origin: i32,
    hop: usize,
}

/// The phases of an axis: place = stride x small place + dilation x element - padding.
fn phases(
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Vec<Phase> {
    let common = greatest_common_divisor(stride, dilation);
    let (step, hop) = (stride / common, dilation / common);
    let phase = |start: usize| {
        let reach = |element: usize| (start + padding) as i64 - (element * dilation) as i64;
        let first = (0..step.min(kernel)).find(|&k| reach(k).rem_euclid(stride as i64) == 0);
        Phase {
            start,
            places: (size - start).div_ceil(stride),
            first: first.unwrap_or(0),
            step,
            taps: first.map_or(0, |first| (kernel - first).div_ceil(step)),
            origin: (reach(first.unwrap_or(0)).div_euclid(stride as i64)) as i32,
            hop,
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

impl Product {
    /// Small side from weight and large side.
    pub fn to_small(convolution: &Convolution, batch: usize) -> Self {
        let Convolution {
            geometry,
            large: [large_channels, large_height, large_width],
            small: [small_channels, small_height, small_width],
        } = *convolution;
        let kernel = geometry.kernel;
        let places = small_height * small_width;
        Self {
            rows: small_channels as u32,
            inner_channels: large_channels as u32,
            inner_height: kernel.y as u32,
            inner_width: kernel.x as u32,
            samples: batch as u32,
            groups: batch.div_ceil(4) as u32,
            column_height: small_height as u32,
            column_width: small_width as u32,
            weight_first: 0,
            weight_row: (large_channels * geometry.area()) as u32,
            weight_channel: geometry.area() as u32,
            weight_y: kernel.x as u32,
            weight_x: 1,
            packed_first: 0,
            image_height: large_height as u32,
            image_width: large_width as u32,
            first_y: -(geometry.padding.y as i32),
            first_x: -(geometry.padding.x as i32),
            column_y: geometry.stride.y as i32,
            column_x: geometry.stride.x as i32,
            inner_y: geometry.dilation.y as i32,
            inner_x: geometry.dilation.x as i32,
            c_first: 0,
            c_sample: (small_channels * places) as u32,
            c_row: places as u32,
            c_y: small_width as u32,
            c_x: 1,
        }
    }

    /// Large side from weight and small side: a product for each place modulo the stride.
    pub fn to_large(convolution: &Convolution, batch: usize) -> Vec<Self> {
        let Convolution {
            geometry,
            large: [large_channels, large_height, large_width],
            small: [small_channels, small_height, small_width],
        } = *convolution;
        let (kernel, stride) = (geometry.kernel, geometry.stride);
        let (padding, dilation) = (geometry.padding, geometry.dilation);
        let large_area = large_height * large_width;
        let product = |y: &Phase, x: &Phase| Self {
            rows: large_channels as u32,
            inner_channels: small_channels as u32,
            inner_height: y.taps as u32,
            inner_width: x.taps as u32,
            samples: batch as u32,
            groups: batch.div_ceil(4) as u32,
            column_height: y.places as u32,
            column_width: x.places as u32,
            weight_first: (y.first * kernel.x + x.first) as u32,
            weight_row: geometry.area() as u32,
            weight_channel: (large_channels * geometry.area()) as u32,
            weight_y: (y.step * kernel.x) as u32,
            weight_x: x.step as u32,
            packed_first: 0,
            image_height: small_height as u32,
            image_width: small_width as u32,
            first_y: y.origin,
            first_x: x.origin,
            column_y: 1,
            column_x: 1,
            inner_y: -(y.hop as i32),
            inner_x: -(x.hop as i32),
            c_first: (y.start * large_width + x.start) as u32,
            c_sample: (large_channels * large_area) as u32,
            c_row: large_area as u32,
            c_y: (stride.y * large_width) as u32,
            c_x: stride.x as u32,
        };
        let along_x = phases(large_width, kernel.x, stride.x, padding.x, dilation.x);
        let along_y = phases(large_height, kernel.y, stride.y, padding.y, dilation.y);
        let mut products = Vec::with_capacity(along_y.len() * along_x.len());
        let mut packed_first = 0;
        for y in &along_y {
            for x in &along_x {
                let product = Self {
                    packed_first: packed_first as u32,
                    ..product(y, x)
                };
                packed_first += product.packed();
                products.push(product);
            }
        }
        products
    }

    /// Inner indices.
    fn inner(&self) -> usize {
        self.inner_height as usize * self.inner_width as usize * self.inner_channels as usize
    }

    /// Columns, of four samples each.
    fn columns(&self) -> usize {
        self.groups as usize * self.column_height as usize * self.column_width as usize
    }

    /// Vectors of the packed weight; one where there is nothing to add up, since a shader may load what it drops.
    pub fn packed(&self) -> usize {
        (self.inner() * self.rows.div_ceil(4) as usize).max(1)
    }

    fn flops(&self) -> f64 {
        2.0 * f64::from(self.rows) * 4.0 * self.columns() as f64 * self.inner() as f64
    }
}

/// The dispatches of products that share their weight, their images and their target: the weight is packed, then all
/// products run side by side.
pub(super) fn dispatches(
    gpu: &Gpu,
    variant: MatmulKernel,
    products: &[Product],
    weight: Binding<'_>,
    images: &Interleaved,
    target: &Target<'_>,
) -> Result<[Dispatch; 2]> {
    let list = gpu.uniforms("products", products);
    let most = |count: &dyn Fn(&Product) -> usize| products.iter().map(count).max().unwrap_or(0);
    let count = products.len() as u32;

    let vectors: usize = products.iter().map(Product::packed).sum();
    let packed = gpu.scratch("packed weight", 4 * vectors)?;
    let [x, y, _] = grid(most(&Product::packed), 64);
    let bindings = [(0, list.binding()), (1, weight), (2, packed.binding())];
    let pack = gpu
        .kernel(&PACK, "main", &[])
        .bind(gpu, &bindings, [x, y, count]);

    let rows = products[0].rows as usize;
    let flag = |set: bool| f64::from(u8::from(set));
    let ends = [
        ("HAS_BIAS", flag(target.bias.is_some())),
        ("ACCUMULATE", flag(target.accumulate)),
    ];
    let (kernel, [tile_rows, tile_columns]) = match variant {
        MatmulKernel::Subgroup { lanes } => {
            let lane_rows = variant.lane_rows(rows);
            let tile = [("LANES", f64::from(lanes)), ("ROWS", f64::from(lane_rows))];
            let kernel = gpu.kernel(&CPU, "main", &[&ends[..], &tile].concat());
            (kernel, [(lane_rows * lanes) as usize, lanes as usize])
        }
        MatmulKernel::Tiled => (gpu.kernel(&GPU, "main", &ends), [64, 16]),
    };
    let tiles =
        |product: &Product| rows.div_ceil(tile_rows) * product.columns().div_ceil(tile_columns);
    let [x, y, _] = grid(most(&tiles), 1);
    // Without a bias the binding still needs a buffer that the product does not write.
    let bias = match &target.bias {
        Some(bias) => bias.value(),
        None => packed.binding(),
    };
    let bindings = [
        (0, list.binding()),
        (1, variant.operand(packed.binding())),
        (2, variant.operand(images.0.binding())),
        (3, bias),
        (4, target.images.binding()),
    ];
    let product = kernel
        .bind(gpu, &bindings, [x, y, count])
        .with_flops(products.iter().map(Product::flops).sum());
    Ok([pack, product])
}
