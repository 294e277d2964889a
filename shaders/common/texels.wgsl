// The vectors of a buffer as texels, row after row: where vector i lies. src/gpu/texels.rs says why and makes the copy.
fn texel(i: u32) -> vec2u {
    return vec2u(i % 1024u, i / 1024u);
}

