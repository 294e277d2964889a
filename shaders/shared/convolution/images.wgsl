// How the products that give images find what they multiply and where it goes; see product.wgsl.
// uses shared/convolution/product.wgsl

// Add bias[row].
override HAS_BIAS: bool = false;
// Add to what C holds. Constants both, because llvmpipe walks through the lanes of a load in a branch that is not taken.
override ACCUMULATE: bool = false;

// Not uniform: Mesa compiles the values of uniforms that decide branches into the kernel, anew for every dispatch, and
// keeps each copy until the end.
@group(0) @binding(0) var<storage, read> products: array<Product>;
// Bindings 1 and 2 are A and B, as the adapter reads them best.
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> c: array<f32>;

fn column_count(product: Product) -> u32 {
    return product.groups * product.column_height * product.column_width;
}

// A place of four samples: where their image starts in B, where its window starts in the image, and where the first row
// of the first sample lies in C.
struct Column {
    image: u32,
    y: i32,
    x: i32,
    first_sample: u32,
    c: u32,
}

// What lies past the last column repeats it, and must not be stored.
fn column_at(product: Product, index: u32) -> Column {
    let i = min(index, column_count(product) - 1u);
    let places = product.column_height * product.column_width;
    let group = i / places;
    let y = i % places / product.column_width;
    let x = i % product.column_width;
    return Column(
        group * product.inner_channels * product.image_height * product.image_width,
        product.first_y + product.column_y * i32(y),
        product.first_x + product.column_x * i32(x),
        4u * group,
        product.c_first + 4u * group * product.c_sample + y * product.c_y + x * product.c_x,
    );
}

// The inner index that lies `step` behind another.
fn advanced(product: Product, inner: Inner, step: Inner) -> Inner {
    var next = Inner(inner.y + step.y, inner.x + step.x, inner.channel + step.channel);
    if (next.channel >= product.inner_channels) {
        next.channel -= product.inner_channels;
        next.x += 1u;
    }
    if (next.x >= product.inner_width) {
        next.x -= product.inner_width;
        next.y += 1u;
    }
    return next;
}

// Where B(inner, column) lies, or NOWHERE where it is zero: outside of the image, or past the last inner index.
const NOWHERE: u32 = 0xffffffffu;

fn b_index(product: Product, column: Column, inner: Inner) -> u32 {
    // What is negative is large without its sign.
    let y = u32(column.y + product.inner_y * i32(inner.y));
    let x = u32(column.x + product.inner_x * i32(inner.x));
    let inside = inner.y < product.inner_height && y < product.image_height && x < product.image_width;
    let index = column.image + (inner.channel * product.image_height + y) * product.image_width + x;
    return select(NOWHERE, index, inside);
}

fn bias_of(product: Product, row: u32) -> f32 {
    if (HAS_BIAS) {
        return bias[min(row, product.rows - 1u)];
    }
    return 0.0;
}

// C(row, column) of one of the four samples.
fn store(product: Product, row: u32, column: Column, sample: u32, value: f32) {
    let at = column.c + sample * product.c_sample + row * product.c_row;
    if (ACCUMULATE) {
        c[at] += value;
    } else {
        c[at] = value;
    }
}
