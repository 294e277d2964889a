//! The dispatches of the products of a convolution that give images.

use super::Target;
use super::implicit_gemm::ImplicitGemm;
use super::interleave::Interleaved;
use crate::gpu::{Binding, Dispatch, Gpu, MatmulKernel, Shader, grid};
use crate::{Result, shader};

static PACK: Shader = shader!("nn/convolution/pack.wgsl");
static CPU: Shader = shader!("nn/convolution/images_cpu.wgsl");
static GPU: Shader = shader!("nn/convolution/images_gpu.wgsl");

/// The dispatches of products that share their weight, their images and their target: the weight is packed, then all
/// products run side by side.
pub(super) fn dispatches(
    gpu: &Gpu,
    variant: MatmulKernel,
    gemms: &[ImplicitGemm],
    weight: Binding<'_>,
    images: &Interleaved,
    target: &Target<'_>,
) -> Result<[Dispatch; 2]> {
    let list = gpu.uniforms("gemms", gemms);
    let most = |count: &dyn Fn(&ImplicitGemm) -> usize| gemms.iter().map(count).max().unwrap_or(0);
    let count = gemms.len() as u32;

    let vectors: usize = gemms.iter().map(ImplicitGemm::packed).sum();
    let packed = gpu.scratch("packed weight", 4 * vectors)?;
    let [x, y, _] = grid(most(&ImplicitGemm::packed), 64);
    let bindings = [(0, list.binding()), (1, weight), (2, packed.binding())];
    let pack = gpu
        .kernel(&PACK, "main", &[])
        .bind(gpu, &bindings, [x, y, count]);

    let rows = gemms[0].rows();
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
        |gemm: &ImplicitGemm| rows.div_ceil(tile_rows) * gemm.columns().div_ceil(tile_columns);
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
    let gemm = kernel
        .bind(gpu, &bindings, [x, y, count])
        .with_flops(gemms.iter().map(ImplicitGemm::flops).sum());
    Ok([pack, gemm])
}
