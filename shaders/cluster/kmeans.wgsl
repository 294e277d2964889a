// K-means of the same points for many counts of clusters and many starts at once: an instance is one count with one start.
// Every sum is taken by one invocation in the order of the points, so that results do not depend on the adapter's lanes.
// uses shared/philox.wgsl

struct Uniforms {
    seed: vec2u,
    points: u32,
    // vec4f that a point takes in memory, padded with zeros.
    quads: u32,
    // The largest count of clusters, and starts for each count.
    most: u32,
    starts: u32,
    // The center that is chosen next.
    center: u32,
    // The random stream.
    stream: u32,
}

@group(0) @binding(0) var<storage, read> uniforms: Uniforms;
// [points, quads]
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
// For each start the points that are its first centers, the first count of them for each count: [starts, most]
@group(0) @binding(2) var<storage, read_write> seeds: array<u32>;
// For each start and point the squared distance to the nearest seed: [starts, points]
@group(0) @binding(3) var<storage, read_write> nearest: array<f32>;
// [instances, most, quads]
@group(0) @binding(4) var<storage, read_write> centers: array<vec4f>;
// [instances, points]
@group(0) @binding(5) var<storage, read_write> labels: array<u32>;
// [instances, points]: squared distances to the own center.
@group(0) @binding(6) var<storage, read_write> errors: array<f32>;
// Whether a label has changed in the last round: [instances, points]
@group(0) @binding(7) var<storage, read_write> changes: array<u32>;

// Clusters of an instance: 1, 2, ... with all starts each.
fn count_of(instance: u32) -> u32 {
    return instance / uniforms.starts + 1u;
}

fn squared_distance(point: u32, other: u32) -> f32 {
    var sums = vec4f(0.0);
    for (var k = 0u; k < uniforms.quads; k += 1u) {
        let difference = values[point * uniforms.quads + k] - values[other * uniforms.quads + k];
        sums += difference * difference;
    }
    return dot(sums, vec4f(1.0));
}

// K-means++: the next center is a point, with a probability in proportion to its squared distance to the nearest center.
@compute @workgroup_size(1)
fn choose(@builtin(global_invocation_id) invocation: vec3u) {
    let start = invocation.x;
    if (start >= uniforms.starts) {
        return;
    }
    let share = uniform01(philox(vec4u(start, uniforms.center, uniforms.stream, 0u), uniforms.seed)).x;
    let base = start * uniforms.points;
    var chosen = 0u;
    if (uniforms.center == 0u) {
        chosen = min(u32(share * f32(uniforms.points)), uniforms.points - 1u);
    } else {
        var all = 0.0;
        for (var i = 0u; i < uniforms.points; i += 1u) {
            all += nearest[base + i];
        }
        var sum = 0.0;
        for (var i = 0u; i < uniforms.points; i += 1u) {
            let weight = nearest[base + i];
            sum += weight;
            // The last point with a weight stays where rounding hides the end of the sum.
            if (weight > 0.0) {
                chosen = i;
                if (sum > share * all) {
                    break;
                }
            }
        }
    }
    seeds[start * uniforms.most + uniforms.center] = chosen;
}

// Distances to the nearest center after one was chosen.
@compute @workgroup_size(64)
fn approach(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    let start = invocation.y;
    if (i >= uniforms.points || start >= uniforms.starts) {
        return;
    }
    let distance = squared_distance(i, seeds[start * uniforms.most + uniforms.center]);
    let at = start * uniforms.points + i;
    nearest[at] = select(min(nearest[at], distance), distance, uniforms.center == 0u);
}

// The centers of all instances begin at the seeds of their starts.
@compute @workgroup_size(64)
fn begin(@builtin(global_invocation_id) invocation: vec3u) {
    let k = invocation.x;
    let cluster = invocation.y;
    let instance = invocation.z;
    if (k >= uniforms.quads || cluster >= count_of(instance)) {
        return;
    }
    let seed = seeds[(instance % uniforms.starts) * uniforms.most + cluster];
    centers[(instance * uniforms.most + cluster) * uniforms.quads + k] = values[seed * uniforms.quads + k];
}

// Every point goes to its nearest center, the first of equally near ones.
@compute @workgroup_size(64)
fn assign(@builtin(global_invocation_id) invocation: vec3u) {
    let i = invocation.x;
    let instance = invocation.y;
    if (i >= uniforms.points) {
        return;
    }
    var best = 0u;
    var least = 0.0;
    for (var cluster = 0u; cluster < count_of(instance); cluster += 1u) {
        let center = (instance * uniforms.most + cluster) * uniforms.quads;
        var sums = vec4f(0.0);
        for (var k = 0u; k < uniforms.quads; k += 1u) {
            let difference = values[i * uniforms.quads + k] - centers[center + k];
            sums += difference * difference;
        }
        let sum = dot(sums, vec4f(1.0));
        if (cluster == 0u || sum < least) {
            least = sum;
            best = cluster;
        }
    }
    let at = instance * uniforms.points + i;
    changes[at] = u32(labels[at] != best);
    labels[at] = best;
    errors[at] = least;
}

// Every center becomes the mean of its points; one without points stays where it is.
@compute @workgroup_size(64)
fn recenter(@builtin(global_invocation_id) invocation: vec3u) {
    let k = invocation.x;
    let cluster = invocation.y;
    let instance = invocation.z;
    if (k >= uniforms.quads || cluster >= count_of(instance)) {
        return;
    }
    var sum = vec4f(0.0);
    var count = 0.0;
    for (var i = 0u; i < uniforms.points; i += 1u) {
        if (labels[instance * uniforms.points + i] == cluster) {
            sum += values[i * uniforms.quads + k];
            count += 1.0;
        }
    }
    if (count > 0.0) {
        centers[(instance * uniforms.most + cluster) * uniforms.quads + k] = sum / count;
    }
}
