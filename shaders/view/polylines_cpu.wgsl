// uses shared/scale.wgsl
// uses shared/plot.wgsl
// uses shared/polyline.wgsl
// Many polylines on a software adapter, where each triangle has a price and pixels are cheap: an invocation owns a column of
// pixels and blends all lines into it, one after the other, as quads would be.
struct Uniforms {
    scale: ValueScale,
    // Left, top, width, height of the plot in pixels.
    rect: vec4f,
    // Step index at the left and right edge, height at the bottom and top edge.
    window: vec4f,
    // The top left pixel.
    origin: vec2f,
    columns: u32,
    rows: u32,
    steps: u32,
    // Lines of this dispatch.
    first_line: u32,
    end_line: u32,
}

@group(0) @binding(0) var<storage, read> uniforms: Uniforms;
@group(0) @binding(2) var<storage> lines: array<LineStyle>;
// [columns, rows], rows from the top: the color times its opacity, and its opacity.
@group(0) @binding(3) var<storage, read_write> cells: array<vec4f>;

// Blends a segment into the column whose pixels have their middle at `x`.
fn blend_segment(column: u32, x: f32, segment: Segment, color: vec4f) {
    let reach = 0.5 * segment.width + 1.0;
    let start = segment.ends.xy;
    let end = segment.ends.zw;
    if (end.x < x - reach || start.x > x + reach) {
        return;
    }
    // Its part in reach.
    let run = end.x - start.x;
    let inverse = select(0.0, 1.0 / run, run > 0.0);
    let parts = clamp((vec2f(x - reach, x + reach) - start.x) * inverse, vec2f(0.0), vec2f(1.0));
    let heights = mix(vec2f(start.y), vec2f(end.y), select(vec2f(0.0, 1.0), parts, run > 0.0)) - uniforms.origin.y;
    let rows = f32(uniforms.rows);
    let first = u32(clamp(floor(min(heights.x, heights.y) - reach), 0.0, rows));
    let last = u32(clamp(ceil(max(heights.x, heights.y) + reach), 0.0, rows));
    for (var row = first; row < last; row += 1u) {
        let opacity = color.a * coverage_at(segment, vec2f(x, uniforms.origin.y + f32(row) + 0.5));
        if (opacity > 0.0) {
            let at = column * uniforms.rows + row;
            cells[at] = vec4f(color.rgb * opacity, opacity) + cells[at] * (1.0 - opacity);
        }
    }
}

@compute @workgroup_size(64)
fn blend(@builtin(global_invocation_id) id: vec3u) {
    let column = id.x;
    if (column >= uniforms.columns) {
        return;
    }
    let plot = LinePlot(uniforms.scale, uniforms.rect, uniforms.window, uniforms.steps);
    let x = uniforms.origin.x + f32(column) + 0.5;
    let window = uniforms.window;
    let steps_a_pixel = (window.y - window.x) / uniforms.rect.z;
    let middle = window.x + (x - uniforms.rect.x) * steps_a_pixel;
    let last_step = f32(uniforms.steps - 1u);
    for (var index = uniforms.first_line; index < uniforms.end_line; index += 1u) {
        let line = lines[index];
        // A dot reaches farthest.
        let around = (max(line.width, 1.0) + 1.0) * steps_a_pixel;
        let first = u32(clamp(floor(middle - around), 0.0, last_step));
        let last = u32(clamp(floor(middle + around), 0.0, last_step));
        let color = unpack4x8unorm(line.color);
        for (var step = first; step <= last; step += 1u) {
            let segment = segment_at(plot, line.line, step, line.width);
            if (segment.width > 0.0) {
                blend_segment(column, x, segment, color);
            }
        }
    }
}
