// The gradient of a convolution's weight as an implicit GEMM: the row is a channel of the output side, the column a
// channel of the input side and an element of the kernel, and the sum runs over samples and positions of the output side.
// Both sides are interleaved, so that four samples at one position are one vector.

struct Gradient {
    samples_by_four: u32,
    output_channels: u32,
    output_height: u32,
    output_width: u32,
    input_channels: u32,
    input_height: u32,
    input_width: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride_y: u32,
    stride_x: u32,
    padding_y: u32,
    padding_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    // Positions that one slice sums over, a multiple of four; slice z writes the z-th matrix.
    slice: u32,
}

// Not uniform: see images.wgsl.
@group(0) @binding(0) var<storage, read> uniforms: Gradient;
// Bindings 1 and 2 are the output and the input side, as the adapter reads them best.
// [slice, row, column].
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;

fn column_count(shape: Gradient) -> u32 {
    return shape.input_channels * shape.kernel_height * shape.kernel_width;
}

fn position_count(shape: Gradient) -> u32 {
    return shape.samples_by_four * shape.output_height * shape.output_width;
}

// Four samples at one position of the output side.
struct Position {
    group: u32,
    y: u32,
    x: u32,
}

fn position_at(shape: Gradient, index: u32) -> Position {
    let row = index / shape.output_width;
    return Position(row / shape.output_height, row % shape.output_height, index % shape.output_width);
}

// The position that lies `step` after another.
fn advanced(shape: Gradient, position: Position, step: Position) -> Position {
    var next = Position(position.group + step.group, position.y + step.y, position.x + step.x);
    if (next.x >= shape.output_width) {
        next.x -= shape.output_width;
        next.y += 1u;
    }
    if (next.y >= shape.output_height) {
        next.y -= shape.output_height;
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
fn output_index(shape: Gradient, row: u32, position: Position) -> u32 {
    let channel = position.group * shape.output_channels + min(row, shape.output_channels - 1u);
    return (channel * shape.output_height + position.y) * shape.output_width + position.x;
}

// Where a column's vector lies, or NOWHERE where it is zero: outside of the images.
const NOWHERE: u32 = 0xffffffffu;

fn input_index(shape: Gradient, column: Column, position: Position) -> u32 {
    // Negative coordinates are beyond every size as unsigned numbers.
    let y = u32(i32(position.y * shape.stride_y) + column.y);
    let x = u32(i32(position.x * shape.stride_x) + column.x);
    let inside = y < shape.input_height && x < shape.input_width;
    let channel = position.group * shape.input_channels + column.channel;
    return select(NOWHERE, (channel * shape.input_height + y) * shape.input_width + x, inside);
}
