//! The window: a run's pictures, live while it trains or from a run directory.
//!
//! The thread of the window only shows: it takes input, draws the textures of [`crate::view`] on the device that made
//! them, and sleeps while nothing changes. Whatever takes long (training, opening a directory, restoring a model,
//! sampling) runs on a worker, which is asked for data and wakes the window when it has some.

mod analyses;
mod arrangement_file;
mod bar;
mod controls;
mod credit_walk;
mod damage;
mod dashboard;
mod explain_pane;
mod export;
mod find;
mod history;
mod image_pane;
mod interaction;
mod jobs;
mod keys;
mod layer_squares;
mod layer_tile;
mod layer_values;
mod loss;
mod panes;
mod past;
mod preview;
mod requests;
mod run_form;
mod screen;
mod selection;
mod session;
mod source;
mod square_marks;
mod stage;
mod status;
mod step_axis;
mod stop;
mod surface;
mod tile;
mod timeline;
mod undo;
mod unit_analyses;
mod unit_lines;
mod unit_pane;
mod unit_tile;
mod view_options;
#[cfg(test)]
mod window_tests;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use winit::application::ApplicationHandler;
use winit::event::{StartCause, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop, EventLoopProxy};
use winit::window::WindowId;

use self::arrangement_file::ArrangementFile;
use self::dashboard::Dashboard;
use self::interaction::{Keeper, Player};
use self::session::Session;
use self::status::{Pacing, RunStatus};
use self::surface::Surface;
use self::unit_tile::UnitTile;
use self::worker::Worker;
use crate::gpu::{AdapterChoice, Gpu};
use crate::view::Painter;
use crate::{Error, ErrorKind, Result, panics};

pub use self::interaction::{FrameTimes, Interaction};
pub use self::source::{Source, Start, Training};
pub use self::stop::Stop;

/// Where the window's input comes from.
#[derive(Debug, Clone, Default)]
pub enum Input {
    /// A person.
    #[default]
    Person,
    /// A person, whose input is kept in this file.
    Kept(PathBuf),
    /// An interaction that was kept: frames follow each other without a pause, and the window closes at its end.
    Replayed(Interaction),
}

/// What came of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The run's directory.
    pub dir: PathBuf,
    /// Of a replayed interaction.
    pub frame_times: Option<FrameTimes>,
}

/// Opens the window and returns when it is closed, by a person or by `stop`; a run that was training is saved first, with
/// its report. `prepare` gets the device before anything runs on it, to give it a memory limit or a kernel cache.
///
/// # Errors
/// No display, no adapter that can draw to it, what ended the run (its directory then holds what was recorded), or the
/// file for the input cannot be written.
pub fn show(
    choice: &AdapterChoice,
    prepare: &dyn Fn(Gpu) -> Gpu,
    source: Source,
    stop: &Stop,
    input: Input,
) -> Result<Shown> {
    let event_loop = EventLoop::<Wake>::with_user_event()
        .build()
        .map_err(|error| no_window(format!("no display can be opened: {}", plain(&error))))?;
    stop.wakes(event_loop.create_proxy());
    let mut app = App {
        stop: stop.clone(),
        choice: choice.clone(),
        source,
        prepare,
        proxy: event_loop.create_proxy(),
        open: None,
        failure: None,
        losses: Vec::new(),
        hand: match &input {
            Input::Person => Hand::Person,
            Input::Kept(_) => Hand::Kept(Keeper::new()),
            Input::Replayed(interaction) => Hand::Replayed(Player::new(interaction.clone())),
        },
    };
    let ended = event_loop.run_app(&mut app);
    // The run is saved first, whatever has closed the window.
    let closed = app.open.map(|open| open.dashboard.close());
    if let Some(error) = app.failure {
        return Err(error);
    }
    ended.map_err(|error| no_window(plain(&error)))?;
    let dir = closed.unwrap_or_else(|| Err(no_window("it was never opened".to_owned())))?;
    let frame_times = match (app.hand, input) {
        (Hand::Kept(keeper), Input::Kept(path)) => {
            keeper.write(&path)?;
            None
        }
        (Hand::Replayed(player), _) => Some(player.times()),
        _ => None,
    };
    Ok(Shown { dir, frame_times })
}

/// Whose input it is.
#[derive(Debug)]
enum Hand {
    Person,
    Kept(Keeper),
    Replayed(Player),
}

fn no_window(problem: String) -> Error {
    Error::gpu(
        "window",
        problem,
        "use trainscope train, which needs no window",
    )
}

/// winit's words for an error of the system, without the path of the source file that they begin with.
fn plain(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    let message = text
        .strip_prefix("os error at ")
        .and_then(|located| located.split_once(".rs:"))
        .and_then(|(_, rest)| rest.split_once(": "));
    let message = message.map_or(text.as_str(), |(_, message)| message);
    message.trim_end_matches('.').to_owned()
}

/// The worker has something to show, or the window is to close.
#[derive(Debug, Clone, Copy)]
struct Wake;

struct App<'a> {
    choice: AdapterChoice,
    source: Source,
    prepare: &'a dyn Fn(Gpu) -> Gpu,
    stop: Stop,
    proxy: EventLoopProxy<Wake>,
    open: Option<Open>,
    failure: Option<Error>,
    hand: Hand,
    /// When devices were lost.
    losses: Vec<Instant>,
}

struct Open {
    surface: Surface,
    dashboard: Dashboard,
    /// When the next frame is due without input.
    next_frame: Option<Instant>,
    /// Without input there is no frame before.
    rests_until: Instant,
    /// When a person has last done something.
    touched: Instant,
}

/// Whoever has done something waits for what comes of it so long.
const ATTENTION: Duration = Duration::from_secs(1);
/// A window that loses more devices than this within a while is closed, so that it is not made anew for ever.
const MOST_LOSSES: usize = 3;
const WHILE: Duration = Duration::from_secs(120);
/// While a run trains and nobody touches the window, so many times as long as a frame has taken passes before the next.
const REST: u32 = 4;

impl App<'_> {
    fn open(&self, event_loop: &ActiveEventLoop) -> Result<Open> {
        let title = format!("trainscope: {}", self.source.title());
        let surface = Surface::new(event_loop, &self.choice, self.prepare, &title)?;
        self.open_on(surface, &self.source)
    }

    /// Shows a source on the device of a surface.
    fn open_on(&self, mut surface: Surface, source: &Source) -> Result<Open> {
        let pacing: Arc<Mutex<Pacing>> = Arc::default();
        let status: Arc<Mutex<RunStatus>> = Arc::default();
        let proxy = Mutex::new(self.proxy.clone());
        let wake = move || {
            // Without an event loop there is no window to wake.
            let _ = proxy.lock().map(|proxy| proxy.send_event(Wake));
        };
        let (gpu, source) = (surface.gpu.clone(), source.clone());
        let (shared_pacing, shared_status) = (pacing.clone(), status.clone());
        let make = move || Session::new(&gpu, &source, shared_pacing, shared_status);
        let painter = Painter::new(&surface.gpu);
        let units = UnitTile::new(&surface.gpu)?;
        let worker = Worker::start(wake, make)?;
        let kept = ArrangementFile::of_user();
        let dashboard = Dashboard::new(painter, units, worker, pacing, status, kept);
        surface.ask_for_frame();
        Ok(Open {
            surface,
            dashboard,
            next_frame: None,
            rests_until: Instant::now(),
            touched: Instant::now(),
        })
    }

    /// Makes the device, its pipelines and all views anew after the device was lost, and opens the run again.
    fn renew(&mut self, event_loop: &ActiveEventLoop, lost: Error) {
        self.losses.retain(|at| at.elapsed() < WHILE);
        self.losses.push(Instant::now());
        if self.losses.len() > MOST_LOSSES {
            // Nothing can be drawn any more: the run is saved as far as it came.
            return self.end_with(event_loop, lost);
        }
        let Some(Open {
            surface, dashboard, ..
        }) = self.open.take()
        else {
            return self.end_with(event_loop, lost);
        };
        let left = dashboard.leave(lost);
        let source = left.source(&self.source);
        let renewed = surface.renewed(&self.choice, self.prepare);
        match renewed.and_then(|surface| self.open_on(surface, &source)) {
            Ok(mut open) => {
                open.dashboard.take_up(left, &source);
                self.source = source;
                self.open = Some(open);
            }
            Err(error) => self.end_with(event_loop, error),
        }
    }

    /// Keeps the first error and ends the loop.
    fn end_with(&mut self, event_loop: &ActiveEventLoop, error: Error) {
        self.failure.get_or_insert(error);
        event_loop.exit();
    }
}

impl Open {
    /// Somebody has done something.
    fn touch(&mut self) {
        self.touched = Instant::now();
        let attention = self.surface.gpu.attention();
        attention.wait_until(self.touched + ATTENTION);
    }

    /// Fits the surface to the window, once the worker rests: it wakes the window then.
    fn fit(&mut self) {
        let is_sound = self.surface.gpu.check().is_ok();
        if is_sound && self.surface.is_outdated() && self.dashboard.rest_worker() {
            self.surface.fit();
            self.dashboard.resume_worker();
        }
    }

    /// Draws a frame; `false` where it was the last one.
    fn frame(&mut self, hand: &mut Hand) -> Result<bool> {
        let started = Instant::now();
        if let Hand::Replayed(_) = hand {
            self.touch();
        }
        let gpu = self.surface.gpu.clone();
        let in_progress = gpu.attention().frame();
        gpu.check()?;
        self.fit();
        self.dashboard.update(&mut self.surface);
        let step = self.dashboard.status().step;
        let is_ready = self.dashboard.scalars.is_some();
        let change = |events: &mut Vec<egui::Event>| match hand {
            Hand::Person => {}
            Hand::Kept(keeper) => keeper.keep(events),
            Hand::Replayed(player) if is_ready => player.play(events, step),
            Hand::Replayed(_) => {}
        };
        let dashboard = &mut self.dashboard;
        let delay = self.surface.frame(change, |ui| dashboard.ui(ui))?;
        drop(in_progress);
        // What was chosen in this frame is asked for now, not with the next input.
        self.dashboard.ask();
        let now = Instant::now();
        let is_training = self.dashboard.status().is_training;
        let rest = match is_training && self.touched.elapsed() > ATTENTION {
            true => (now - started) * REST,
            false => Duration::ZERO,
        };
        self.rests_until = now + rest;
        self.next_frame = delay.map(|delay| now + delay.max(rest));
        if let Hand::Replayed(player) = hand {
            self.surface.finish()?;
            self.next_frame = Some(Instant::now());
            return Ok(player.shown(step, self.surface.has_drawn()));
        }
        Ok(true)
    }
}

impl ApplicationHandler<Wake> for App<'_> {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.open.is_none() {
            match self.open(event_loop) {
                Ok(open) => self.open = Some(open),
                Err(error) => self.end_with(event_loop, error),
            }
        }
    }

    fn new_events(&mut self, _: &ActiveEventLoop, cause: StartCause) {
        if let (StartCause::ResumeTimeReached { .. }, Some(open)) = (cause, &mut self.open) {
            open.surface.ask_for_frame();
        }
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, _: Wake) {
        if self.stop.is_requested() {
            event_loop.exit();
        } else if let Some(open) = &mut self.open {
            // Not only in frames, of which a hidden window has none: the worker would rest for ever.
            open.fit();
            if Instant::now() < open.rests_until {
                let due = open.rests_until;
                open.next_frame = Some(open.next_frame.map_or(due, |next| next.min(due)));
            } else {
                open.surface.ask_for_frame();
            }
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(open) = &mut self.open else {
            return;
        };
        // egui wants a frame after each that is drawn, which would never end.
        if open.surface.on_event(&event) && event != WindowEvent::RedrawRequested {
            open.touch();
            open.surface.ask_for_frame();
        }
        match event {
            WindowEvent::CloseRequested => event_loop.exit(),
            WindowEvent::Resized(_) | WindowEvent::ScaleFactorChanged { .. } => {
                open.surface.invalidate();
                open.surface.ask_for_frame();
            }
            WindowEvent::RedrawRequested => {
                open.surface.frame_is_due();
                match panics::caught(|| open.frame(&mut self.hand)) {
                    Ok(true) => {}
                    Ok(false) => event_loop.exit(),
                    Err(error) if error.kind() == ErrorKind::DeviceLost => {
                        self.renew(event_loop, error);
                    }
                    Err(error) => open.dashboard.report(&error),
                }
            }
            _ => {}
        }
    }

    fn exiting(&mut self, _: &ActiveEventLoop) {
        if let Some(open) = &self.open {
            open.surface.window.set_title("trainscope: saving the run");
        }
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        let next = self.open.as_ref().and_then(|open| open.next_frame);
        event_loop.set_control_flow(next.map_or(ControlFlow::Wait, ControlFlow::WaitUntil));
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn errors_of_the_system_come_without_paths_of_the_build() {
        let located = "os error at /home/me/.cargo/winit-0.30/src/x11: y/mod.rs:765: neither WAYLAND_DISPLAY nor DISPLAY is set.";
        assert_eq!(
            plain(&located),
            "neither WAYLAND_DISPLAY nor DISPLAY is set"
        );
        assert_eq!(plain(&"the connection was lost"), "the connection was lost");
    }
}
