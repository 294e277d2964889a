//! What a person does in the window, as a text file: kept while they do it, and replayed to measure frames.
//!
//! A line is a time in seconds since the first frame, an action and what it needs. Positions are in points.
//!
//! ```text
//! # the pointer goes over the chart of units and pins one
//! 0.5 move 640 600
//! 0.8 press 640 600
//! 0.9 release 640 600
//! 1.2 key ArrowLeft
//! 1.5 scroll 0 -40
//! 2.0 text mu
//! 4.0 end
//! ```

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use egui::{
    Event, Key, Modifiers, MouseWheelSource, MouseWheelUnit, PointerButton, Pos2, TouchPhase, Vec2,
    pos2, vec2,
};

use crate::{Error, Result, files};

/// The longest interaction, in seconds.
const MAX_SECONDS: f64 = 3600.0;

/// Input at its times, in seconds since the first frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Interaction {
    events: Vec<(f64, Event)>,
    /// When it ends.
    end: f64,
}

impl Interaction {
    /// Reads a file.
    ///
    /// # Errors
    /// There is no such file, or a line in it is no action (the message says which).
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path)?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads text; `name` is what it is called in messages.
    ///
    /// # Errors
    /// A line is no action.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let mut interaction = Self::default();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |problem: &str| {
                Error::input(
                    format!("{name}, line {}", number + 1),
                    problem.to_owned(),
                    "write a time in seconds and move X Y, press X Y, release X Y, scroll X Y, key NAME, text WORDS or end",
                )
            };
            let (time, action) = line
                .split_once(' ')
                .ok_or_else(|| wrong("there is no action"))?;
            let time: f64 = time.parse().map_err(|_| wrong("it begins with no time"))?;
            if !(interaction.end..=MAX_SECONDS).contains(&time) {
                return Err(wrong(
                    "its time is before that of the line above, or beyond an hour",
                ));
            }
            interaction.end = time;
            if action != "end" {
                let events = events(action).ok_or_else(|| wrong("the action is not known"))?;
                let events = events.into_iter().map(|event| (time, event));
                interaction.events.extend(events);
            }
        }
        Ok(interaction)
    }
}

fn events(action: &str) -> Option<Vec<Event>> {
    let (verb, rest) = action.split_once(' ')?;
    let numbers = || {
        let mut numbers = rest.split_whitespace().map(str::parse::<f32>);
        let (x, y) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        (numbers.next().is_none() && x.is_finite() && y.is_finite()).then_some((x, y))
    };
    let button = |is_pressed: bool| {
        let (x, y) = numbers()?;
        Some(vec![
            Event::PointerMoved(pos2(x, y)),
            pointer(pos2(x, y), is_pressed),
        ])
    };
    match verb {
        "move" => numbers().map(|(x, y)| vec![Event::PointerMoved(pos2(x, y))]),
        "press" => button(true),
        "release" => button(false),
        "scroll" => numbers().map(|(x, y)| vec![scroll(vec2(x, y))]),
        "key" => {
            Key::from_name(rest.trim()).map(|key| vec![pressed(key, true), pressed(key, false)])
        }
        "text" => Some(vec![Event::Text(rest.to_owned())]),
        _ => None,
    }
}

fn pointer(pos: Pos2, pressed: bool) -> Event {
    Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    }
}

fn scroll(delta: Vec2) -> Event {
    Event::MouseWheel {
        unit: MouseWheelUnit::Point,
        delta,
        phase: TouchPhase::Move,
        source: MouseWheelSource::Wheel,
        modifiers: Modifiers::NONE,
    }
}

fn pressed(key: Key, pressed: bool) -> Event {
    Event::Key {
        key,
        physical_key: None,
        pressed,
        repeat: false,
        modifiers: Modifiers::NONE,
    }
}

/// The action of an event; `None` of those that are not kept, such as keys with modifiers.
fn action(event: &Event) -> Option<String> {
    match event {
        Event::PointerMoved(at) => Some(format!("move {} {}", at.x, at.y)),
        Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            ..
        } => {
            let verb = if *pressed { "press" } else { "release" };
            Some(format!("{verb} {} {}", pos.x, pos.y))
        }
        Event::MouseWheel { delta, .. } => Some(format!("scroll {} {}", delta.x, delta.y)),
        Event::Key {
            key,
            pressed: true,
            modifiers,
            ..
        } if modifiers.is_none() => Some(format!("key {}", key.name())),
        Event::Text(text) if !text.contains('\n') => Some(format!("text {text}")),
        _ => None,
    }
}

/// Keeps what a person does.
#[derive(Debug)]
pub(super) struct Keeper {
    started: Instant,
    text: String,
}

impl Keeper {
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            text: String::new(),
        }
    }

    /// Keeps the events of a frame.
    pub fn keep(&mut self, events: &[Event]) {
        let time = self.started.elapsed().as_secs_f64();
        for action in events.iter().filter_map(action) {
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "{time:.3} {action}");
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(mut self, path: &Path) -> Result<()> {
        let _ = writeln!(self.text, "{:.3} end", self.started.elapsed().as_secs_f64());
        files::write_whole(path, self.text.as_bytes())
    }
}

/// How long frames took, and how long input waited for them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FrameTimes {
    /// From the end of one frame to the end of the next, in order.
    pub frames: Vec<Duration>,
    /// Those of the frames in which something was drawn.
    pub drawn: Vec<Duration>,
    /// From the time of each input to the end of the frame that showed what it did.
    pub latencies: Vec<Duration>,
    /// Training steps that were done meanwhile.
    pub steps: u64,
    /// How long all of it took.
    pub took: Duration,
}

impl FrameTimes {
    /// The duration that a share of others is at most as long as; zero where there are none.
    pub fn percentile(durations: &[Duration], share: f64) -> Duration {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at = (share * sorted.len() as f64).ceil() as usize;
        sorted
            .get(at.saturating_sub(1).min(last))
            .copied()
            .unwrap_or_default()
    }
}

/// Replays an interaction, frame after frame without a pause, and measures.
#[derive(Debug)]
pub(super) struct Player {
    interaction: Interaction,
    next: usize,
    started: Option<(Instant, u64)>,
    last_frame: Instant,
    /// When the input that is in the frame was due.
    waiting: Vec<Instant>,
    times: FrameTimes,
}

impl Player {
    pub fn new(interaction: Interaction) -> Self {
        Self {
            interaction,
            next: 0,
            started: None,
            last_frame: Instant::now(),
            waiting: Vec::new(),
            times: FrameTimes::default(),
        }
    }

    /// Adds the input that is due to that of a frame; `step` is how far the run is.
    pub fn play(&mut self, events: &mut Vec<Event>, step: u64) {
        let now = Instant::now();
        let (started, _) = *self.started.get_or_insert_with(|| {
            self.last_frame = now;
            (now, step)
        });
        // The pointer of the machine is not part of it.
        events.retain(|event| !matches!(event, Event::PointerMoved(_) | Event::PointerGone));
        while let Some((time, event)) = self.interaction.events.get(self.next) {
            let due = started + Duration::from_secs_f64(*time);
            if due > now {
                break;
            }
            events.push(event.clone());
            self.waiting.push(due);
            self.next += 1;
        }
    }

    /// A frame has been shown, in which something was drawn or nothing had changed. Returns whether there is more.
    pub fn shown(&mut self, step: u64, is_drawn: bool) -> bool {
        let now = Instant::now();
        let Some((started, first_step)) = self.started else {
            return true;
        };
        let took = now - self.last_frame;
        self.times.frames.push(took);
        if is_drawn {
            self.times.drawn.push(took);
        }
        self.last_frame = now;
        let waiting = self.waiting.drain(..);
        self.times.latencies.extend(waiting.map(|due| now - due));
        self.times.steps = step.saturating_sub(first_step);
        self.times.took = now - started;
        let is_over = self.times.took.as_secs_f64() >= self.interaction.end;
        !(is_over && self.next == self.interaction.events.len())
    }

    pub fn times(self) -> FrameTimes {
        self.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_is_read() {
        let text = "# over the units\n0 move 640 600\n0.5 press 640 600\n0.6 release 640 600\n\n1 key ArrowLeft\n1.5 scroll 0 -40\n2 text mu 3\n4 end\n";
        let interaction = Interaction::parse(text, "a.txt").unwrap();
        assert_eq!((interaction.events.len(), interaction.end), (9, 4.0));
        let mut keeper = Keeper::new();
        let events: Vec<Event> = interaction
            .events
            .iter()
            .map(|(_, event)| event.clone())
            .collect();
        keeper.keep(&events);
        let kept: Vec<String> = keeper
            .text
            .lines()
            .map(|line| line.split_once(' ').unwrap().1.to_owned())
            .collect();
        let actions = [
            "move 640 600",
            "move 640 600",
            "press 640 600",
            "move 640 600",
            "release 640 600",
            "key Left",
            "scroll 0 -40",
            "text mu 3",
        ];
        assert_eq!(kept, actions);
        for (line, problem) in [
            ("click", "there is no action"),
            ("x key A", "no time"),
            ("1 jump 3 4", "not known"),
            ("1 move 3", "not known"),
            ("1 move NaN 3", "not known"),
            ("2 end\n1 end", "line 2"),
            ("1e9 end", "beyond an hour"),
        ] {
            let error = Interaction::parse(line, "a.txt").unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn every_event_comes_once_and_in_order() {
        let interaction = Interaction::parse("0 move 1 1\n0 move 2 2\n0.001 end", "a").unwrap();
        let mut player = Player::new(interaction);
        let mut events = Vec::new();
        player.play(&mut events, 10);
        assert_eq!(events.len(), 2);
        std::thread::sleep(Duration::from_millis(2));
        let mut more = Vec::new();
        player.play(&mut more, 11);
        assert!(more.is_empty());
        assert!(!player.shown(14, true));
        let times = player.times();
        assert_eq!((times.steps, times.latencies.len()), (4, 2));
        assert_eq!(times.frames, times.drawn);
    }

    #[test]
    fn percentiles_are_durations_of_the_list() {
        let all: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(FrameTimes::percentile(&all, 0.5), Duration::from_millis(50));
        assert_eq!(
            FrameTimes::percentile(&all, 0.99),
            Duration::from_millis(99)
        );
        assert_eq!(
            FrameTimes::percentile(&all, 1.0),
            Duration::from_millis(100)
        );
        assert_eq!(FrameTimes::percentile(&[], 0.5), Duration::ZERO);
    }
}
