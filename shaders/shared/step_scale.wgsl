// What an optimizer's kernel is told of its step besides its own settings: `schedule.wgsl` and `clip.wgsl` write it.

struct StepScale {
    // Of the learning rate.
    rate: f32,
    // Of every gradient.
    scale: f32,
    // Of all gradients together, before it was clipped.
    norm: f32,
    padding: f32,
}

// Leave the update in place of the gradient, so that a probe can record it.
override KEEP_UPDATES: bool = true;

// Largest magnitude of a gradient's element; 0: any.
override MAX_ABS: f32 = 0.0;

// A NaN passes, as in PyTorch.
fn clipped(gradient: vec4f, scale: f32) -> vec4f {
    if (MAX_ABS > 0.0) {
        let below = select(gradient, vec4f(MAX_ABS), gradient > vec4f(MAX_ABS));
        return select(below, vec4f(-MAX_ABS), below < vec4f(-MAX_ABS));
    }
    return gradient * scale;
}
