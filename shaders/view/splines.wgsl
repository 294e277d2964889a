// uses shared/corner.wgsl
// Smooth curves: cubic Bezier pieces, each of PARTS straight parts.
struct Uniforms {
    target_size: vec2f,
    pieces: u32,
}

struct Piece {
    // The four control points in pixels: start and its handle, the other handle and the end.
    start: vec4f,
    end: vec4f,
    color: u32,
    // In pixels.
    @size(12) width: f32,
}

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage> pieces: array<Piece>;

const PARTS: u32 = 16u;

struct Fragment {
    @builtin(position) position: vec4f,
    // Distance from the middle of the curve in pixels, positive on one side.
    @location(0) offset: f32,
    @location(1) @interpolate(flat) color: vec4f,
    @location(2) @interpolate(flat) width: f32,
}

fn point_at(piece: Piece, t: f32) -> vec2f {
    let s = 1.0 - t;
    return s * s * s * piece.start.xy + 3.0 * s * s * t * piece.start.zw
        + 3.0 * s * t * t * piece.end.xy + t * t * t * piece.end.zw;
}

fn direction_at(piece: Piece, t: f32) -> vec2f {
    let s = 1.0 - t;
    let along = s * s * (piece.start.zw - piece.start.xy)
        + 2.0 * s * t * (piece.end.xy - piece.start.zw)
        + t * t * (piece.end.zw - piece.end.xy);
    // Handles that lie on their ends leave no direction there.
    let chord = piece.end.zw - piece.start.xy;
    let chosen = select(chord, along, dot(along, along) > 1e-6);
    return chosen / max(length(chosen), 1e-6);
}

@vertex
fn spline_vertex(@builtin(vertex_index) vertex: u32) -> Fragment {
    let part = (vertex / 4u) % PARTS;
    let piece = pieces[min(vertex / (4u * PARTS), uniforms.pieces - 1u)];
    // Corners of a part: along the curve, and to which side of it.
    let corner = corner_of(vertex);
    let t = f32(part + corner.x) / f32(PARTS);
    let along = direction_at(piece, t);
    let side = f32(corner.y) * 2.0 - 1.0;
    // A pixel more than the line on both sides, for its soft edge.
    let offset = side * (piece.width * 0.5 + 1.0);
    let position = (point_at(piece, t) + vec2f(-along.y, along.x) * offset) / uniforms.target_size;
    var out: Fragment;
    out.position = vec4f(position.x * 2.0 - 1.0, 1.0 - position.y * 2.0, 0.0, 1.0);
    out.offset = offset;
    out.color = unpack4x8unorm(piece.color);
    out.width = piece.width;
    return out;
}

@fragment
fn spline_fragment(in: Fragment) -> @location(0) vec4f {
    let coverage = clamp(in.width * 0.5 + 0.5 - abs(in.offset), 0.0, 1.0) * min(in.width, 1.0);
    return vec4f(in.color.rgb, in.color.a * coverage);
}
