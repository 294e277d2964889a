// The greedy choice of lines in the order of their priority, in parallel: a chunk of the order is held against the
// lines kept so far, the conflicts among the survivors become a bit matrix, and rounds over it decide them. Two lines
// conflict when they are closer than the radius at every height of their rows that both have.
//
// The first eight heights of a line stay in registers. Heights are in an order that spreads them over the chart, so
// these distinguish most lines, and what is loaded for a comparison lies at an address that all invocations of a
// workgroup share.
// uses shared/line_distance.wgsl

struct Uniforms {
    // Lines of this chunk.
    count: u32,
    // Lines kept so far: those to compare with begin here and end there.
    kept_from: u32,
    kept_to: u32,
    // vec4f that a line takes in memory.
    quads: u32,
    // Words of 32 lines in a row of the bit matrix.
    words: u32,
    radius: f32,
}

// The low bits of a state; the bits above count the rounds that a line has waited.
const UNDECIDED: u32 = 0u;
const KEPT: u32 = 1u;
const DROPPED: u32 = 2u;
const DECISION: u32 = 3u;
const ONE_ROUND: u32 = 4u;

@group(0) @binding(0) var<uniform> uniforms: Uniforms;
@group(0) @binding(1) var<storage, read> envelopes: array<vec4f>;
// The chunk's lines, in the order of their priority.
@group(0) @binding(2) var<storage, read> chunk: array<u32>;
// Envelopes of the lines kept so far, one after another.
@group(0) @binding(3) var<storage, read_write> kept_envelopes: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> states: array<u32>;
@group(0) @binding(5) var<storage, read_write> conflicts: array<u32>;
// The states of 32 lines as bits: undecided ones and kept ones.
@group(0) @binding(6) var<storage, read_write> masks: array<vec2u>;

fn apart(a: vec4f, b: vec4f) -> bool {
    return any(differences(a, b) >= vec4f(uniforms.radius));
}

// Drops lines of the chunk that conflict with a line kept before.
@compute @workgroup_size(64)
fn against_kept(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    if (i >= uniforms.count || states[i] != UNDECIDED) {
        return;
    }
    let quads = uniforms.quads;
    let second = min(1u, quads - 1u);
    let start = chunk[i] * quads;
    let head0 = envelopes[start];
    let head1 = envelopes[start + second];
    for (var k = uniforms.kept_from; k < uniforms.kept_to; k += 1u) {
        let other = k * quads;
        var close = !(apart(head0, kept_envelopes[other]) || apart(head1, kept_envelopes[other + second]));
        var comparable = are_comparable(head0, kept_envelopes[other])
            || are_comparable(head1, kept_envelopes[other + second]);
        for (var quad = 2u; close && quad < quads; quad += 1u) {
            close = !apart(envelopes[start + quad], kept_envelopes[other + quad]);
            comparable = comparable || are_comparable(envelopes[start + quad], kept_envelopes[other + quad]);
        }
        if (close && comparable) {
            states[i] = DROPPED;
            break;
        }
    }
}

// One word of the bit matrix: line i against 32 lines of the chunk, of which those of higher priority count.
@compute @workgroup_size(64)
fn find_conflicts(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    let word = invocation.y;
    if (i >= uniforms.count || word >= uniforms.words || 32u * word > i) {
        return;
    }
    let quads = uniforms.quads;
    let second = min(1u, quads - 1u);
    let start = chunk[i] * quads;
    let head0 = envelopes[start];
    let head1 = envelopes[start + second];
    let end = min(32u, uniforms.count - 32u * word);
    var bits = 0u;
    for (var bit = 0u; bit < end; bit += 1u) {
        let other = chunk[32u * word + bit] * quads;
        var close = !(apart(head0, envelopes[other]) || apart(head1, envelopes[other + second]));
        var comparable = are_comparable(head0, envelopes[other]) || are_comparable(head1, envelopes[other + second]);
        for (var quad = 2u; close && quad < quads; quad += 1u) {
            close = !apart(envelopes[start + quad], envelopes[other + quad]);
            comparable = comparable || are_comparable(envelopes[start + quad], envelopes[other + quad]);
        }
        bits |= u32(close && comparable && 32u * word + bit < i) << bit;
    }
    conflicts[i * uniforms.words + word] = bits;
}

// The states of 32 lines as bits, for the next round to look at.
@compute @workgroup_size(64)
fn pack(@builtin(global_invocation_id) invocation: vec3u) {
    let word = invocation.x;
    if (word >= uniforms.words) {
        return;
    }
    var mask = vec2u(0u);
    let end = min(32u, uniforms.count - 32u * word);
    for (var bit = 0u; bit < end; bit += 1u) {
        let decision = states[32u * word + bit] & DECISION;
        mask |= vec2u(u32(decision == UNDECIDED), u32(decision == KEPT)) << vec2u(bit);
    }
    masks[word] = mask;
}

// One round: drop what conflicts with a kept line, keep what conflicts with no undecided line of higher priority.
@compute @workgroup_size(64)
fn decide(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    if (i >= uniforms.count) {
        return;
    }
    let state = states[i];
    if ((state & DECISION) != UNDECIDED) {
        return;
    }
    var decision = KEPT;
    for (var word = 0u; word <= i / 32u; word += 1u) {
        let bits = conflicts[i * uniforms.words + word];
        let mask = masks[word];
        if ((bits & mask.y) != 0u) {
            decision = DROPPED;
            break;
        }
        if ((bits & mask.x) != 0u) {
            decision = UNDECIDED;
        }
    }
    states[i] = (state + ONE_ROUND) | decision;
}

// Appends the envelopes of the chunk's lines to those kept so far.
@compute @workgroup_size(64)
fn keep(@builtin(global_invocation_id) invocation: vec3u) {
    let quad = invocation.x;
    let i = invocation.y;
    if (quad < uniforms.quads && i < uniforms.count) {
        kept_envelopes[(uniforms.kept_to + i) * uniforms.quads + quad] = envelopes[chunk[i] * uniforms.quads + quad];
    }
}
