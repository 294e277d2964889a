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
@group(0) @binding(0) var<storage, read> uniforms: Gradient;
// Bindings 1 and 2 are the small and the large side, as the adapter reads them best.
// [slice, row, column].
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

fn column_count(shape: Gradient) -> u32 {
    return shape.large_channels * shape.kernel_height * shape.kernel_width;
}

fn place_count(shape: Gradient) -> u32 {
    return shape.samples_by_four * shape.small_height * shape.small_width;
}

// Four samples at one place of the small side.
struct Place {
    group: u32,
    y: u32,
    x: u32,
}

fn place_at(shape: Gradient, index: u32) -> Place {
    let row = index / shape.small_width;
    return Place(row / shape.small_height, row % shape.small_height, index % shape.small_width);
}

// The place that lies `step` behind another.
fn advanced(shape: Gradient, place: Place, step: Place) -> Place {
    var next = Place(place.group + step.group, place.y + step.y, place.x + step.x);
    if (next.x >= shape.small_width) {
        next.x -= shape.small_width;
        next.y += 1u;
    }
    if (next.y >= shape.small_height) {
        next.y -= shape.small_height;
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
fn column_at(shape: Gradient, index: u32) -> Column {
    let i = min(index, column_count(shape) - 1u);
    let row = i / shape.kernel_width;
    let y = row % shape.kernel_height * shape.dilation_y;
    let x = i % shape.kernel_width * shape.dilation_x;
    return Column(row / shape.kernel_height, i32(y) - i32(shape.padding_y), i32(x) - i32(shape.padding_x));
}

// Where a row's vector lies. What lies past the last row repeats it, and must not be stored.
fn small_index(shape: Gradient, row: u32, place: Place) -> u32 {
    let channel = place.group * shape.small_channels + min(row, shape.small_channels - 1u);
    return (channel * shape.small_height + place.y) * shape.small_width + place.x;
}

// Where a column's vector lies, or NOWHERE where it is zero: outside of the images.
const NOWHERE: u32 = 0xffffffffu;

fn large_index(shape: Gradient, column: Column, place: Place) -> u32 {
    // What is negative is large without its sign.
    let y = u32(i32(place.y * shape.stride_y) + column.y);
    let x = u32(i32(place.x * shape.stride_x) + column.x);
    let inside = y < shape.large_height && x < shape.large_width;
    let channel = place.group * shape.large_channels + column.channel;
    return select(NOWHERE, (channel * shape.large_height + y) * shape.large_width + x, inside);
}
