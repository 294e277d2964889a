// A row of a table for each sample's label. A label beyond the table counts as its last row.
// uses shared/grid.wgsl

struct Parameters {
    batch: u32,
    classes: u32,
    width: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@group(0) @binding(2) var<storage, read> y_gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> table_gradient: array<f32>;

fn label_of(sample: u32) -> u32 {
    return min(labels[sample], parameters.classes - 1u);
}

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < parameters.batch * parameters.width) {
        let sample = i / parameters.width;
        y[i] = table[label_of(sample) * parameters.width + i % parameters.width];
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
    if (i >= parameters.classes * parameters.width) {
        return;
    }
    let class_of = i / parameters.width;
    let column = i % parameters.width;
    var sum = 0.0;
    for (var sample = 0u; sample < parameters.batch; sample += 1u) {
        if (label_of(sample) == class_of) {
            sum += y_gradient[sample * parameters.width + column];
        }
    }
    table_gradient[i] = sum;
}
