//! The window itself: a wgpu surface on a winit window, and egui drawn onto it.

use std::sync::Arc;
use std::time::Duration;

use winit::event_loop::ActiveEventLoop;
use winit::window::Window;

use super::screen::Screen;
use crate::gpu::{AdapterChoice, Gpu, adapter};
use crate::{Error, Result};

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
                id
            }
            None => self.renderer.register_native_texture(device, &view, filter),
        }
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
        let window = Arc::new(window);
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
            egui_wgpu::RendererOptions::default(),
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
        })
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
        let jobs = context.tessellate(output.shapes, output.pixels_per_point);
        let gpu = &self.gpu;
        for (id, deltas) in &output.textures_delta.set {
            for delta in deltas {
                self.renderer
                    .update_texture(&gpu.device, &gpu.queue, *id, delta);
            }
        }
        use wgpu::CurrentSurfaceTexture as Current;
        match self.surface.get_current_texture() {
            Current::Success(target) | Current::Suboptimal(target) => {
                let screen = egui_wgpu::ScreenDescriptor {
                    size_in_pixels: [self.config.width, self.config.height],
                    pixels_per_point: output.pixels_per_point,
                };
                let mut encoder = gpu.encoder("window");
                let mut buffers = self.renderer.update_buffers(
                    &gpu.device,
                    &gpu.queue,
                    &mut encoder,
                    &jobs,
                    &screen,
                );
                let view = target
                    .texture
                    .create_view(&wgpu::TextureViewDescriptor::default());
                let mut pass = encoder
                    .begin_render_pass(&wgpu::RenderPassDescriptor {
                        label: Some("window"),
                        color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                            view: &view,
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
                self.renderer.render(&mut pass, &jobs, &screen);
                drop(pass);
                buffers.push(encoder.finish());
                gpu.queue.submit(buffers);
                gpu.queue.present(target);
            }
            Current::Outdated | Current::Lost => self.is_outdated = true,
            // Nothing to draw on just now: the next frame tries again.
            _ => {}
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
}
