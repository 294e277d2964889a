// Sums over the rows of a matrix. On a CPU adapter one invocation sums a whole row (LANES 1, ROWS 8); on a GPU a
// workgroup does, and adds its lanes' partial sums in a fixed order (LANES 64, ROWS 1). Workgroups are lines of
// LANES * ROWS, because llvmpipe fills its vectors with invocations that differ in x, and only with those.

override LANES: u32 = 1u;
override ROWS: u32 = 8u;

// Which of its workgroup's rows an invocation sums.
fn row_of(local: u32) -> u32 {
    return local % ROWS;
}

// Its number among those that sum the same row.
fn lane_of(local: u32) -> u32 {
    return local / ROWS;
}

var<workgroup> partial_sums: array<f32, 64>;

// Sum of `value` over the lanes of a row; every lane of the workgroup must call it.
fn sum_over_lanes(value: f32, lane: u32) -> f32 {
    if (LANES == 1u) {
        return value;
    }
    partial_sums[lane] = value;
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if (lane < stride) {
            partial_sums[lane] += partial_sums[lane + stride];
        }
    }
    workgroupBarrier();
    let sum = partial_sums[0];
    workgroupBarrier();
    return sum;
}
