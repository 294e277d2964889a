// What matrix products do with what the lanes of a subgroup have loaded, on adapters that run on the CPU.
//
// On such an adapter a load from a buffer is a loop over the lanes, many times dearer than a multiplication, and costs
// the same whether the lanes ask for one address or for many. So no value is loaded twice: a lane loads ROWS rows of A
// and four columns of B for four k, each lane its own, and hands its rows of A to the others by shuffles. A workgroup
// is one subgroup, without shared memory or barriers; its tile of C has LANES ROWS rows and 4 LANES columns, and a lane
// keeps its four columns of all rows in registers.

// The size of a subgroup: 4 or 8.
override LANES: u32 = 8u;
// Rows of A that a lane loads: fewer where C has few rows.
override ROWS: u32 = 4u;

// Four by four: [i][j].
alias Block = array<vec4f, 4>;
// C of the lane's four columns: [row of a lane][lane].
alias Tile = array<array<vec4f, 8>, 4>;

fn transposed(block: Block) -> Block {
    return Block(
        vec4f(block[0].x, block[1].x, block[2].x, block[3].x),
        vec4f(block[0].y, block[1].y, block[2].y, block[3].y),
        vec4f(block[0].z, block[1].z, block[2].z, block[3].z),
        vec4f(block[0].w, block[1].w, block[2].w, block[3].w),
    );
}

// Adds the products of all lanes' rows [row][k] with this lane's columns [k][column].
fn add_products(tile: ptr<function, Tile>, rows: Block, columns: Block) {
    var blocks = rows;
    for (var i = 0u; i < ROWS; i += 1u) {
        for (var source = 0u; source < LANES; source += 1u) {
            let along_k = subgroupShuffle(blocks[i], source);
            (*tile)[i][source] += along_k.x * columns[0] + along_k.y * columns[1] + along_k.z * columns[2] + along_k.w * columns[3];
        }
    }
}

// values[i], without an index that varies: for that the driver would keep a whole tile in memory, lane by lane.
fn component(values: vec4f, i: u32) -> f32 {
    return select(select(values.x, values.y, i == 1u), select(values.z, values.w, i == 3u), i >= 2u);
}

