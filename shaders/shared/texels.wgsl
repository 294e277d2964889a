// Buffers as texels: four values each, row after row. src/gpu/texels.rs says why.

// Whether a kernel that could do either reads texels instead of buffers.
override TEXELS: bool = false;

// Where vector i lies.
fn texel(i: u32) -> vec2u {
    return vec2u(i % 1024u, i / 1024u);
}
