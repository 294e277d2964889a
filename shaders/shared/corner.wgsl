// A quad has four vertices, and six indices make two triangles of them; see `view::Painter`.
fn corner_of(vertex: u32) -> vec2u {
    return vec2u(vertex & 1u, (vertex >> 1u) & 1u);
}
