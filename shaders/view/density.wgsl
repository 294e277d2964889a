// uses shared/scale.wgsl
// A density image of many lines: how many lines pass each pixel, where a line shares 1 out among the pixels of
// each column in proportion to its length in them (Moritz and Fisher, "Visualizing a million time series with the
// density line chart", arXiv 1808.06019). Steep lines therefore weigh no more than flat ones.
//
// An invocation owns a column and walks a block of lines, so that no two write to the same cell; blocks are summed
// in a fixed order afterwards.
struct Uniforms {
    scale: ValueScale,
    // Step index at the left and right edge, height at the bottom and top edge.
    window: vec4f,
    columns: u32,
    rows: u32,
    steps: u32,
    // Lines first_line..end_line in this dispatch, lines_a_block for each block.
    first_line: u32,
    end_line: u32,
    lines_a_block: u32,
    blocks: u32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage> values: array<f32>;
// [blocks, columns, rows], rows from the top.
@group(0) @binding(2) var<storage, read_write> counts: array<f32>;

struct Piece {
    // Rows where it enters and leaves the column, upper first.
    high: f32,
    low: f32,
    // Its length in the column in pixels; 0 where there is no such piece.
    length: f32,
}

// The piece of the segment that begins at `step` of the line from `base` on, between two positions in steps.
fn piece_of(base: u32, step: u32, from_step: f32, to_step: f32) -> Piece {
    var a = values[base + step];
    var b = values[base + min(step + 1u, uniforms.steps - 1u)];
    if (!is_finite(a) || !is_finite(b)) {
        return Piece(0.0, 0.0, 0.0);
    }
    // A single step is drawn as a flat line across the whole chart.
    var from_part = 0.0;
    var to_part = 1.0;
    if (uniforms.steps > 1u) {
        from_part = clamp(from_step - f32(step), 0.0, 1.0);
        to_part = clamp(to_step - f32(step), 0.0, 1.0);
    }
    if (to_part <= from_part) {
        return Piece(0.0, 0.0, 0.0);
    }
    let window = uniforms.window;
    let rows = f32(uniforms.rows) / (window.w - window.z);
    let heights = clamp(vec2f(height_of(uniforms.scale, a), height_of(uniforms.scale, b)), vec2f(-1e12), vec2f(1e12));
    let ends = (vec2f(window.w) - heights) * rows;
    let entry = mix(ends.x, ends.y, from_part);
    let exit = mix(ends.x, ends.y, to_part);
    let across = (to_part - from_part) * f32(uniforms.columns) / (window.y - window.x);
    let down = exit - entry;
    return Piece(min(entry, exit), max(entry, exit), sqrt(across * across + down * down));
}

// Adds `weight`, spread evenly over the rows that the piece spans, at least one row high.
fn deposit(at: u32, piece: Piece, weight: f32) {
    let rows = f32(uniforms.rows);
    let span = max(piece.low - piece.high, 1.0);
    var middle = 0.5 * (piece.low + piece.high);
    if (piece.high >= -1e-3 && piece.low <= rows + 1e-3) {
        // A flat line at the rim stays inside, also where its height was rounded outward.
        middle = clamp(middle, 0.5 * span, rows - 0.5 * span);
    }
    let high = middle - 0.5 * span;
    let low = middle + 0.5 * span;
    if (low <= 0.0 || high >= rows) {
        return;
    }
    let share = weight / span;
    let first = u32(max(floor(high), 0.0));
    let end = min(u32(ceil(min(low, rows))), uniforms.rows);
    for (var row = first; row < end; row += 1u) {
        let overlap = min(low, f32(row) + 1.0) - max(high, f32(row));
        counts[at + row] += share * max(overlap, 0.0);
    }
}

@compute @workgroup_size(64)
fn accumulate(@builtin(global_invocation_id) id: vec3u) {
    let column = id.x;
    let block = id.y;
    if (column >= uniforms.columns || block >= uniforms.blocks) {
        return;
    }
    let window = uniforms.window;
    let step_a_column = (window.y - window.x) / f32(uniforms.columns);
    let from_step = window.x + f32(column) * step_a_column;
    let to_step = from_step + step_a_column;
    let last = f32(max(uniforms.steps, 2u) - 2u);
    let first_piece = u32(clamp(floor(from_step), 0.0, last));
    let last_piece = u32(clamp(ceil(to_step) - 1.0, 0.0, last));
    let at = (block * uniforms.columns + column) * uniforms.rows;
    let begin = uniforms.first_line + block * uniforms.lines_a_block;
    let end = min(begin + uniforms.lines_a_block, uniforms.end_line);
    for (var line = begin; line < end; line += 1u) {
        let base = line * uniforms.steps;
        if (first_piece >= last_piece) {
            let piece = piece_of(base, first_piece, from_step, to_step);
            if (piece.length > 0.0) {
                deposit(at, piece, 1.0);
            }
            continue;
        }
        var length = 0.0;
        for (var step = first_piece; step <= last_piece; step += 1u) {
            length += piece_of(base, step, from_step, to_step).length;
        }
        for (var step = first_piece; step <= last_piece; step += 1u) {
            let piece = piece_of(base, step, from_step, to_step);
            if (piece.length > 0.0) {
                deposit(at, piece, piece.length / length);
            }
        }
    }
}

@group(0) @binding(3) var<storage, read_write> peaks: array<f32>;

// Sums the blocks of a column into the first one and keeps the column's largest value.
@compute @workgroup_size(64)
fn combine(@builtin(global_invocation_id) id: vec3u) {
    let column = id.x;
    if (column >= uniforms.columns) {
        return;
    }
    let at = column * uniforms.rows;
    let stride = uniforms.columns * uniforms.rows;
    var peak = 0.0;
    for (var row = 0u; row < uniforms.rows; row += 1u) {
        var total = counts[at + row];
        for (var block = 1u; block < uniforms.blocks; block += 1u) {
            total += counts[block * stride + at + row];
        }
        counts[at + row] = total;
        peak = max(peak, total);
    }
    peaks[1u + column] = peak;
}

// The largest of all columns, stored before them.
@compute @workgroup_size(1)
fn largest() {
    var peak = 0.0;
    for (var column = 0u; column < uniforms.columns; column += 1u) {
        peak = max(peak, peaks[1u + column]);
    }
    peaks[0] = peak;
}
