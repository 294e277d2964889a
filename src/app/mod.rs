//! The window: a run's pictures, live while it trains or from a run directory.
//!
//! It is thin on purpose. Training runs in the same loop, a few steps between two frames; the pictures are the
//! textures of [`crate::view`], drawn on the same device, so nothing is copied to show them.

mod dashboard;
mod history;
mod session;
mod surface;

use std::path::PathBuf;

use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop};
use winit::window::WindowId;

use self::dashboard::Dashboard;
use self::session::Session;
use self::surface::Surface;
use crate::gpu::{AdapterChoice, Gpu};
use crate::train::Scenario;
use crate::{Error, Result};

/// What the window shows.
#[derive(Debug, Clone)]
pub enum Source {
    /// A scenario, trained live and recorded in a new directory.
    Scenario(Box<Scenario>, PathBuf),
    /// A run directory.
    Run(PathBuf),
}

/// Opens the window and returns when it is closed; a run that was training is saved first. Returns the run's
/// directory.
///
/// The device is made on an adapter of `choice` that can draw to the window, and goes through `prepare` before it is used,
/// which may limit its memory or give it a kernel cache.
///
/// # Errors
/// No display, no adapter that can draw to it, or whatever ends a run.
pub fn show(
    choice: &AdapterChoice,
    prepare: &dyn Fn(Gpu) -> Gpu,
    source: Source,
) -> Result<PathBuf> {
    let event_loop = EventLoop::new().map_err(|error| {
        Error::gpu(
            "window",
            format!("no display can be opened: {error}"),
            "train without a window with trainscope train",
        )
    })?;
    let mut app = App {
        choice,
        prepare,
        source,
        open: None,
        failure: None,
    };
    let ended = event_loop.run_app(&mut app);
    if let Some(error) = app.failure {
        return Err(error);
    }
    ended
        .map_err(|error| Error::gpu("window", error.to_string(), "train with trainscope train"))?;
    match app.open {
        Some(open) => open.session.close(),
        None => Err(Error::gpu(
            "window",
            "it was never opened",
            "train without a window with trainscope train",
        )),
    }
}

struct App<'a> {
    choice: &'a AdapterChoice,
    prepare: &'a dyn Fn(Gpu) -> Gpu,
    source: Source,
    open: Option<Open>,
    failure: Option<Error>,
}

struct Open {
    surface: Surface,
    session: Session,
    dashboard: Dashboard,
}

impl App<'_> {
    fn open(&self, event_loop: &ActiveEventLoop) -> Result<Open> {
        let title = match &self.source {
            Source::Scenario(scenario, _) => format!("trainscope: {}", scenario.name),
            Source::Run(dir) => format!("trainscope: {}", dir.display()),
        };
        let surface = Surface::new(event_loop, self.choice, self.prepare, &title)?;
        let session = Session::new(&surface.gpu, &self.source)?;
        let dashboard = Dashboard::new(&surface.gpu, &session)?;
        surface.window.request_redraw();
        Ok(Open {
            surface,
            session,
            dashboard,
        })
    }

    /// Keeps the first error and ends the loop.
    fn end_on_error(&mut self, event_loop: &ActiveEventLoop, result: Result<()>) {
        if let Err(error) = result {
            self.failure.get_or_insert(error);
            event_loop.exit();
        }
    }
}

impl Open {
    fn frame(&mut self) -> Result<()> {
        self.session.advance()?;
        self.dashboard.refresh(&mut self.surface, &self.session)?;
        let (session, dashboard) = (&mut self.session, &mut self.dashboard);
        self.surface.frame(|ui| dashboard.ui(ui, session))
    }
}

impl ApplicationHandler for App<'_> {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.open.is_none() {
            let opened = self.open(event_loop).map(|open| self.open = Some(open));
            self.end_on_error(event_loop, opened);
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(open) = &mut self.open else {
            return;
        };
        if open.surface.on_event(&event) {
            open.surface.window.request_redraw();
        }
        let result = match event {
            WindowEvent::CloseRequested => {
                event_loop.exit();
                Ok(())
            }
            WindowEvent::Resized(_) | WindowEvent::ScaleFactorChanged { .. } => {
                open.surface.resize();
                Ok(())
            }
            WindowEvent::RedrawRequested => open.frame(),
            _ => Ok(()),
        };
        self.end_on_error(event_loop, result);
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        let Some(open) = &self.open else {
            return;
        };
        if open.session.wants_steps() || open.dashboard.is_stale() {
            open.surface.window.request_redraw();
        }
        // Training is paced by the session itself; a small wait leaves the rest of the machine alone.
        let pause = std::time::Duration::from_millis(8);
        event_loop.set_control_flow(ControlFlow::wait_duration(pause));
    }
}
