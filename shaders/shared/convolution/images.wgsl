// How the products that give images find what they multiply and where it goes; see implicit_gemm.wgsl.
// uses shared/convolution/implicit_gemm.wgsl

// Add bias[row].
override HAS_BIAS: bool = false;
// Add to what C holds. Constants both, because llvmpipe walks through the lanes of a load in a branch that is not taken.
override ACCUMULATE: bool = false;

// Not uniform: Mesa compiles the values of uniforms that decide branches into the kernel, anew for every dispatch, and
// keeps each copy until the end.
@group(0) @binding(0) var<storage, read> gemms: array<ImplicitGemm>;
// Bindings 1 and 2 are A and B, as the adapter reads them best.
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn column_count(gemm: ImplicitGemm) -> u32 {
    return gemm.groups * gemm.column_height * gemm.column_width;
}

// A position of four samples: where their image starts in B, where its window starts in the image, and where the first row
// of the first sample lies in C.
struct Column {
    image: u32,
    y: i32,
    x: i32,
    first_sample: u32,
    c: u32,
}

// What lies past the last column repeats it, and must not be stored.
fn column_at(gemm: ImplicitGemm, index: u32) -> Column {
    let i = min(index, column_count(gemm) - 1u);
    let positions = gemm.column_height * gemm.column_width;
    let group = i / positions;
    let y = i % positions / gemm.column_width;
    let x = i % gemm.column_width;
    return Column(
        group * gemm.inner_channels * gemm.image_height * gemm.image_width,
        gemm.first_y + gemm.column_y * i32(y),
        gemm.first_x + gemm.column_x * i32(x),
        4u * group,
        gemm.c_first + 4u * group * gemm.c_sample + y * gemm.c_y + x * gemm.c_x,
    );
}

// The inner index that lies `step` behind another.
fn advanced(gemm: ImplicitGemm, inner: Inner, step: Inner) -> Inner {
    var next = Inner(inner.y + step.y, inner.x + step.x, inner.channel + step.channel);
    if (next.channel >= gemm.inner_channels) {
        next.channel -= gemm.inner_channels;
        next.x += 1u;
    }
    if (next.x >= gemm.inner_width) {
        next.x -= gemm.inner_width;
        next.y += 1u;
    }
    return next;
}

// Where B(inner, column) lies, or NOWHERE where it is zero: outside of the image, or past the last inner index.
const NOWHERE: u32 = 0xffffffffu;

fn b_index(gemm: ImplicitGemm, column: Column, inner: Inner) -> u32 {
    // Negative coordinates are beyond every size as unsigned numbers.
    let y = u32(column.y + gemm.inner_y * i32(inner.y));
    let x = u32(column.x + gemm.inner_x * i32(inner.x));
    let inside = inner.y < gemm.inner_height && y < gemm.image_height && x < gemm.image_width;
    let index = column.image + (inner.channel * gemm.image_height + y) * gemm.image_width + x;
    return select(NOWHERE, index, inside);
}

fn bias_of(gemm: ImplicitGemm, row: u32) -> f32 {
    if (HAS_BIAS) {
        return bias[min(row, gemm.rows - 1u)];
    }
    return 0.0;
}

// C(row, column) of one of the four samples.
fn store(gemm: ImplicitGemm, row: u32, column: Column, sample: u32, value: f32) {
    let at = column.c + sample * gemm.c_sample + row * gemm.c_row;
    if (ACCUMULATE) {
        c[at] += value;
    } else {
        c[at] = value;
    }
}
