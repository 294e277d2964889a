//! The gradient through a layer norm, as an operation that is differentiated again.

use super::layer_norm::LayerNorm;
use crate::gpu::{Binding, Dispatch, Shader, grid};
use crate::nn::operation::{
    Backward, Context, Forward, Operation, ParameterSpec, ReferenceBackward, ReferenceForward,
    ReferenceGradients, ReferenceOperation, Saved, ShapeError, elements, expect_inputs,
};
use crate::{Result, gpu_struct, shader};

static LAYER_NORM_GRADIENT: Shader = shader!("nn/ops/layer_norm_gradient.wgsl");

/// The gradient of the input of a layer norm, from that input and the gradient of the output. Parameters: the `weight` of the
/// layer norm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerNormGradient(pub LayerNorm);

gpu_struct! {
    struct LayerNormGradientUniforms in LAYER_NORM_GRADIENT::Uniforms {
        rows: u32,
        size: u32,
        epsilon: f32,
        accumulate: u32,
    }
}

/// What a kernel runs over: the rows, or so many elements.
enum Extent {
    Rows,
    Elements(usize),
}

impl LayerNormGradient {
    fn dispatch(
        &self,
        context: &Context<'_>,
        (entry, extent, accumulate): (&'static str, Extent, bool),
        shape: &[usize],
        bindings: &[(u32, Binding<'_>)],
    ) -> Dispatch {
        let gpu = context.gpu;
        let rows = self.0.rows(context.batch, shape);
        let uniform = gpu.uniform(
            "layer norm gradient",
            &LayerNormGradientUniforms {
                rows: rows as u32,
                size: elements(self.0.normalized(shape)) as u32,
                epsilon: self.0.eps,
                accumulate: accumulate.into(),
            },
        );
        let mut all = vec![(0, uniform.binding())];
        all.extend(bindings);
        match extent {
            Extent::Rows => {
                let constants = context.long_row_constants();
                let kernel = gpu.kernel(&LAYER_NORM_GRADIENT, entry, &constants);
                kernel.bind(gpu, &all, context.long_row_grid(rows))
            }
            Extent::Elements(count) => {
                let kernel = gpu.kernel(&LAYER_NORM_GRADIENT, entry, &[]);
                kernel.bind(gpu, &all, grid(count, 64))
            }
        }
    }
}

impl Operation for LayerNormGradient {
    fn kind(&self) -> &'static str {
        "layer_norm_gradient"
    }

    fn output_shape(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, ShapeError> {
        let [x, gradient] = expect_inputs(inputs, ["x", "gradient"])?;
        if elements(x) != elements(gradient) {
            return Err(ShapeError::new(
                format!("{x:?} and {gradient:?}"),
                "an input and a gradient of one size",
            ));
        }
        self.0.output_shape(&[x])
    }

    fn parameters(&self, inputs: &[&[usize]]) -> Vec<ParameterSpec> {
        let all = self.0.parameters(&inputs[..1]);
        all.into_iter().take(1).collect()
    }

    fn workspace(&self, batch: usize, inputs: &[&[usize]]) -> usize {
        8 * self.0.rows(batch, inputs[0])
    }

    fn saved(&self) -> Saved {
        Saved::INPUTS
    }

    fn forward(&self, context: &Context<'_>, io: &Forward<'_>) -> Result<Vec<Dispatch>> {
        let kernel = ("forward", Extent::Rows, false);
        let bindings = [
            (1, io.inputs[0].binding()),
            (2, io.inputs[1].binding()),
            (3, io.parameters[0].value()),
            (4, io.workspace.expect("asked for").binding()),
            (6, io.output.binding()),
        ];
        Ok(vec![self.dispatch(
            context,
            kernel,
            io.output_shape,
            &bindings,
        )])
    }

    fn backward(&self, context: &Context<'_>, io: &Backward<'_>) -> Result<Vec<Dispatch>> {
        let shape = io.output_shape;
        let count = context.batch * elements(shape);
        let x = (1, io.inputs[0].binding());
        let gradient = (2, io.inputs[1].binding());
        let weight = (3, io.parameters[0].value());
        let sums = (4, io.workspace.expect("asked for").binding());
        let upstream = (5, io.output_gradient.binding());
        let run = |kernel, bindings: &[(u32, Binding<'_>)]| {
            self.dispatch(context, kernel, shape, bindings)
        };
        let mut dispatches = vec![run(
            ("backward_sums", Extent::Rows, false),
            &[x, gradient, weight, sums, upstream],
        )];
        if io.parameter_gradients {
            let columns = Extent::Elements(elements(self.0.normalized(shape)));
            let kernel = ("backward_weight", columns, false);
            let result = (6, io.parameters[0].gradient());
            dispatches.push(run(kernel, &[x, gradient, sums, upstream, result]));
        }
        if let Some(target) = io.input_gradients[0] {
            let kernel = ("backward_input", Extent::Elements(count), target.accumulate);
            let result = (6, target.buffer.binding());
            dispatches.push(run(kernel, &[x, gradient, weight, sums, upstream, result]));
        }
        if let Some(target) = io.input_gradients[1] {
            let extent = Extent::Elements(count);
            let kernel = ("backward_gradient", extent, target.accumulate);
            let result = (6, target.buffer.binding());
            dispatches.push(run(kernel, &[x, weight, sums, upstream, result]));
        }
        Ok(dispatches)
    }

    fn reference(&self) -> Option<&dyn ReferenceOperation> {
        Some(self)
    }
}

fn mean_of_products(a: &[f64], b: &[f64]) -> f64 {
    let products = a.iter().zip(b).map(|(a, b)| a * b);
    products.sum::<f64>() / a.len() as f64
}

/// `v - mean(v) - n mean(v n)`: what a layer norm lets pass of a change, but for its scale.
fn projected(v: &[f64], n: &[f64]) -> Vec<f64> {
    let mean = v.iter().sum::<f64>() / v.len() as f64;
    let along = mean_of_products(v, n);
    v.iter().zip(n).map(|(v, n)| v - mean - n * along).collect()
}

impl LayerNormGradient {
    /// Of each row: the normalized input, its scale, and the gradient times the weight.
    fn rows<'r>(
        &'r self,
        io: &'r ReferenceForward<'_>,
    ) -> impl Iterator<Item = (Vec<f64>, f64, Vec<f64>)> + 'r {
        let weight = io.parameters[0];
        let rows = io.inputs[0].chunks(weight.len());
        rows.zip(io.inputs[1].chunks(weight.len()))
            .map(move |(x, gradient)| {
                let (mean, scale) = self.0.statistics(x);
                let normalized = x.iter().map(|x| (x - mean) * scale).collect();
                let scaled = gradient.iter().zip(weight).map(|(g, w)| g * w).collect();
                (normalized, scale, scaled)
            })
    }
}

impl ReferenceOperation for LayerNormGradient {
    fn reference_forward(&self, io: &ReferenceForward<'_>) -> Vec<f64> {
        let rows = self.rows(io);
        rows.flat_map(|(n, scale, h)| projected(&h, &n).into_iter().map(move |v| scale * v))
            .collect()
    }

    fn reference_backward(&self, io: &ReferenceBackward<'_>) -> ReferenceGradients {
        let weight = io.forward.parameters[0];
        let size = weight.len();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let [mut to_x, mut to_gradient] = [Vec::new(), Vec::new()];
        let mut to_weight = vec![0.0; size];
        let arriving = io.output_gradient.chunks(size);
        let gradients = io.forward.inputs[1].chunks(size);
        let rows = self.rows(&io.forward).zip(arriving).zip(gradients);
        for (((n, scale, h), c), gradient) in rows {
            let (of_c, of_h) = (projected(c, &n), projected(&h, &n));
            let (along_c, along_h) = (mean_of_products(c, &n), mean_of_products(&h, &n));
            let by_scale = mean_of_products(c, &h) - mean(c) * mean(&h) - along_c * along_h;
            for i in 0..size {
                let flow = scale * of_c[i];
                to_gradient.push(weight[i] * flow);
                to_weight[i] += gradient[i] * flow;
                let change = n[i] * by_scale + along_h * of_c[i] + along_c * of_h[i];
                to_x.push(-scale * scale * change);
            }
        }
        ReferenceGradients {
            inputs: vec![to_x, to_gradient],
            parameters: vec![to_weight],
        }
    }
}
