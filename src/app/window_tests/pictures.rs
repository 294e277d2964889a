//! Every view as it looks, against small pictures that are kept.
//!
//! A frame is drawn off screen and averaged over squares of eight by eight pixels, so that another Mesa's antialiasing of
//! a glyph, which changes single pixels by a part of their range, is next to nothing. `TRAINSCOPE_UPDATE_PICTURES=1` writes
//! the pictures again.

use std::sync::PoisonError;

use egui_kittest::TestRenderer;
use egui_wgpu::{Renderer, RendererOptions, ScreenDescriptor};

use super::*;
use crate::view::{FORMAT, Picture, Theme};

/// Pixels of a frame on a side for each one that is kept.
const SQUARE: usize = 8;
/// Pixels of a kept picture on a side of a block.
const BLOCK: usize = 10;
/// How much the colors of a block, and those of the whole picture, may differ in the mean, of 255. A line of text that is
/// drawn half a pixel beside its place changes a block by some 2; a chart that moves by eight pixels, a pane that is
/// missing or a theme's wrong color by 10 and more.
const MOST_IN_BLOCK: f64 = 7.0;
const MOST_IN_ALL: f64 = 1.0;

/// A screen whose frames are drawn into pictures.
#[derive(Clone)]
pub(super) struct Offscreen {
    gpu: Gpu,
    renderer: Arc<Mutex<Renderer>>,
}

impl Offscreen {
    pub(super) fn new(gpu: &Gpu) -> Self {
        let renderer = Renderer::new(&gpu.device, FORMAT, RendererOptions::default());
        Self {
            gpu: gpu.clone(),
            renderer: Arc::new(Mutex::new(renderer)),
        }
    }

    /// The last frame.
    pub(super) fn picture(&self, harness: &Harness<'_, Dashboard>) -> Picture {
        let output = harness.output();
        let jobs = harness
            .ctx
            .tessellate(output.shapes.clone(), output.pixels_per_point);
        let size = harness.ctx.content_rect().size();
        let picture = Picture::new(&self.gpu, size.x, size.y, &Theme::dark()).unwrap();
        let screen = ScreenDescriptor {
            size_in_pixels: picture.size(),
            pixels_per_point: output.pixels_per_point,
        };
        let mut renderer = self.renderer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut encoder = self.gpu.encoder("frame");
        let (device, queue) = (&self.gpu.device, &self.gpu.queue);
        let mut buffers = renderer.update_buffers(device, queue, &mut encoder, &jobs, &screen);
        let mut pass = encoder
            .begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("frame"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: picture.view(),
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..Default::default()
            })
            .forget_lifetime();
        renderer.render(&mut pass, &jobs, &screen);
        drop(pass);
        buffers.push(encoder.finish());
        queue.submit(buffers);
        picture
    }

    /// The same averaged over squares: width and height, and three bytes a pixel.
    fn frame(&self, harness: &Harness<'_, Dashboard>) -> ([usize; 2], Vec<u8>) {
        let picture = self.picture(harness);
        let size = picture.size().map(|side| side as usize);
        averaged(&picture.read(&self.gpu).unwrap(), size)
    }
}

fn averaged(pixels: &[u8], [width, height]: [usize; 2]) -> ([usize; 2], Vec<u8>) {
    let size = [width / SQUARE, height / SQUARE];
    let mut bytes = Vec::new();
    for y in 0..size[1] {
        for x in 0..size[0] {
            for channel in 0..3 {
                let squares = (0..SQUARE * SQUARE).map(|at| {
                    let (dx, dy) = (at % SQUARE, at / SQUARE);
                    let pixel = (y * SQUARE + dy) * width + x * SQUARE + dx;
                    u32::from(pixels[4 * pixel + channel])
                });
                bytes.push((squares.sum::<u32>() / (SQUARE * SQUARE) as u32) as u8);
            }
        }
    }
    (size, bytes)
}

impl screen::Screen for Offscreen {
    fn show_texture(
        &mut self,
        texture: &wgpu::Texture,
        id: Option<egui::TextureId>,
    ) -> egui::TextureId {
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let (device, filter) = (&self.gpu.device, wgpu::FilterMode::Linear);
        let mut renderer = self.renderer.lock().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => {
                renderer.update_egui_texture_from_wgpu_texture(device, &view, filter, id);
                id
            }
            None => renderer.register_native_texture(device, &view, filter),
        }
    }

    fn renew(&mut self, _: egui::TextureId) {}

    fn scale_factor(&self) -> f32 {
        1.0
    }
}

impl TestRenderer for Offscreen {
    fn handle_delta(&mut self, delta: &mut egui::TexturesDelta) {
        let mut renderer = self.renderer.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, deltas) in &delta.set {
            for delta in deltas {
                renderer.update_texture(&self.gpu.device, &self.gpu.queue, *id, delta);
            }
        }
        for id in &delta.free {
            renderer.free_texture(id);
        }
        delta.clear();
    }
}

/// The largest mean difference of a block, and that of all.
fn differences([width, height]: [usize; 2], [pixels, kept]: [&[u8]; 2]) -> [f64; 2] {
    let difference = |x: usize, y: usize| {
        let channels = (0..3).map(|channel| {
            let at = 3 * (y * width + x) + channel;
            f64::from(pixels[at].abs_diff(kept[at]))
        });
        channels.sum::<f64>() / 3.0
    };
    let mut most: f64 = 0.0;
    let mut sum = 0.0;
    for top in (0..height).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            let (bottom, right) = ((top + BLOCK).min(height), (left + BLOCK).min(width));
            let places = (top..bottom).flat_map(|y| (left..right).map(move |x| (x, y)));
            let block: f64 = places.map(|(x, y)| difference(x, y)).sum();
            most = most.max(block / ((bottom - top) * (right - left)) as f64);
            sum += block;
        }
    }
    [most, sum / (width * height) as f64]
}

/// Compares the frame with the kept picture of a name, or keeps it where that is asked for.
fn compare(offscreen: &Offscreen, harness: &Harness<'_, Dashboard>, name: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/window");
    let path = folder.join(format!("{name}.png"));
    let (size, pixels) = offscreen.frame(harness);
    let [width, height] = size.map(|side| side as u32);
    if std::env::var_os("TRAINSCOPE_UPDATE_PICTURES").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        let image = image::RgbImage::from_raw(width, height, pixels).unwrap();
        image.save(&path).unwrap();
        return None;
    }
    let kept = image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let kept = kept.to_rgb8();
    assert_eq!(kept.dimensions(), (width, height), "{name}");
    let [block, all] = differences(size, [&pixels, kept.as_raw()]);
    (block > MOST_IN_BLOCK || all > MOST_IN_ALL)
        .then(|| format!("{name}: {block:.1} in a block, {all:.2} in all"))
}

/// Waits until nothing is asked for any more and all is drawn.
pub(super) fn settle(harness: &mut Harness<'_, Dashboard>) {
    wait(harness, "quiet", |harness| {
        let state = harness.state();
        let is_busy = state.worker.is_any_pending(|_| true);
        !is_busy && !state.is_stale && !state.layers.is_stale() && !state.units.is_stale()
    });
    for _ in 0..4 {
        harness.step();
    }
}

#[test]
fn views_look_as_they_did() {
    let (gpu, folder) = (gpu(), tempfile::tempdir().unwrap());
    let settings = ["train.optimizer.adam.lr=1e-3".to_owned()];
    let scenario = Scenario::parse(SCENARIO, "tiny.toml", &settings).unwrap();
    let dir = trained_by(&gpu, folder.path(), &scenario);
    let offscreen = Offscreen::new(&gpu);
    let builder = Harness::builder().renderer(offscreen.clone());
    let screen = offscreen.clone();
    let mut harness = window_on(&gpu, Source::Run(dir), folder.path(), screen, builder);
    wait(&mut harness, "charts", is_complete);
    // The folder of a test has another name each time.
    harness.state().set_shown_dir(PathBuf::from("runs/tiny"));
    let mut looked_at = selection(&harness).clone();
    looked_at.look_at("encoder.0", TensorKind::Activation);
    looked_at.toggle(1, 30);
    looked_at.range = Some(20..40);
    looked_at.cursor = Some(30);
    harness.state_mut().selection = Some(looked_at);
    let state = harness.state_mut();
    for request in [
        Request::Scalars,
        Request::Layers,
        Request::Units,
        Request::Past,
        Request::Explanation,
    ] {
        state.due.want(request);
    }
    settle(&mut harness);
    harness.key_press(Key::Num7);
    harness.step();
    harness.step();
    harness.get_by_label_contains("What moved unit 1").click();
    wait(&mut harness, "credit", |harness| {
        harness.state().walk.credit().is_some()
    });
    harness.key_press(Key::Num8);
    harness.step();
    harness.step();
    harness.get_by_label("Clusters of encoder.0").click();
    wait(&mut harness, "clusters", |harness| {
        harness.state().unit_pane.sheet().is_some()
    });
    let mut faults = Vec::new();
    let large = [
        ("units", [Key::Num5, Key::Num3]),
        ("credit", [Key::Num6, Key::Num7]),
        ("unit", [Key::Num6, Key::Num8]),
    ];
    for theme in ["dark", "light"] {
        for (name, keys) in large {
            for key in keys {
                harness.key_press(key);
                harness.step();
            }
            settle(&mut harness);
            let name = format!("large-{theme}-{name}");
            faults.extend(compare(&offscreen, &harness, &name));
        }
        harness.key_press(Key::D);
        harness.step();
    }
    harness.set_size(vec2(640.0, 400.0));
    let keys = [
        Key::Num1,
        Key::Num2,
        Key::Num3,
        Key::Num4,
        Key::Num5,
        Key::Num6,
        Key::Num7,
        Key::Num8,
    ];
    for (pane, key) in Pane::ALL.into_iter().zip(keys) {
        harness.key_press(key);
        harness.step();
        settle(&mut harness);
        let name = format!("small-{}", pane.title().to_lowercase());
        faults.extend(compare(&offscreen, &harness, &name));
    }
    assert_eq!(harness.state().errors(), [] as [&str; 0]);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_moved_chart_is_too_much_and_a_little_noise_is_not() {
    let size = [160, 100];
    let chart = |shift: usize| -> Vec<u8> {
        let pixel = |at: usize| {
            let (x, y) = (at % 160, at / 160);
            let is_inside = (40..90).contains(&x) && (30 + shift..70 + shift).contains(&y);
            if is_inside && (y - shift).is_multiple_of(4) {
                160
            } else {
                20
            }
        };
        (0..160 * 100).flat_map(|at| [pixel(at); 3]).collect()
    };
    let before = chart(0);
    let noisy: Vec<u8> = before
        .iter()
        .enumerate()
        .map(|(at, byte)| byte + u8::from(at % 3 == 0) * 2)
        .collect();
    let [block, all] = differences(size, [&noisy, &before]);
    assert!(block < MOST_IN_BLOCK && all < MOST_IN_ALL, "{block} {all}");
    let [block, all] = differences(size, [&chart(1), &before]);
    assert!(block > MOST_IN_BLOCK && all > MOST_IN_ALL, "{block} {all}");
}
