// Statistics of units: mean, standard deviation, least, greatest, fraction of zeros, number of non-finite values.
// Non-finite values are recognized by their bits, counted, and left out of everything else.
//
// Values are taken four at a time. A "target" is what an invocation works for, an "item" is what it loops over:
//   units are rows    (weights):     a target is one unit, an item four consecutive values of it;
//   units are channels (images):     a target is one unit, an item four consecutive pixels of an image;
//   units are columns (activations): a target is four neighboring units, an item one row.
// On a CPU adapter one invocation does a target alone (LANES 1), and groups are small, so that all cores have some; on
// a GPU several lanes share a target's items and are merged in a fixed order.
//
// One pass over memory, numerically sound: sums of a block of items are taken around a value near their mean, and
// blocks, lanes and components are merged by the update of Chan, Golub and LeVeque ("Updating formulae and a
// pairwise algorithm for computing sample variances", 1979).
// uses shared/image_loads.wgsl

override LANES: u32 = 1u;
override TARGETS: u32 = 8u;
// How many matrices there are; 0: as many as workgroup_targets lists. What lies at fixed addresses llvmpipe loads once for
// all lanes.
override MATRICES: u32 = 0u;
// Buffers that they lie in: 1 or 2.
override SOURCES: u32 = 1u;

const BLOCK = 32u;
// Items that a loop takes at once, without a branch between them; a divisor of BLOCK.
const GROUP = 4u;
const LARGEST = 3.4028234e38;

// A matrix whose units are measured; a dispatch takes several of them, side by side.
struct Matrix {
    // Which of the buffers it lies in, and its first element there.
    source: u32,
    start: u32,
    targets: u32,
    items: u32,
    // Elements between neighboring targets and items.
    target_stride: u32,
    item_stride: u32,
    // Four times the position (of the target for columns, of the item within its unit or image else) plus the component stays below.
    limit: u32,
    units: u32,
    first_row: u32,
    not_a_number: u32,
    // Items of one span (an image's channel, else all), and elements from one span to the next.
    span: u32,
    span_stride: u32,
    // Elements from the end of one span to the start of the next.
    span_skip: u32,
    // 1: units are columns.
    @size(12) columns: u32,
}

@group(0) @binding(0) var<storage, read> matrices: array<Matrix>;
// Of each workgroup: the matrix, and the first of TARGETS targets in it.
@group(0) @binding(4) var<storage, read> workgroup_targets: array<vec2u>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> value_vectors: array<vec4f>;
@group(0) @binding(5) var<storage, read> other_values: array<f32>;
@group(0) @binding(5) var<storage, read> other_vectors: array<vec4f>;
// The same memory.
@group(0) @binding(3) var value_image: texture_storage_2d<rgba32float, read>;
@group(0) @binding(6) var other_image: texture_storage_2d<rgba32float, read>;
// The bits of [rows, 6] floats.
@group(0) @binding(2) var<storage, read_write> statistics: array<u32>;

fn is_in_other() -> bool {
    return SOURCES == 2u && matrix.source == 1u;
}

fn load_image(i: u32) -> vec4f {
    let vector = textureLoad(value_image, texel(i));
    if (SOURCES == 2u) {
        // llvmpipe takes both ways of every branch.
        return select(vector, textureLoad(other_image, texel(i)), matrix.source == 1u);
    }
    return vector;
}

fn vector_at(i: u32) -> vec4f {
    if (IMAGE_LOADS) {
        return load_image(i);
    }
    if (is_in_other()) {
        return other_vectors[i];
    }
    return value_vectors[i];
}

// Four elements from the i-th on, 0 where none is present.
fn elements_at(i: u32, present: vec4<bool>) -> vec4f {
    var elements = vec4f(0.0);
    if (IMAGE_LOADS) {
        // They may lie in two vectors.
        let a = load_image(i / 4u);
        let b = load_image(i / 4u + 1u);
        let is_odd = (i & 1u) != 0u;
        let first = select(a, vec4f(a.yzw, b.x), is_odd);
        let second = select(b.xy, b.yz, is_odd);
        elements = select(first, vec4f(first.zw, second), (i & 2u) != 0u);
        return select(vec4f(0.0), elements, present);
    }
    for (var c = 0u; c < 4u; c += 1u) {
        if (present[c] && is_in_other()) {
            elements[c] = other_values[i + c];
        } else if (present[c]) {
            elements[c] = values[i + c];
        }
    }
    return elements;
}

// That of this workgroup.
var<private> matrix: Matrix;

struct Moments {
    count: vec4f,
    mean: vec4f,
    // Sum of squared deviations from the mean.
    spread: vec4f,
    least: vec4f,
    greatest: vec4f,
    zeros: vec4f,
    nonfinite: vec4f,
}

struct Block {
    shift: vec4f,
    count: vec4f,
    sum: vec4f,
    squares: vec4f,
}

fn is_finite(value: vec4f) -> vec4<bool> {
    return (bitcast<vec4u>(value) & vec4u(0x7f800000u)) != vec4u(0x7f800000u);
}

fn nothing() -> Moments {
    let zero = vec4f(0.0);
    return Moments(zero, zero, zero, vec4f(LARGEST), vec4f(-LARGEST), zero, zero);
}

// Before the first block: around its first value. (Around 0 where that is not finite; later blocks know the mean.)
fn begin(block: ptr<function, Block>, value: vec4f) {
    (*block).shift = select(vec4f(0.0), value, is_finite(value));
}

fn absorb(all: ptr<function, Moments>, block: ptr<function, Block>, value: vec4f, present: vec4<bool>) {
    let finite = is_finite(value);
    let used = finite & present;
    let deviation = select(vec4f(0.0), value - (*block).shift, used);
    (*block).count += select(vec4f(0.0), vec4f(1.0), used);
    (*block).sum += deviation;
    (*block).squares += deviation * deviation;
    (*all).least = select((*all).least, min((*all).least, value), used);
    (*all).greatest = select((*all).greatest, max((*all).greatest, value), used);
    let zero = (bitcast<vec4u>(value) & vec4u(0x7fffffffu)) == vec4u(0u);
    (*all).zeros += select(vec4f(0.0), vec4f(1.0), zero & present);
    (*all).nonfinite += select(vec4f(0.0), vec4f(1.0), present & !finite);
}

// The same where all is finite, at half the operations. The caller counts, and sees by the squares whether all was.
// Where nothing is present, the value is one that was absorbed before: it changes neither extreme.
fn absorb_finite(all: ptr<function, Moments>, block: ptr<function, Block>, value: vec4f, present: bool) {
    let deviation = select(vec4f(0.0), value - (*block).shift, present);
    (*block).sum += deviation;
    (*block).squares += deviation * deviation;
    (*all).least = select((*all).least, value, value < (*all).least);
    (*all).greatest = select((*all).greatest, value, value > (*all).greatest);
    (*all).zeros += select(vec4f(0.0), vec4f(1.0), value == vec4f(0.0) & vec4<bool>(present));
}

fn merge(a: Moments, b: Moments) -> Moments {
    let count = a.count + b.count;
    let apart = b.mean - a.mean;
    let step = apart * (b.count / max(count, vec4f(1.0)));
    return Moments(
        count,
        a.mean + step,
        // One of the counts may be 0 and the square of `apart` infinite: never multiply those two.
        a.spread + b.spread + (step * a.count) * apart,
        min(a.least, b.least),
        max(a.greatest, b.greatest),
        a.zeros + b.zeros,
        a.nonfinite + b.nonfinite,
    );
}

fn close_block(all: ptr<function, Moments>, block: ptr<function, Block>) {
    let offset = (*block).sum / max((*block).count, vec4f(1.0));
    // Extremes, zeros and non-finite values are counted in `all` itself.
    var part = *all;
    part.count = (*block).count;
    part.mean = (*block).shift + offset;
    let spread = max((*block).squares - (*block).sum * offset, vec4f(0.0));
    part.spread = select((*block).squares, spread, is_finite((*block).squares));
    part.zeros = vec4f(0.0);
    part.nonfinite = vec4f(0.0);
    *all = merge(*all, part);
    (*block).shift = (*all).mean;
    (*block).count = vec4f(0.0);
    (*block).sum = vec4f(0.0);
    (*block).squares = vec4f(0.0);
}

// An item of a target: elements from the target's first one to it, and its position in the row, or in the image's channel.
struct Item {
    offset: u32,
    position: u32,
}

fn item_at(index: u32) -> Item {
    let image = index / matrix.span;
    let position = index % matrix.span;
    return Item(image * matrix.span_stride + position * matrix.item_stride, position);
}

// The item that lies `step` after another.
fn after(item: Item, step: Item) -> Item {
    let next = Item(item.offset + step.offset, item.position + step.position);
    // Past the end of one image's channel: to the next image.
    let past = next.position >= matrix.span;
    return Item(select(next.offset, next.offset + matrix.span_skip, past), select(next.position, next.position - matrix.span, past));
}

fn is_present(target_index: u32, item: Item) -> vec4<bool> {
    let position = 4u * select(item.position, target_index, matrix.columns != 0u);
    return vec4u(position) + vec4u(0u, 1u, 2u, 3u) < vec4u(matrix.limit);
}

var<workgroup> shared_moments: array<Moments, 64>;

// Every invocation of the workgroup must call it.
fn merge_lanes(mine: Moments, local: u32) -> Moments {
    if (LANES == 1u) {
        return mine;
    }
    shared_moments[local] = mine;
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (local / TARGETS < stride) {
            shared_moments[local] = merge(shared_moments[local], shared_moments[local + stride * TARGETS]);
        }
    }
    workgroupBarrier();
    return shared_moments[local % TARGETS];
}

fn component(all: Moments, c: u32) -> Moments {
    return Moments(
        vec4f(all.count[c]),
        vec4f(all.mean[c]),
        vec4f(all.spread[c]),
        vec4f(all.least[c]),
        vec4f(all.greatest[c]),
        vec4f(all.zeros[c]),
        vec4f(all.nonfinite[c]),
    );
}

fn write_unit(unit: u32, all: Moments) {
    if (unit >= matrix.units) {
        return;
    }
    let at = (matrix.first_row + unit) * 6u;
    let some = all.count.x > 0.0;
    let count = max(all.count.x, 1.0);
    let none = matrix.not_a_number;
    statistics[at] = select(none, bitcast<u32>(all.mean.x), some);
    statistics[at + 1u] = select(none, bitcast<u32>(sqrt(all.spread.x / count)), some);
    statistics[at + 2u] = select(none, bitcast<u32>(all.least.x), some);
    statistics[at + 3u] = select(none, bitcast<u32>(all.greatest.x), some);
    statistics[at + 4u] = bitcast<u32>(all.zeros.x / count);
    statistics[at + 5u] = bitcast<u32>(all.nonfinite.x);
}

fn finish(all: Moments, target_index: u32, local: u32) {
    let merged = merge_lanes(all, local);
    if (local >= TARGETS || target_index >= matrix.targets) {
        return;
    }
    if (matrix.columns != 0u) {
        for (var c = 0u; c < 4u; c += 1u) {
            write_unit(target_index * 4u + c, component(merged, c));
        }
        return;
    }
    let first = merge(component(merged, 0u), component(merged, 1u));
    let second = merge(component(merged, 2u), component(merged, 3u));
    write_unit(target_index, merge(first, second));
}

// The first target of a workgroup, in what is its matrix from then on; past the last one where it has none.
fn begin_matrix(group: u32) -> u32 {
    if (MATRICES == 1u) {
        matrix = matrices[0];
        return group * TARGETS;
    }
    if (MATRICES == 2u) {
        let first = matrices[0];
        let second = matrices[1];
        let groups = (first.targets + TARGETS - 1u) / TARGETS;
        if (group < groups) {
            matrix = first;
            return group * TARGETS;
        }
        matrix = second;
        return (group - groups) * TARGETS;
    }
    let assigned = workgroup_targets[min(group, arrayLength(&workgroup_targets) - 1u)];
    matrix = matrices[assigned.x];
    return select(matrix.targets, assigned.y, group < arrayLength(&workgroup_targets));
}

// Rows of values whose length is a multiple of four.
@compute @workgroup_size(LANES * TARGETS)
fn by_vectors(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let target_index = begin_matrix(workgroup.y * workgroups.x + workgroup.x) + local % TARGETS;
    var all = nothing();
    var block: Block;
    if (target_index < matrix.targets) {
        let start = (matrix.start + target_index * matrix.target_stride) / 4u;
        var item = item_at(min(local / TARGETS, matrix.items - 1u));
        let step = item_at(LANES);
        begin(&block, vector_at(start + item.offset / 4u));
        for (var first = local / TARGETS; first < matrix.items; first += BLOCK * LANES) {
            let end = min(first + BLOCK * LANES, matrix.items);
            let all_before = all;
            let block_before = block;
            let item_before = item;
            for (var i = first; i < end; i += GROUP * LANES) {
                for (var j = 0u; j < GROUP; j += 1u) {
                    absorb_finite(&all, &block, vector_at(start + item.offset / 4u), i + j * LANES < end);
                    // Behind the last item it stays there.
                    let has_next = i + (j + 1u) * LANES < matrix.items;
                    let next = after(item, step);
                    item = Item(select(item.offset, next.offset, has_next), select(item.position, next.position, has_next));
                }
            }
            block.count = vec4f(f32((end - first + LANES - 1u) / LANES));
            if (any(!is_finite(block.squares))) {
                all = all_before;
                block = block_before;
                item = item_before;
                for (var i = first; i < end; i += LANES) {
                    absorb(&all, &block, vector_at(start + item.offset / 4u), vec4<bool>(true));
                    item = after(item, step);
                }
            }
            close_block(&all, &block);
        }
    }
    finish(all, target_index, local);
}

// All others.
@compute @workgroup_size(LANES * TARGETS)
fn by_scalars(
    @builtin(workgroup_id) workgroup: vec3u,
    @builtin(num_workgroups) workgroups: vec3u,
    @builtin(local_invocation_index) local: u32,
) {
    let target_index = begin_matrix(workgroup.y * workgroups.x + workgroup.x) + local % TARGETS;
    var all = nothing();
    var block: Block;
    if (target_index < matrix.targets) {
        let start = matrix.start + target_index * matrix.target_stride;
        var item = item_at(min(local / TARGETS, matrix.items - 1u));
        let step = item_at(LANES);
        var present = is_present(target_index, item);
        let value = elements_at(start + item.offset, present);
        // A component that this item has not may come in the next one, and is of the same unit.
        begin(&block, select(vec4f(value.x), value, present));
        for (var first = local / TARGETS; first < matrix.items; first += BLOCK * LANES) {
            let end = min(first + BLOCK * LANES, matrix.items);
            for (var i = first; i < end; i += LANES) {
                present = is_present(target_index, item);
                absorb(&all, &block, elements_at(start + item.offset, present), present);
                item = after(item, step);
            }
            close_block(&all, &block);
        }
    }
    finish(all, target_index, local);
}
