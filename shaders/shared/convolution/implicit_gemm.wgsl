// The products of a convolution that give images, as implicit GEMMs, without im2col in memory:
// C(row, column) = sum over inner of A(inner, row) B(inner, column).
//
//                     row             column                               inner                              A, B, C
//     forward         output channel  sample, position on the output side  kernel element, input channel   weight, input, output
//     backward_input  input channel   sample, position on the input side   kernel element, output channel  weight, output, input
//
// Where the elements of B and C lie is linear in positions, channels and samples, and B is zero outside of its images.
// backward_input is one product for each position modulo the stride, because each meets other elements of the kernel. The
// weight is packed: [inner, row], rows in whole vectors. B is interleaved, so a column stands for four samples.

struct ImplicitGemm {
    rows: u32,
    // Channels and size of the kernel's part that is summed over: inner = (y * inner_width + x) * inner_channels + channel.
    inner_channels: u32,
    inner_height: u32,
    inner_width: u32,
    // Samples, vectors of four of them, and positions in an image.
    samples: u32,
    groups: u32,
    column_height: u32,
    column_width: u32,

    // The weight: the first element, and from one to the next.
    weight_first: u32,
    weight_row: u32,
    weight_channel: u32,
    weight_y: u32,
    weight_x: u32,
    // Where its packed vectors start.
    packed_first: u32,

    // B: images of this size, with inner_channels channels.
    image_height: u32,
    image_width: u32,
    // y in the image = first_y + column_y * y of the column + inner_y * y of the inner index; likewise x.
    first_y: i32,
    first_x: i32,
    column_y: i32,
    column_x: i32,
    inner_y: i32,
    inner_x: i32,

    // C: the first element, and from one to the next.
    c_first: u32,
    c_sample: u32,
    c_row: u32,
    c_y: u32,
    @size(8) c_x: u32,
}

fn inner_count(gemm: ImplicitGemm) -> u32 {
    return gemm.inner_height * gemm.inner_width * gemm.inner_channels;
}

fn row_vectors(gemm: ImplicitGemm) -> u32 {
    return (gemm.rows + 3u) / 4u;
}

// An inner index.
struct Inner {
    y: u32,
    x: u32,
    channel: u32,
}

fn inner_at(gemm: ImplicitGemm, index: u32) -> Inner {
    let position = index / gemm.inner_channels;
    return Inner(position / gemm.inner_width, position % gemm.inner_width, index % gemm.inner_channels);
}

