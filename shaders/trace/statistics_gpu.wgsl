// Statistics of units for GPUs: values come from a buffer.
// uses trace/statistics.wgsl

@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> value_vectors: array<vec4f>;

fn vector_at(i: u32) -> vec4f {
    return value_vectors[i];
}

// Four elements from the i-th on, 0 where none is present.
fn elements_at(i: u32, present: vec4<bool>) -> vec4f {
    var elements = vec4f(0.0);
    for (var c = 0u; c < 4u; c += 1u) {
        if (present[c]) {
            elements[c] = values[i + c];
        }
    }
    return elements;
}
