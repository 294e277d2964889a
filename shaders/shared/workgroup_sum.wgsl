// The last step of a sum over many values: 64 lanes add up what an earlier pass has left.

var<workgroup> lane_sums: array<f32, 64>;

// The sum of the values of 64 lanes, in the order of the lanes; every lane gets it. All lanes must call it.
fn workgroup_sum(lane: u32, value: f32) -> f32 {
    lane_sums[lane] = value;
    workgroupBarrier();
    var all = 0.0;
    for (var i = 0u; i < 64u; i += 1u) {
        all += lane_sums[i];
    }
    return all;
}
