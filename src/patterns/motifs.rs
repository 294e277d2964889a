//! What self-joins of many series show: windows that come again (motifs) and windows that nothing else is like (discords).

use super::lines::RunLines;
use super::profile::{Profile, exclusion_zone};
use super::windows::{WindowClass, Windows};

/// A window whose correlation with a straight line is at least this is straight. Every two ramps are alike, so that a straight
/// window is no motif.
pub const STRAIGHT: f64 = 0.97;

/// Two windows of a line that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Motif {
    /// The line.
    pub line: usize,
    /// Where the two begin.
    pub starts: [usize; 2],
    /// Their distance, each brought to mean 0 and deviation 1.
    pub distance: f64,
    /// The median distance of the line's windows to their nearest ones.
    pub typical: f64,
    /// Lines of the same tensor with such a pair at about the same two places, this one included.
    pub lines: usize,
}

/// A window that is far from all others of its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Discord {
    /// The line.
    pub line: usize,
    /// Where it begins.
    pub start: usize,
    /// The distance to the nearest other window, each brought to mean 0 and deviation 1.
    pub distance: f64,
    /// Where that begins.
    pub nearest: usize,
    /// The median distance of the line's windows to their nearest ones.
    pub typical: f64,
    /// Lines of the same tensor with such a window at about the same place, this one included.
    pub lines: usize,
}

impl Discord {
    /// How many times the usual distance its own is: discords of different lines are ranked by it.
    pub fn contrast(&self) -> f64 {
        self.distance / self.typical.max(f64::MIN_POSITIVE)
    }
}

/// The `count` nearest pairs of all lines, those of equal distance in the order of lines and starts. Constant and straight
/// windows do not count. Pairs of one tensor at about the same places are one motif.
pub fn motifs(
    lines: &RunLines,
    windows: &[Windows],
    profiles: &[Profile],
    count: usize,
) -> Vec<Motif> {
    let mut all = Vec::new();
    for (line, (windows, profile)) in windows.iter().zip(profiles).enumerate() {
        let typical = median(&profile.distances);
        let has_shape = |start: usize| is_shaped(windows, start);
        let pairs = profile.neighbors.iter().enumerate();
        let mut pairs: Vec<(f64, usize, usize)> = pairs
            .filter_map(|(start, other)| Some((profile.distances[start], start, (*other)?)))
            .filter(|(distance, start, other)| {
                distance.is_finite() && has_shape(*start) && has_shape(*other)
            })
            .collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let zone = exclusion_zone(windows.length);
        let mut taken: Vec<usize> = Vec::new();
        for (distance, start, other) in pairs {
            if taken.len() >= 2 * count {
                break;
            }
            let overlaps = |start: usize| taken.iter().any(|known| known.abs_diff(start) <= zone);
            if !overlaps(start) && !overlaps(other) {
                taken.extend([start, other]);
                all.push(Motif {
                    line,
                    starts: [start.min(other), start.max(other)],
                    distance,
                    typical,
                    lines: 1,
                });
            }
        }
    }
    all.sort_by(|a, b| {
        let places = (a.line, a.starts).cmp(&(b.line, b.starts));
        a.distance.total_cmp(&b.distance).then(places)
    });
    let near = |a: &Motif, b: &Motif, within: usize| {
        let pairs = a.starts.iter().zip(b.starts);
        pairs.into_iter().all(|(a, b)| a.abs_diff(b) <= within)
    };
    merged(
        lines,
        windows,
        all,
        count,
        |motif| motif.line,
        |motif| &mut motif.lines,
        near,
    )
}

/// The `count` windows of all lines that are farthest from all others, by their [contrast](Discord::contrast). Windows of one
/// tensor at about the same place are one discord.
pub fn discords(
    lines: &RunLines,
    windows: &[Windows],
    profiles: &[Profile],
    count: usize,
) -> Vec<Discord> {
    let mut all = Vec::new();
    for (line, (windows, profile)) in windows.iter().zip(profiles).enumerate() {
        let typical = median(&profile.distances);
        let starts = profile.neighbors.iter().enumerate();
        let mut own: Vec<Discord> = starts
            .filter_map(|(start, nearest)| {
                let distance = profile.distances[start];
                let is_one = distance.is_finite() && distance > 0.0 && typical > 0.0;
                is_one.then_some(Discord {
                    line,
                    start,
                    distance,
                    nearest: (*nearest)?,
                    typical,
                    lines: 1,
                })
            })
            .collect();
        own.sort_by(|a, b| {
            b.distance
                .total_cmp(&a.distance)
                .then(a.start.cmp(&b.start))
        });
        let mut taken: Vec<Discord> = Vec::new();
        for discord in own {
            if taken.len() >= count {
                break;
            }
            let is_free = |known: &Discord| known.start.abs_diff(discord.start) >= windows.length;
            if taken.iter().all(is_free) {
                taken.push(discord);
            }
        }
        all.extend(taken);
    }
    all.sort_by(|a, b| {
        let places = (a.line, a.start).cmp(&(b.line, b.start));
        b.contrast().total_cmp(&a.contrast()).then(places)
    });
    let near = |a: &Discord, b: &Discord, within: usize| a.start.abs_diff(b.start) <= within;
    merged(
        lines,
        windows,
        all,
        count,
        |discord| discord.line,
        |discord| &mut discord.lines,
        near,
    )
}

/// The first `count` of a ranked list. One of a tensor that is near one that ranks above it is counted there, once a line.
fn merged<T>(
    lines: &RunLines,
    windows: &[Windows],
    ranked: Vec<T>,
    count: usize,
    line_of: impl Fn(&T) -> usize,
    lines_of: impl Fn(&mut T) -> &mut usize,
    near: impl Fn(&T, &T, usize) -> bool,
) -> Vec<T> {
    let within = windows.first().map_or(0, |windows| windows.length / 2);
    let mut found: Vec<(T, Vec<usize>)> = Vec::new();
    for next in ranked {
        let line = line_of(&next);
        let is_same = |(known, _): &&mut (T, Vec<usize>)| {
            lines.unit(line_of(known)).tensor == lines.unit(line).tensor
                && near(known, &next, within)
        };
        if let Some((_, own)) = found.iter_mut().find(is_same) {
            if !own.contains(&line) {
                own.push(line);
            }
        } else if found.len() < count {
            found.push((next, vec![line]));
        }
    }
    let counted = found.into_iter().map(|(mut item, own)| {
        *lines_of(&mut item) = own.len();
        item
    });
    counted.collect()
}

/// The window at `start` of the line `line` is like the query.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The line.
    pub line: usize,
    /// Where the window begins.
    pub start: usize,
    /// Its distance to the query, each brought to mean 0 and deviation 1.
    pub distance: f64,
}

/// The `count` windows that are nearest to the query at `query` (a line and a start), which is itself left out. Windows of a
/// line that overlap a nearer one do not count.
pub fn nearest_matches(
    distances: &[Vec<f64>],
    length: usize,
    query: (usize, usize),
    count: usize,
) -> Vec<Match> {
    let zone = exclusion_zone(length);
    let mut all: Vec<Match> = Vec::new();
    for (line, distances) in distances.iter().enumerate() {
        let starts = distances.iter().enumerate();
        all.extend(starts.filter_map(|(start, &distance)| {
            let is_query = line == query.0 && start.abs_diff(query.1) <= zone;
            (distance.is_finite() && !is_query).then_some(Match {
                line,
                start,
                distance,
            })
        }));
    }
    all.sort_by(|a, b| {
        let places = (a.line, a.start).cmp(&(b.line, b.start));
        a.distance.total_cmp(&b.distance).then(places)
    });
    let mut found: Vec<Match> = Vec::new();
    for next in all {
        if found.len() >= count {
            break;
        }
        let overlaps =
            |known: &Match| known.line == next.line && known.start.abs_diff(next.start) <= zone;
        if !found.iter().any(overlaps) {
            found.push(next);
        }
    }
    found
}

/// Whether a window is neither constant nor straight nor has values that are not finite.
fn is_shaped(windows: &Windows, start: usize) -> bool {
    if windows.classes[start] != WindowClass::Varied {
        return false;
    }
    let length = windows.length as f64;
    let middle = (length - 1.0) / 2.0;
    let products = windows
        .normalized(start)
        .enumerate()
        .map(|(k, value)| (k as f64 - middle) * value);
    let norm = (length * (length * length - 1.0) / 12.0).sqrt();
    (products.sum::<f64>() / norm).abs() < STRAIGHT
}

/// The median of the finite distances; 0 where there are none.
fn median(distances: &[f64]) -> f64 {
    let mut finite: Vec<f64> = distances
        .iter()
        .copied()
        .filter(|d| d.is_finite())
        .collect();
    finite.sort_by(f64::total_cmp);
    finite.get(finite.len() / 2).copied().unwrap_or(0.0)
}
