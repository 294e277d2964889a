// The functions of one element that a kernel is built for, and their constants.

override KIND: u32 = 0u;

const RELU = 0u;
const LEAKY_RELU = 1u;
const TANH = 2u;
const SIGMOID = 3u;
const SOFTPLUS = 4u;
// 5 tanh(x / 5): NVAE's soft clamp of a log-variance.
const BOUNDED_LOG_VARIANCE = 5u;
// 2 ln(softplus(x) + floor): a standard deviation that comes out of a softplus.
const SOFTPLUS_LOG_VARIANCE = 6u;
const GELU = 7u;
const SILU = 8u;
const ELU = 9u;
const AFFINE = 10u;

const BOUND: f32 = 5.0;
const FLOOR: f32 = 1e-3;
