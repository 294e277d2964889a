// uses shared/grid.wgsl
// uses shared/philox.wgsl
// uses data/permutation.wgsl
// A batch in a few kernels: which sample each row holds, its label, its pixels. A workgroup copies a part of one
// row, so that the sample's number is read at one address for all lanes, which is what CPU adapters like best.

struct Uniforms {
    // The first four words are a `Permutation`.
    count: u32,
    half_bits: u32,
    seed: vec2u,
    batch: u32,
    // Values of one image.
    sample_size: u32,
    shuffle: u32,
    // Steps whose images lie in the ring, where the data set is streamed.
    ring: u32,
    height: u32,
    width: u32,
    // 1: every other image is mirrored.
    flip: u32,
    // Pixels that an image moves at most.
    shift: u32,
    // Samples that are corrupted, and the factor of their values.
    corrupted: u32,
    factor: f32,
    // What becomes of every value at the end: scale * value + shift.
    scale: f32,
    shift_by: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
// The same for kernels with loops that it bounds: Mesa compiles uniforms that bound loops into the kernel, for some values
// anew at every dispatch.
@group(0) @binding(0) var<storage, read> stored_uniforms: Uniforms;
// step, epoch, offset in the epoch, spare
@group(0) @binding(1) var<storage, read> cursor: vec4u;
// The number of each row's sample.
@group(0) @binding(2) var<storage, read_write> samples: array<u32>;
// Four bytes to a word; each image starts on a word of its own.
@group(0) @binding(3) var<storage, read> words: array<u32>;
@group(0) @binding(4) var<storage, read_write> pixels: array<f32>;
@group(0) @binding(4) var<storage, read_write> pixel_vectors: array<vec4f>;
@group(0) @binding(5) var<storage, read> all_labels: array<u32>;
@group(0) @binding(6) var<storage, read_write> labels: array<u32>;
// Where each row's image lies in `words`, and its label in `all_labels`: at the sample's number, or in the ring.
@group(0) @binding(7) var<storage, read_write> slots: array<u32>;
@group(0) @binding(8) var<storage, read> corrupted: array<u32>;
// Of each row: mirrored or not; pixels down and to the right, counted from `-shift`; the bits of a factor.
@group(0) @binding(9) var<storage, read_write> changes: array<vec4u>;

const LANES = 64u;
const AUGMENTATION_STREAM = 9u;

@compute @workgroup_size(64)
fn choose(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let uniforms = stored_uniforms;
    let row = linear_index(workgroup, workgroups, local, LANES);
    if (row >= uniforms.batch) {
        return;
    }
    // Both are at most 2^30: the sum cannot wrap.
    let position = cursor.z + row;
    let index = position % uniforms.count;
    if (uniforms.shuffle == 0u) {
        samples[row] = index;
        return;
    }
    let order = Permutation(uniforms.count, uniforms.half_bits, uniforms.seed);
    samples[row] = permuted(order, cursor.y + position / uniforms.count, index);
}

// Of a streamed data set: the images of a step lie row by row in the slot of the step in the ring.
@compute @workgroup_size(64)
fn choose_slots(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(workgroup, workgroups, local, LANES);
    if (row < uniforms.batch) {
        slots[row] = (cursor.x % uniforms.ring) * uniforms.batch + row;
    }
}

@compute @workgroup_size(64)
fn draw_changes(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let uniforms = stored_uniforms;
    let row = linear_index(workgroup, workgroups, local, LANES);
    if (row >= uniforms.batch) {
        return;
    }
    let drawn = philox(vec4u(row, cursor.x, AUGMENTATION_STREAM, 0u), uniforms.seed);
    let choices = 2u * uniforms.shift + 1u;
    var factor = 1.0;
    for (var i = 0u; i < uniforms.corrupted; i += 1u) {
        if (corrupted[i] == samples[row]) {
            factor = uniforms.factor;
        }
    }
    changes[row] = vec4u(
        drawn.x & uniforms.flip,
        drawn.y % choices,
        drawn.z % choices,
        bitcast<u32>(factor),
    );
}

@compute @workgroup_size(64)
fn gather_labels(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let row = linear_index(workgroup, workgroups, local, LANES);
    if (row < uniforms.batch) {
        labels[row] = all_labels[slots[row]];
    }
}

// A byte over 255, rounded as IEEE division rounds it. Division on a GPU may be off by a few units in the last
// place, so it goes by integers: byte / 255 is the byte repeated without end after the binary point. Its first
// four repetitions are rounded to 24 significant bits and scaled by a power of two, both exact.
fn unit_interval(bytes: vec4u) -> vec4f {
    let repeated = bytes * 0x01010101u;
    // The highest bit of each byte; 0 for the byte 0, which comes out as 0 all the same.
    let high = firstLeadingBit(max(bytes, vec4u(1u)));
    let rounded = (repeated >> (high + 1u)) + ((repeated >> high) & vec4u(1u));
    let scale = bitcast<vec4f>((high + (127u + 1u - 32u)) << vec4u(23u));
    return vec4f(rounded) * scale;
}

// A value as the model sees it. A scale of 1 and a shift of 0 change no bit.
fn scaled(value: vec4f) -> vec4f {
    return value * uniforms.scale + uniforms.shift_by;
}

// The first word of a row's image.
fn first_word(row: u32) -> u32 {
    return slots[row] * ((uniforms.sample_size + 3u) / 4u);
}

fn load_word(row: u32, word: u32) -> vec4f {
    let packed = words[first_word(row) + word];
    return scaled(unit_interval((vec4u(packed) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(0xffu)));
}

// Row and first word of a workgroup.
fn row_and_word(workgroup: vec3u, workgroups: vec3u) -> vec2u {
    let groups_per_row = ((uniforms.sample_size + 3u) / 4u + LANES - 1u) / LANES;
    let group = workgroup.y * workgroups.x + workgroup.x;
    return vec2u(group / groups_per_row, (group % groups_per_row) * LANES);
}

// For sizes that are multiples of four.
@compute @workgroup_size(64)
fn gather_vectors(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let place = row_and_word(workgroup, workgroups);
    let row = place.x;
    let word = place.y + local;
    let row_words = uniforms.sample_size / 4u;
    if (row < uniforms.batch && word < row_words) {
        pixel_vectors[row * row_words + word] = load_word(row, word);
    }
}

// For all others.
@compute @workgroup_size(64)
fn gather_scalars(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let place = row_and_word(workgroup, workgroups);
    let row = place.x;
    let first = (place.y + local) * 4u;
    if (row >= uniforms.batch || first >= uniforms.sample_size) {
        return;
    }
    let values = load_word(row, first / 4u);
    let used = min(4u, uniforms.sample_size - first);
    let start = row * uniforms.sample_size + first;
    for (var i = 0u; i < used; i += 1u) {
        pixels[start + i] = values[i];
    }
}

// For images that are mirrored, moved or corrupted: mirrored first, then moved, with zeros where nothing comes from.
@compute @workgroup_size(64)
fn gather_changed(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let place = row_and_word(workgroup, workgroups);
    let row = place.x;
    let first = (place.y + local) * 4u;
    if (row >= uniforms.batch || first >= uniforms.sample_size) {
        return;
    }
    let change = changes[row];
    let height = uniforms.height;
    let width = uniforms.width;
    let used = min(4u, uniforms.sample_size - first);
    for (var i = 0u; i < used; i += 1u) {
        let at = first + i;
        let line = at / width;
        // Left of or above the image these wrap to numbers beyond any side.
        let y = line % height + uniforms.shift - change.y;
        let x = at % width + uniforms.shift - change.z;
        var value = 0.0;
        if (y < height && x < width) {
            let column = select(x, width - 1u - x, change.x == 1u);
            let source = (line / height * height + y) * width + column;
            let byte = (words[first_word(row) + source / 4u] >> (8u * (source % 4u))) & 0xffu;
            value = unit_interval(vec4u(byte)).x * bitcast<f32>(change.w);
        }
        pixels[row * uniforms.sample_size + at] = scaled(vec4f(value)).x;
    }
}
