// Sets every element to one value.
// uses common/grid.wgsl

struct Parameters {
    count: u32,
    value: f32,
    padding0: u32,
    padding1: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> elements: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < parameters.count) {
        elements[i] = parameters.value;
    }
}
