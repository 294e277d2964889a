// The sine of every element, times a frequency (Sitzmann et al. 2020), and its gradient.
// uses shared/grid.wgsl

struct Uniforms {
    elements: u32,
    // Another consumer of x has written its gradient before: add.
    accumulate: u32,
    frequency: f32,
    unused: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> y_gradient: array<f32>;
@group(0) @binding(4) var<storage, read_write> x_gradient: array<f32>;

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.elements) {
        y[i] = sin(uniforms.frequency * x[i]);
    }
}

@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.elements) {
        let before = select(0.0, x_gradient[i], uniforms.accumulate == 1u);
        let slope = uniforms.frequency * cos(uniforms.frequency * x[i]);
        x_gradient[i] = before + slope * y_gradient[i];
    }
}
