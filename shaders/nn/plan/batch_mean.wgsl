// A loss term's mean over the batch, and its share of the total. Slot 0 of the scalars is the total; one
// invocation adds in a fixed order.

struct Uniforms {
    batch: u32,
    // Where the mean goes.
    slot: u32,
    weight: f32,
    // 1: the total starts here.
    first: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read_write> scalars: array<f32>;

@compute @workgroup_size(1)
fn main() {
    var sum = 0.0;
    for (var i = 0u; i < uniforms.batch; i += 1u) {
        sum += losses[i];
    }
    let mean = sum / f32(uniforms.batch);
    var total = uniforms.weight * mean;
    if (uniforms.first == 0u) {
        total += scalars[0];
    }
    scalars[uniforms.slot] = mean;
    scalars[0] = total;
}
