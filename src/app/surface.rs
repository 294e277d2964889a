//! The window itself: a wgpu surface on a winit window, and egui drawn onto it.

use std::sync::Arc;
use std::time::Duration;

use winit::event_loop::ActiveEventLoop;
use winit::window::Window;

use super::damage::Damage;
use super::screen::Screen;
use crate::gpu::{AdapterChoice, Gpu, adapter};
use crate::{Error, Result, panics};

/// Longer waits for the next frame are waits for input.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// A window, its surface, and egui's input and output on it.
pub(super) struct Surface {
    pub window: Arc<Window>,
    pub gpu: Gpu,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
    state: egui_winit::State,
    renderer: egui_wgpu::Renderer,
    /// The system's clipboard, from the first copy on: who copies has to stay for others to paste.
    clipboard: Option<arboard::Clipboard>,
    is_outdated: bool,
    /// What is shown, on which the next frame is drawn; made anew for another size.
    kept: Option<wgpu::Texture>,
    damage: Damage,
    /// Whether the window shows something else than what is kept, such as after another window has lain over it.
    is_exposed: bool,
    /// Whether a frame was asked for that has not come.
    is_asked: bool,
    /// Whether the last frame looked different from the one before.
    has_drawn: bool,
}

fn failed(what: &str, error: impl std::fmt::Display) -> Error {
    Error::gpu(
        "window",
        format!("{what}: {}", super::plain(&error)),
        "use trainscope train, which needs no window",
    )
}

impl Screen for Surface {
    fn show_texture(
        &mut self,
        texture: &wgpu::Texture,
        id: Option<egui::TextureId>,
    ) -> egui::TextureId {
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let filter = wgpu::FilterMode::Linear;
        let device = &self.gpu.device;
        match id {
            Some(id) => {
                self.renderer
                    .update_egui_texture_from_wgpu_texture(device, &view, filter, id);
                self.damage.renew(id);
                id
            }
            None => self.renderer.register_native_texture(device, &view, filter),
        }
    }

    fn renew(&mut self, id: egui::TextureId) {
        self.damage.renew(id);
    }

    fn scale_factor(&self) -> f32 {
        self.window.scale_factor() as f32
    }
}

impl Surface {
    /// Opens a window and a device that can draw to it, which `prepare` completes.
    pub fn new(
        event_loop: &ActiveEventLoop,
        choice: &AdapterChoice,
        prepare: &dyn Fn(Gpu) -> Gpu,
        title: &str,
    ) -> Result<Self> {
        let attributes = Window::default_attributes()
            .with_title(title)
            .with_inner_size(winit::dpi::LogicalSize::new(1280.0, 860.0))
            .with_min_inner_size(winit::dpi::LogicalSize::new(320.0, 240.0));
        let window = event_loop
            .create_window(attributes)
            .map_err(|error| failed("no window can be opened", error))?;
        Self::on(Arc::new(window), choice, prepare)
    }

    /// The same window with a device of its own: the one before was lost.
    ///
    /// # Errors
    /// As [`Surface::new`].
    pub fn renewed(self, choice: &AdapterChoice, prepare: &dyn Fn(Gpu) -> Gpu) -> Result<Self> {
        let Self {
            window,
            clipboard,
            surface,
            renderer,
            gpu,
            ..
        } = self;
        // A window has one surface at a time. What a lost device has made may panic when it ends.
        let _ = panics::caught(|| {
            drop((renderer, surface, gpu));
            Ok(())
        });
        Ok(Self {
            clipboard,
            ..Self::on(window, choice, prepare)?
        })
    }

    fn on(
        window: Arc<Window>,
        choice: &AdapterChoice,
        prepare: &dyn Fn(Gpu) -> Gpu,
    ) -> Result<Self> {
        let instance = adapter::instance();
        let surface = instance
            .create_surface(window.clone())
            .map_err(|error| failed("the window has no surface", error))?;
        let chosen = adapter::choose(&instance, choice, Some(&surface))?;
        let gpu = prepare(Gpu::on(&chosen)?);
        let size = window.inner_size();
        let mut config = surface
            .get_default_config(&chosen, size.width.max(1), size.height.max(1))
            .ok_or_else(|| failed("the window has no surface", "the adapter offers no format"))?;
        // egui wants colors as they are, without a conversion on writing.
        if let Some(plain) = surface
            .get_capabilities(&chosen)
            .formats
            .into_iter()
            .find(|format| !format.is_srgb())
        {
            config.format = plain;
        }
        // What is kept of a frame is copied to the window.
        config.usage |= wgpu::TextureUsages::COPY_DST;
        surface.configure(&gpu.device, &config);
        let state = egui_winit::State::new(
            egui::Context::default(),
            egui::ViewportId::ROOT,
            &window,
            Some(window.scale_factor() as f32),
            None,
            Some(gpu.limits().max_texture_dimension_2d as usize),
        );
        let renderer = egui_wgpu::Renderer::new(
            &gpu.device,
            config.format,
            egui_wgpu::RendererOptions {
                // There are no gradients whose steps it would hide, and it is paid for at every pixel.
                dithering: false,
                ..egui_wgpu::RendererOptions::default()
            },
        );
        Ok(Self {
            window,
            gpu,
            surface,
            config,
            state,
            renderer,
            clipboard: None,
            is_outdated: false,
            kept: None,
            damage: Damage::default(),
            is_exposed: true,
            is_asked: false,
            has_drawn: false,
        })
    }

    /// Whether the last frame looked different from the one before.
    pub fn has_drawn(&self) -> bool {
        self.has_drawn
    }

    /// Asks the system for a frame.
    pub fn ask_for_frame(&mut self) {
        self.is_asked = true;
        self.window.request_redraw();
    }

    /// A frame is due. One that nobody has asked for is due because the window has lost what it showed.
    pub fn frame_is_due(&mut self) {
        self.is_exposed |= !std::mem::take(&mut self.is_asked);
    }

    /// Hands an event to egui; `true` asks for a new frame.
    pub fn on_event(&mut self, event: &winit::event::WindowEvent) -> bool {
        self.state.on_window_event(&self.window, event).repaint
    }

    /// The surface no longer fits the window: [`Surface::fit`] is due.
    pub fn invalidate(&mut self) {
        self.is_outdated = true;
    }

    /// Whether the surface no longer fits the window.
    pub fn is_outdated(&self) -> bool {
        self.is_outdated
    }

    /// Fits the surface to the window. wgpu wants the device to be idle for that: nobody else may submit meanwhile.
    pub fn fit(&mut self) {
        self.is_outdated = false;
        self.kept = None;
        let size = self.window.inner_size();
        if size.width > 0 && size.height > 0 {
            self.config.width = size.width;
            self.config.height = size.height;
            self.surface.configure(&self.gpu.device, &self.config);
        }
    }

    /// Hands text to the system's clipboard, where there is one.
    fn copy(&mut self, text: &str) {
        if self.clipboard.is_none() {
            self.clipboard = arboard::Clipboard::new().ok();
        }
        if let Some(clipboard) = &mut self.clipboard {
            // Without one, text that was copied can be pasted in the window alone.
            let _ = clipboard.set_text(text);
        }
    }

    /// Waits until all that was submitted has been drawn.
    ///
    /// # Errors
    /// The device was lost.
    pub fn finish(&self) -> Result<()> {
        self.gpu.wait()
    }

    /// Draws one frame of `ui` after a `change` of its input, and returns after what time egui wants the next one, if without
    /// input.
    ///
    /// # Errors
    /// The device was lost or reported an error.
    pub fn frame(
        &mut self,
        change: impl FnOnce(&mut Vec<egui::Event>),
        ui: impl FnMut(&mut egui::Ui),
    ) -> Result<Option<Duration>> {
        let mut input = self.state.take_egui_input(&self.window);
        change(&mut input.events);
        let context = self.state.egui_ctx().clone();
        let mut output = context.run_ui(input, ui);
        for command in &output.platform_output.commands {
            if let egui::OutputCommand::CopyText(text) = command {
                self.copy(text);
            }
        }
        self.state
            .handle_platform_output(&self.window, output.platform_output);
        let root = output.viewport_output.get(&egui::ViewportId::ROOT);
        let next = root.map(|viewport| viewport.repaint_delay);
        let shapes = context.tessellate(output.shapes, output.pixels_per_point);
        let gpu = &self.gpu;
        for (id, deltas) in &output.textures_delta.set {
            for delta in deltas {
                if delta.is_whole() {
                    self.damage.renew(*id);
                }
                self.renderer
                    .update_texture(&gpu.device, &gpu.queue, *id, delta);
            }
        }
        self.has_drawn = self.draw(shapes, output.pixels_per_point);
        if self.has_drawn || self.is_exposed {
            self.present();
        }
        for id in &output.textures_delta.free {
            self.renderer.free_texture(id);
        }
        // All of it has been applied.
        output.textures_delta.clear();
        self.gpu.check()?;
        // egui says that it wants none by a delay without end.
        Ok(next.filter(|delay| *delay < MAX_DELAY))
    }

    /// Draws what looks different from the frame before over what is kept of that; `false` where nothing does.
    fn draw(&mut self, shapes: Vec<egui::ClippedPrimitive>, pixels_per_point: f32) -> bool {
        let gpu = &self.gpu;
        let (width, height) = (self.config.width, self.config.height);
        let kept = self.kept.take().unwrap_or_else(|| {
            self.damage.all();
            gpu.device.create_texture(&wgpu::TextureDescriptor {
                label: Some("window"),
                size: wgpu::Extent3d {
                    width,
                    height,
                    depth_or_array_layers: 1,
                },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: self.config.format,
                usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
                view_formats: &[],
            })
        });
        let size = egui::vec2(width as f32, height as f32) / pixels_per_point;
        let whole = egui::Rect::from_min_size(egui::Pos2::ZERO, size);
        let parts = self.damage.of(shapes, whole, pixels_per_point);
        if !parts.is_empty() {
            let shapes = self.damage.shapes_in(&parts);
            let screen = egui_wgpu::ScreenDescriptor {
                size_in_pixels: [width, height],
                pixels_per_point,
            };
            let mut encoder = gpu.encoder("window");
            let mut buffers = self.renderer.update_buffers(
                &gpu.device,
                &gpu.queue,
                &mut encoder,
                &shapes,
                &screen,
            );
            let view = kept.create_view(&wgpu::TextureViewDescriptor::default());
            let mut pass = encoder
                .begin_render_pass(&wgpu::RenderPassDescriptor {
                    label: Some("window"),
                    color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                        view: &view,
                        depth_slice: None,
                        resolve_target: None,
                        ops: wgpu::Operations {
                            load: wgpu::LoadOp::Load,
                            store: wgpu::StoreOp::Store,
                        },
                    })],
                    ..Default::default()
                })
                .forget_lifetime();
            self.renderer.render(&mut pass, &shapes, &screen);
            drop(pass);
            buffers.push(encoder.finish());
            gpu.queue.submit(buffers);
        }
        self.kept = Some(kept);
        !parts.is_empty()
    }

    /// Shows what is kept.
    fn present(&mut self) {
        use wgpu::CurrentSurfaceTexture as Current;
        let Some(kept) = &self.kept else {
            return;
        };
        // Until it is shown: the next frame tries again.
        self.is_exposed = true;
        match self.surface.get_current_texture() {
            Current::Success(target) | Current::Suboptimal(target) => {
                let mut encoder = self.gpu.encoder("window");
                encoder.copy_texture_to_texture(
                    kept.as_image_copy(),
                    target.texture.as_image_copy(),
                    kept.size(),
                );
                self.gpu.queue.submit([encoder.finish()]);
                self.gpu.queue.present(target);
                self.is_exposed = false;
            }
            Current::Outdated | Current::Lost => self.is_outdated = true,
            // Nothing to draw on just now.
            _ => {}
        }
    }
}
