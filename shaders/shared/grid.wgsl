// The place of an invocation in a grid that is folded into rows, because one dimension of a dispatch holds at
// most 65,535 workgroups. Its counterpart on the CPU is `gpu::grid`.
fn linear_index(workgroup: vec3u, workgroups: vec3u, local: u32, workgroup_size: u32) -> u32 {
    return (workgroup.y * workgroups.x + workgroup.x) * workgroup_size + local;
}
