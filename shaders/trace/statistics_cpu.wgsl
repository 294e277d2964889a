// Statistics of units for adapters that run on the CPU: values come as texels.
// uses common/texels.wgsl
// uses trace/statistics.wgsl

@group(0) @binding(1) var values: texture_storage_2d<rgba32float, read>;

fn vector_at(i: u32) -> vec4f {
    return textureLoad(values, texel(i));
}

// Four elements from the i-th on, which may lie in two texels; 0 where none is present.
fn elements_at(i: u32, present: vec4<bool>) -> vec4f {
    let a = vector_at(i / 4u);
    let b = vector_at(i / 4u + 1u);
    let is_odd = (i & 1u) != 0u;
    let first = select(a, vec4f(a.yzw, b.x), is_odd);
    let second = select(b.xy, b.yz, is_odd);
    let elements = select(first, vec4f(first.zw, second), (i & 2u) != 0u);
    return select(vec4f(0.0), elements, present);
}
