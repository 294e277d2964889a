// What turns a convolution into a matrix product, and back: `unfold` lays every patch of the large side out as a column,
// `fold` adds the columns up again where they came from. With a kernel of 1 they only change the order of the axes,
// from [sample, channel, place] to [channel, sample and place] and back.
//
// The large side is the input of a convolution and the output of a transposed one; the small side has one place for
// each patch. Columns come four at a time; what is left over of the last four is zero.
// uses common/grid.wgsl

override KERNEL_Y: i32 = 1;
override KERNEL_X: i32 = 1;
override STRIDE_Y: i32 = 1;
override STRIDE_X: i32 = 1;
override PADDING_Y: i32 = 0;
override PADDING_X: i32 = 0;
override DILATION_Y: i32 = 1;
override DILATION_X: i32 = 1;

struct Parameters {
    large_height: u32,
    large_width: u32,
    small_height: u32,
    small_width: u32,
    // Of the large side.
    channels: u32,
    // Of the batch, and how many of it.
    first_sample: u32,
    samples: u32,
    // Columns / 4.
    column_vectors: u32,
    // Rows of the matrix: a multiple of four, at least channels * kernel.
    rows: u32,
    // Channels that one invocation does.
    slab: u32,
    // fold: 1 adds to what the images hold; 1 adds bias[channel].
    accumulate: u32,
    has_bias: u32,
}

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> images: array<f32>;
@group(0) @binding(2) var<storage, read_write> columns: array<vec4f>;

@group(0) @binding(1) var<storage, read> folded_from: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> folded: array<f32>;

@compute @workgroup_size(64)
fn unfold(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let vector = i % parameters.column_vectors;
    let first_channel = (i / parameters.column_vectors) * parameters.slab;
    if (first_channel >= parameters.channels) {
        return;
    }
    let end_channel = min(first_channel + parameters.slab, parameters.channels);
    let height = i32(parameters.large_height);
    let width = i32(parameters.large_width);
    let area = parameters.large_height * parameters.large_width;
    let small_area = parameters.small_height * parameters.small_width;

    // Sample and place of the first column; the other three follow it.
    var sample = 4u * vector / small_area;
    let place = 4u * vector % small_area;
    var small_y = place / parameters.small_width;
    var small_x = place % parameters.small_width;
    var start: vec4u;
    var y0: vec4i;
    var x0: vec4i;
    var present: vec4<bool>;
    for (var j = 0u; j < 4u; j += 1u) {
        present[j] = sample < parameters.samples;
        start[j] = (parameters.first_sample + sample) * parameters.channels * area;
        y0[j] = i32(small_y) * STRIDE_Y - PADDING_Y;
        x0[j] = i32(small_x) * STRIDE_X - PADDING_X;
        small_x += 1u;
        if (small_x == parameters.small_width) {
            small_x = 0u;
            small_y += 1u;
        }
        if (small_y == parameters.small_height) {
            small_y = 0u;
            sample += 1u;
        }
    }

    var row = first_channel * u32(KERNEL_Y * KERNEL_X);
    for (var channel = first_channel; channel < end_channel; channel += 1u) {
        let plane = start + channel * area;
        for (var ky = 0; ky < KERNEL_Y; ky += 1) {
            let y = y0 + ky * DILATION_Y;
            let y_inside = present & (y >= vec4i(0)) & (y < vec4i(height));
            for (var kx = 0; kx < KERNEL_X; kx += 1) {
                let x = x0 + kx * DILATION_X;
                let inside = y_inside & (x >= vec4i(0)) & (x < vec4i(width));
                let at = select(vec4u(0u), plane + vec4u(y * width + x), inside);
                let found = vec4f(images[at.x], images[at.y], images[at.z], images[at.w]);
                columns[row * parameters.column_vectors + vector] = select(vec4f(0.0), found, inside);
                row += 1u;
            }
        }
    }
    if (end_channel == parameters.channels) {
        for (; row < parameters.rows; row += 1u) {
            columns[row * parameters.column_vectors + vector] = vec4f(0.0);
        }
    }
}

@compute @workgroup_size(64)
fn fold(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    let area = parameters.large_height * parameters.large_width;
    let places = parameters.samples * area;
    let first_channel = (i / places) * parameters.slab;
    if (first_channel >= parameters.channels) {
        return;
    }
    let end_channel = min(first_channel + parameters.slab, parameters.channels);
    let sample = i % places / area;
    let place = i % area;
    let y = i32(place / parameters.large_width);
    let x = i32(place % parameters.large_width);
    let height = i32(parameters.small_height);
    let width = i32(parameters.small_width);
    let stride = 4u * parameters.column_vectors;
    let first_column = i32(sample * parameters.small_height * parameters.small_width);

    // Without dilation only every STRIDE-th element of the kernel meets a place of the small side.
    let first_ky = select(0, (y + PADDING_Y) % STRIDE_Y, DILATION_Y == 1);
    let first_kx = select(0, (x + PADDING_X) % STRIDE_X, DILATION_X == 1);
    let step_y = select(1, STRIDE_Y, DILATION_Y == 1);
    let step_x = select(1, STRIDE_X, DILATION_X == 1);

    for (var channel = first_channel; channel < end_channel; channel += 1u) {
        let first_row = channel * u32(KERNEL_Y * KERNEL_X);
        var sum = 0.0;
        // Counted from 0, so that the number of rounds is the same everywhere.
        for (var i = 0; i < KERNEL_Y; i += step_y) {
            let ky = first_ky + i;
            let from_y = y + PADDING_Y - ky * DILATION_Y;
            let small_y = from_y / STRIDE_Y;
            let y_meets =
                ky < KERNEL_Y && from_y >= 0 && small_y * STRIDE_Y == from_y && small_y < height;
            for (var j = 0; j < KERNEL_X; j += step_x) {
                let kx = first_kx + j;
                let from_x = x + PADDING_X - kx * DILATION_X;
                let small_x = from_x / STRIDE_X;
                let x_meets =
                    kx < KERNEL_X && from_x >= 0 && small_x * STRIDE_X == from_x && small_x < width;
                if (y_meets && x_meets) {
                    let row = first_row + u32(ky * KERNEL_X + kx);
                    sum += folded_from[row * stride + u32(first_column + small_y * width + small_x)];
                }
            }
        }
        if (parameters.has_bias != 0u) {
            sum += bias[channel];
        }
        let at = ((parameters.first_sample + sample) * parameters.channels + channel) * area + place;
        if (parameters.accumulate != 0u) {
            sum += folded[at];
        }
        folded[at] = sum;
    }
}

// The same two with a kernel of 1 where an image's places are whole vectors: whole vectors change places.
@group(0) @binding(1) var<storage, read> image_vectors: array<vec4f>;
@group(0) @binding(1) var<storage, read> column_vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> folded_vectors: array<vec4f>;

// Where invocation i finds its vector: channel, place in the row of columns, and place among the images.
fn channel_column_image(i: u32) -> vec3u {
    let plane = parameters.large_height * parameters.large_width / 4u;
    let channel = i / parameters.column_vectors;
    let column = i % parameters.column_vectors;
    let sample = parameters.first_sample + column / plane;
    let image = (sample * parameters.channels + channel) * plane + column % plane;
    return vec3u(channel, column, image);
}

@compute @workgroup_size(64)
fn to_channels(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i < parameters.channels * parameters.column_vectors) {
        columns[i] = image_vectors[channel_column_image(i).z];
    }
}

@compute @workgroup_size(64)
fn to_samples(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let i = linear_index(workgroup, workgroups, local, 64u);
    if (i >= parameters.channels * parameters.column_vectors) {
        return;
    }
    let place = channel_column_image(i);
    var vector = column_vectors[i];
    if (parameters.has_bias != 0u) {
        vector += bias[place.x];
    }
    if (parameters.accumulate != 0u) {
        vector += folded_vectors[place.z];
    }
    folded_vectors[place.z] = vector;
}
