// The greedy choice of lines in the order of their priority, in parallel: a chunk of the order is held against the
// lines kept so far, the conflicts among the survivors become a bit matrix, and rounds over it decide them. Two lines
// conflict when they are closer than the radius in every column.

struct Parameters {
    // Lines of this chunk.
    count: u32,
    // Lines kept so far.
    kept: u32,
    pairs: u32,
    // Words of 32 lines in a row of the bit matrix.
    words: u32,
    radius: f32,
    padding0: u32,
    padding1: u32,
    padding2: u32,
}

const UNDECIDED: u32 = 0u;
const KEPT: u32 = 1u;
const DROPPED: u32 = 2u;

@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> envelopes: array<vec4f>;
// The chunk's lines, in the order of their priority.
@group(0) @binding(2) var<storage, read> chunk: array<u32>;
// Envelopes of the lines kept so far, one behind the other.
@group(0) @binding(3) var<storage, read_write> kept_envelopes: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> states: array<u32>;
@group(0) @binding(5) var<storage, read_write> conflicts: array<u32>;
// The states as bits: undecided and kept lines of each word.
@group(0) @binding(6) var<storage, read_write> masks: array<vec2u>;

fn apart(a: vec4f, b: vec4f) -> bool {
    return any(abs(a - b) >= vec4f(parameters.radius));
}

// Drops lines of the chunk that conflict with a line kept before. All lanes walk the same kept line together.
@compute @workgroup_size(64)
fn against_kept(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    let start = chunk[min(i, parameters.count - 1u)] * parameters.pairs;
    var state = UNDECIDED;
    for (var k = 0u; k < parameters.kept; k += 1u) {
        var close = true;
        for (var pair = 0u; pair < parameters.pairs; pair += 1u) {
            if (apart(envelopes[start + pair], kept_envelopes[k * parameters.pairs + pair])) {
                close = false;
                break;
            }
        }
        if (close) {
            state = DROPPED;
            break;
        }
    }
    if (i < parameters.count) {
        states[i] = state;
    }
}

// One word of the bit matrix: line i against 32 lines of higher priority.
@compute @workgroup_size(64)
fn find_conflicts(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    let word = invocation.y;
    if (i >= parameters.count) {
        return;
    }
    let start = chunk[i] * parameters.pairs;
    var bits = 0u;
    for (var bit = 0u; bit < 32u; bit += 1u) {
        let j = 32u * word + bit;
        if (j >= i) {
            break;
        }
        let other = chunk[j] * parameters.pairs;
        var close = 1u;
        for (var pair = 0u; pair < parameters.pairs; pair += 1u) {
            if (apart(envelopes[start + pair], envelopes[other + pair])) {
                close = 0u;
                break;
            }
        }
        bits |= close << bit;
    }
    conflicts[i * parameters.words + word] = bits;
}

// The states of 32 lines as bits, for the next round to look at.
@compute @workgroup_size(64)
fn pack(@builtin(global_invocation_id) invocation: vec3u) {
    let word = invocation.x;
    if (word >= parameters.words) {
        return;
    }
    var mask = vec2u(0u);
    for (var bit = 0u; bit < 32u; bit += 1u) {
        let i = 32u * word + bit;
        if (i < parameters.count) {
            mask |= vec2u(u32(states[i] == UNDECIDED), u32(states[i] == KEPT)) << vec2u(bit);
        }
    }
    masks[word] = mask;
}

// One round: drop what conflicts with a kept line, keep what conflicts with no undecided line of higher priority.
@compute @workgroup_size(64)
fn decide(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    if (i >= parameters.count || states[i] != UNDECIDED) {
        return;
    }
    var state = KEPT;
    for (var word = 0u; word <= i / 32u; word += 1u) {
        let bits = conflicts[i * parameters.words + word];
        let mask = masks[word];
        if ((bits & mask.y) != 0u) {
            state = DROPPED;
            break;
        }
        if ((bits & mask.x) != 0u) {
            state = UNDECIDED;
        }
    }
    states[i] = state;
}

// Copies the envelopes of the lines named by the chunk behind those kept so far.
@compute @workgroup_size(64)
fn keep(@builtin(global_invocation_id) invocation: vec3u) {
    let pair = invocation.x;
    let i = invocation.y;
    if (pair < parameters.pairs && i < parameters.count) {
        kept_envelopes[(parameters.kept + i) * parameters.pairs + pair] = envelopes[chunk[i] * parameters.pairs + pair];
    }
}
