//! Patterns in recorded series: what comes again, what is like nothing else, and where a sequence of words is met.
//!
//! - **Self-joins** ([`profiles`]): for each window of a series the nearest other one, the matrix profile (Yeh and others
//!   2016), on the GPU. [`motifs`] and [`discords`] are read off them. [`distances_to`] compares one window with all of all
//!   series.
//! - **Words** ([`RunWords`]): what each unit does at each record, by stated rules; an [`Expression`] searches them.
//! - **Shapes** ([`shapes`]): the sampled lines in clusters by dynamic time warping.
//!
//! Distances are of windows that are brought to mean 0 and deviation 1 each. A window with a value that is not finite is
//! infinitely far from all others; two constant windows are 0 apart, and a constant one is the root of its length away from
//! every other (the rules of stumpy). [`reference`](mod@reference) does it on the CPU in float64.
//!
//! ```no_run
//! use trainscope::gpu::{AdapterChoice, Gpu};
//! use trainscope::patterns::{LineOptions, RunLines, Windows, discords, profiles};
//! use trainscope::trace::RunView;
//!
//! # fn main() -> trainscope::Result<()> {
//! let gpu = Gpu::new(&AdapterChoice::default())?;
//! let run = RunView::open("runs/vae-mnist".as_ref())?;
//! let lines = RunLines::read(&run, &LineOptions::default())?;
//! let windows: Vec<Windows> = (0..lines.count()).map(|line| Windows::new(lines.line(line), 20)).collect();
//! for discord in discords(&lines, &windows, &profiles(&gpu, &windows)?, 5) {
//!     println!("{:?} from step {}", lines.unit(discord.line), lines.steps[discord.start]);
//! }
//! # Ok(())
//! # }
//! ```

mod expression;
mod lines;
mod motifs;
mod products;
mod profile;
mod query;
pub mod reference;
mod shapes;
mod windows;
mod words;

pub use expression::{Expression, Found};
pub use lines::{LineOptions, RunLines};
pub use motifs::{Discord, Match, Motif, STRAIGHT, discords, motifs, nearest_matches};
pub use profile::{MIN_WINDOW, Profile, TOLERANCE, distances_to, exclusion_zone, profiles};
pub use query::{Query, QueryMatches};
pub use shapes::{Shape, Shapes, shapes};
pub use windows::{LARGEST, WindowClass, Windows};
pub use words::{AROUND, CHANGE, RunWords, SIGNIFICANT, SPIKE, TREND, Word, spelled, words_of};

/// The usual length of a window: a twentieth of the records, at least 8.
pub fn usual_window(records: usize) -> usize {
    (records / 20).max(8).min((records / 2).max(MIN_WINDOW))
}
