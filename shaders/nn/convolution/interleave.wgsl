// Images [sample, element] with four samples side by side: [sample / 4, element, 4], zero past the last sample. What a
// product of a convolution needs of four samples is then one vector, wherever it lies in their images.
// uses shared/grid.wgsl
// uses shared/image_loads.wgsl

struct Uniforms {
    samples: u32,
    // Of an image.
    elements: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> images: array<f32>;
@group(0) @binding(1) var<storage, read> image_vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> interleaved: array<vec4f>;
// The memory of binding 1.
@group(0) @binding(3) var batch_image: texture_storage_2d<rgba32float, read>;

fn image_vector(i: u32) -> vec4f {
    if (IMAGE_LOADS) {
        return textureLoad(batch_image, texel(i));
    }
    return image_vectors[i];
}

fn image_element(i: u32) -> f32 {
    if (IMAGE_LOADS) {
        return textureLoad(batch_image, texel(i / 4u))[i % 4u];
    }
    return images[i];
}

@compute @workgroup_size(64)
fn by_elements(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let first = 4u * (i / uniforms.elements);
    if (first >= uniforms.samples) {
        return;
    }
    var vector = vec4f(0.0);
    for (var j = 0u; j < 4u; j += 1u) {
        if (first + j < uniforms.samples) {
            vector[j] = image_element((first + j) * uniforms.elements + i % uniforms.elements);
        }
    }
    interleaved[i] = vector;
}

// Where an image's elements are whole vectors: four of them at a time.
@compute @workgroup_size(64)
fn by_vectors(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let vectors = uniforms.elements / 4u;
    let first = 4u * (i / vectors);
    if (first >= uniforms.samples) {
        return;
    }
    var rows: array<vec4f, 4>;
    for (var j = 0u; j < 4u; j += 1u) {
        let sample = min(first + j, uniforms.samples - 1u);
        let row = image_vector(sample * vectors + i % vectors);
        rows[j] = select(vec4f(0.0), row, first + j < uniforms.samples);
    }
    for (var e = 0u; e < 4u; e += 1u) {
        interleaved[4u * i + e] = vec4f(rows[0][e], rows[1][e], rows[2][e], rows[3][e]);
    }
}
