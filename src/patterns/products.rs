//! Direct dot products of windows: a few queries with all windows of each series.

use super::windows::Windows;
use crate::gpu::{Binding, Buffer, Gpu, Shader, groups};
use crate::{Result, gpu_struct, shader};

static PRODUCTS: Shader = shader!("patterns/products.wgsl");

gpu_struct! {
    struct ProductsUniforms in PRODUCTS::Uniforms {
        series_quads: u32,
        window_quads: u32,
        query_quads: u32,
        queries: u32,
        query_stride: u32,
    }
}

/// Series on the GPU, with what their windows are normalized by. All are equally long.
#[derive(Debug)]
pub(super) struct WindowsOnGpu<'a> {
    gpu: &'a Gpu,
    lines: usize,
    series: Buffer<[f32; 4]>,
    /// Means and factors of four windows each.
    scales: Buffer<[f32; 4]>,
    series_quads: usize,
    /// Four windows each, of a series.
    pub window_quads: usize,
    query_quads: usize,
}

/// Bytes of a series and its windows on the GPU.
pub(super) fn bytes_of_series(steps: usize, length: usize) -> usize {
    size_of::<f32>() * (3 * steps + 2 * length + 16)
}

impl<'a> WindowsOnGpu<'a> {
    /// Uploads them.
    ///
    /// # Errors
    /// The adapter has no room.
    pub fn new(gpu: &'a Gpu, lines: &[&Windows]) -> Result<Self> {
        let (count, length) = lines
            .first()
            .map_or((1, 1), |windows| (windows.count(), windows.length));
        let window_quads = count.div_ceil(4);
        let query_quads = length.div_ceil(4);
        // The last windows read up to two vectors beyond their queries.
        let series_quads = window_quads + query_quads + 1;
        let mut series = Vec::with_capacity(lines.len() * series_quads);
        let mut scales = Vec::with_capacity(lines.len() * 2 * window_quads);
        for windows in lines {
            series.extend((0..series_quads).map(|quad| quad_of(&windows.values, quad)));
            let means: Vec<f32> = windows.means.iter().map(|&mean| mean as f32).collect();
            let factors: Vec<f32> = windows.norms.iter().map(|&norm| factor(norm)).collect();
            let pair = |quad| [quad_of(&means, quad), quad_of(&factors, quad)];
            scales.extend((0..window_quads).flat_map(pair));
        }
        Ok(Self {
            gpu,
            lines: lines.len(),
            series: gpu.upload("series", &series)?,
            scales: gpu.upload("windows", &scales)?,
            series_quads,
            window_quads,
            query_quads,
        })
    }

    /// Windows of mean 0 and norm 1 as they are compared with; `[.., query_quads]`.
    pub fn queries<'b>(
        &self,
        queries: impl Iterator<Item = Option<(&'b Windows, usize)>>,
    ) -> Result<Buffer<[f32; 4]>> {
        let mut quads = Vec::new();
        for query in queries {
            let values: Vec<f32> = match query {
                Some((windows, start)) => windows.normalized(start).map(|v| v as f32).collect(),
                None => Vec::new(),
            };
            quads.extend((0..self.query_quads).map(|quad| quad_of(&values, quad)));
        }
        self.gpu.upload("queries", &quads)
    }

    /// The correlations `[lines, queries, 4 * window_quads]` of each window with `count` queries of its series, or with the
    /// same ones for all.
    ///
    /// # Errors
    /// The adapter has no room.
    pub fn correlations(
        &self,
        queries: &Buffer<[f32; 4]>,
        count: usize,
        is_shared: bool,
    ) -> Result<Buffer<[f32; 4]>> {
        let gpu = self.gpu;
        let found = gpu.buffer("correlations", self.lines * count * self.window_quads)?;
        let uniform = gpu.uniform(
            "products",
            &ProductsUniforms {
                series_quads: self.series_quads as u32,
                window_quads: self.window_quads as u32,
                query_quads: self.query_quads as u32,
                queries: count as u32,
                query_stride: if is_shared { 0 } else { count as u32 },
            },
        );
        let bindings: [(u32, Binding<'_>); 7] = [
            (0, uniform.binding()),
            (1, self.series.binding()),
            (2, self.series.binding().as_image()),
            (3, self.scales.binding()),
            (4, queries.binding()),
            (5, queries.binding().as_image()),
            (6, found.binding()),
        ];
        let workgroups = [
            groups(self.window_quads.div_ceil(2), 64),
            count as u32,
            self.lines as u32,
        ];
        let kernel = gpu.kernel(&PRODUCTS, "main", &[gpu.profile().image_loads_constant()]);
        let products = 4 * self.lines * count * self.window_quads * self.query_quads;
        let dispatch = kernel.bind(gpu, &bindings, workgroups);
        let dispatch = dispatch.with_flops(8.0 * products as f64);
        gpu.run("products of windows", [&dispatch]);
        Ok(found)
    }
}

/// What deviations are multiplied by, so that their norm is 1.
fn factor(norm: f64) -> f32 {
    if norm > 0.0 { (1.0 / norm) as f32 } else { 0.0 }
}

/// The `quad`-th four values, zeros past the end.
pub(super) fn quad_of<T: Copy + Default>(values: &[T], quad: usize) -> [T; 4] {
    std::array::from_fn(|k| values.get(4 * quad + k).copied().unwrap_or_default())
}
