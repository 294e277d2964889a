//! The radius that keeps a wanted number of lines.

use super::choice::Choice;
use crate::Result;

/// Smaller radii cannot be distinguished from rounding.
pub(super) const MIN_RADIUS: f32 = 1e-6;
/// Heights lie in a range of this extent, so that only what cannot be compared at all is farther apart.
pub(super) const MAX_RADIUS: f32 = 3.0;

const MAX_PROBES: usize = 24;
/// The first radius, and the factor between the next ones until the wanted count lies between two.
const FIRST_RADIUS: f32 = 0.1;
const RADIUS_FACTOR: f32 = 4.0;

/// A radius and how many lines it keeps.
#[derive(Clone, Copy)]
struct RadiusProbe {
    radius: f32,
    size: usize,
}

/// The choice among the radii tried that keeps as many lines as are wanted, or, without such a radius, the largest smaller
/// one; the fewest lines that any radius keeps where even those are more. Also the rounds of all probes.
///
/// The size falls with the radius, roughly as a power and not strictly, so the search interpolates between
/// logarithms and keeps the best that it has seen. A probe that keeps far too many lines is given up early.
pub(super) fn at_most(
    choose: impl Fn(f32, usize) -> Result<Choice>,
    keep: usize,
) -> Result<(Choice, usize)> {
    let max_kept = keep.saturating_add(keep / 2).saturating_add(16);
    let mut rounds = 0;
    let mut best: Option<Choice> = None;
    // The nearest radii that kept too many and too few lines.
    let (mut many, mut few): (Option<RadiusProbe>, Option<RadiusProbe>) = (None, None);
    let mut radius = FIRST_RADIUS;
    for _ in 0..MAX_PROBES {
        let choice = choose(radius, max_kept)?;
        rounds += choice.rounds();
        let size = choice.len();
        let is_better = |best: &Choice| size > best.len();
        if choice.is_complete() && size <= keep && best.as_ref().is_none_or(is_better) {
            best = Some(choice);
        }
        let probe = Some(RadiusProbe { radius, size });
        match size.cmp(&keep) {
            std::cmp::Ordering::Equal => break,
            std::cmp::Ordering::Greater => many = probe,
            std::cmp::Ordering::Less => few = probe,
        }
        radius = match (many, few) {
            (Some(many), Some(few)) if few.radius <= many.radius * (1.0 + 1e-4) => break,
            (Some(many), Some(few)) => between(many, few, keep),
            (Some(_), None) if radius < MAX_RADIUS => (radius * RADIUS_FACTOR).min(MAX_RADIUS),
            (None, Some(_)) if radius > MIN_RADIUS => (radius / RADIUS_FACTOR).max(MIN_RADIUS),
            _ => break,
        };
    }
    match best {
        Some(best) => Ok((best, rounds)),
        // Lines that nothing else can represent are more than were wanted.
        None => {
            let choice = choose(MAX_RADIUS, usize::MAX)?;
            rounds += choice.rounds();
            Ok((choice, rounds))
        }
    }
}

/// Where the wanted size lies on a power law through two probes, but not too near to either.
fn between(many: RadiusProbe, few: RadiusProbe, keep: usize) -> f32 {
    let log = |size: usize| (size.max(1) as f32).ln();
    let share = (log(many.size) - log(keep)) / (log(many.size) - log(few.size));
    let (low, high) = (many.radius.ln(), few.radius.ln());
    (low + (high - low) * share.clamp(0.15, 0.85)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_radius_follows_the_power_law() {
        let many = RadiusProbe {
            radius: 0.01,
            size: 10_000,
        };
        let few = RadiusProbe {
            radius: 0.1,
            size: 100,
        };
        let radius = between(many, few, 1000);
        assert!((radius - 0.01 * 10f32.sqrt()).abs() < 1e-5, "{radius}");
        // Close to an end it stays inside, so that the bracket shrinks.
        assert!(between(many, few, 101) < 0.09);
    }
}
