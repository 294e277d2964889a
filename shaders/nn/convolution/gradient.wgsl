// The gradient of a convolution's weight as a matrix product without unfolded patches: the row is a channel of the small
// side, the column a channel of the large side and a place in the kernel, and the sum runs over samples and places of the
// small side. Both sides are interleaved, so that four samples at one place are one vector.

struct Gradient {
    samples_by_four: u32,
    small_channels: u32,
    small_height: u32,
    small_width: u32,
    large_channels: u32,
    large_height: u32,
    large_width: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    // Places that one slice sums over, a multiple of four; slice z writes the z-th matrix.
    slice: u32,
}

// Not uniform: see images.wgsl.
@group(0) @binding(0) var<storage, read> parameters: Gradient;
@group(0) @binding(1) var<storage, read> small: array<vec4f>;
@group(0) @binding(2) var<storage, read> large: array<vec4f>;
// [slice, row, column].
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

fn column_count() -> u32 {
    return parameters.large_channels * parameters.kernel_height * parameters.kernel_width;
}

fn place_count() -> u32 {
    return parameters.samples_by_four * parameters.small_height * parameters.small_width;
}

// Four samples at one place of the small side.
struct Place {
    group: u32,
    y: u32,
    x: u32,
}

fn place_at(index: u32) -> Place {
    let row = index / parameters.small_width;
    return Place(row / parameters.small_height, row % parameters.small_height, index % parameters.small_width);
}

// The place that lies `step` behind another.
fn advanced(place: Place, step: Place) -> Place {
    var next = Place(place.group + step.group, place.y + step.y, place.x + step.x);
    if (next.x >= parameters.small_width) {
        next.x -= parameters.small_width;
        next.y += 1u;
    }
    if (next.y >= parameters.small_height) {
        next.y -= parameters.small_height;
        next.group += 1u;
    }
    return next;
}

// A column: its channel, and how far its element of the kernel lies from a window's start, padding taken off.
struct Column {
    channel: u32,
    y: i32,
    x: i32,
}

// What lies past the last column repeats it, and must not be stored.
fn column_at(index: u32) -> Column {
    let i = min(index, column_count() - 1u);
    let row = i / parameters.kernel_width;
    let y = row % parameters.kernel_height * parameters.dilation_y;
    let x = i % parameters.kernel_width * parameters.dilation_x;
    return Column(row / parameters.kernel_height, i32(y) - i32(parameters.padding_y), i32(x) - i32(parameters.padding_x));
}

// What lies past the last row repeats it, and must not be stored.
fn small_vector(row: u32, place: Place, present: bool) -> vec4f {
    let channel = place.group * parameters.small_channels + min(row, parameters.small_channels - 1u);
    let index = (channel * parameters.small_height + place.y) * parameters.small_width + place.x;
    return select(vec4f(0.0), small[select(0u, index, present)], present);
}

// Zero outside of the images.
fn large_vector(column: Column, place: Place, present: bool) -> vec4f {
    // What is negative is large without its sign.
    let y = u32(i32(place.y * parameters.stride_y) + column.y);
    let x = u32(i32(place.x * parameters.stride_x) + column.x);
    let inside = present && y < parameters.large_height && x < parameters.large_width;
    let channel = place.group * parameters.large_channels + column.channel;
    let index = (channel * parameters.large_height + y) * parameters.large_width + x;
    return select(vec4f(0.0), large[select(0u, index, inside)], inside);
}

