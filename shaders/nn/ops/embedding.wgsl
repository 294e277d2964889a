// A row of a table for each sample's label. A label beyond the table counts as its last row.
// uses shared/grid.wgsl

struct Uniforms {
    batch: u32,
    classes: u32,
    width: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@group(0) @binding(2) var<storage, read> y_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> table_gradient: array<f32>;

fn label_of(sample: u32) -> u32 {
    return min(labels[sample], uniforms.classes - 1u);
}

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < uniforms.batch * uniforms.width) {
        let sample = i / uniforms.width;
        y[i] = table[label_of(sample) * uniforms.width + i % uniforms.width];
    }
}

// One invocation for each element of the table, along all samples: no atomics, and a fixed order.
@compute @workgroup_size(64)
fn backward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= uniforms.classes * uniforms.width) {
        return;
    }
    let class_of = i / uniforms.width;
    let column = i % uniforms.width;
    var sum = 0.0;
    for (var sample = 0u; sample < uniforms.batch; sample += 1u) {
        if (label_of(sample) == class_of) {
            sum += y_gradient[sample * uniforms.width + column];
        }
    }
    table_gradient[i] = sum;
}
