//! More lines where no radius gives as many as are wanted: the line that is farthest from all kept ones, again and again.
//!
//! The distances to the kept lines only fall as lines are added, so an old distance is a bound, and only the line with the
//! largest one has to be compared with what was added since.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::atomic::AtomicBool;

use super::exact_rows::ExactRows;
use super::source::stop_if;
use crate::Result;

/// A hidden line and what is known of its distance to the kept lines.
#[derive(Debug, PartialEq)]
struct Hidden {
    /// To the nearest of the first `compared` kept lines.
    distance: f64,
    compared: usize,
    /// Its position in the order of priority.
    rank: usize,
    line: u32,
}

impl Eq for Hidden {}

impl Ord for Hidden {
    /// Farther ones are greater, of equally far ones those that come first by priority.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_distance = self.distance.total_cmp(&other.distance);
        by_distance.then(other.rank.cmp(&self.rank))
    }
}

impl PartialOrd for Hidden {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Adds lines to `kept` until there are `wanted`, or until every other line equals a kept one. Gives the distance of the
/// last one to those before it; `None` where none was added. `order` has all lines by priority.
pub(super) fn add_farthest(
    rows: &ExactRows,
    order: &[u32],
    kept: &mut Vec<u32>,
    wanted: usize,
    cancelled: &AtomicBool,
) -> Result<Option<f64>> {
    let mut is_kept = vec![false; order.len()];
    kept.iter().for_each(|&line| is_kept[line as usize] = true);
    let mut hidden: BinaryHeap<Hidden> = (0..)
        .zip(order)
        .filter(|(_, line)| !is_kept[**line as usize])
        .map(|(rank, &line)| Hidden {
            distance: f64::INFINITY,
            compared: 0,
            rank,
            line,
        })
        .collect();
    let mut last = None;
    let mut comparisons = 0usize;
    while kept.len() < wanted {
        let Some(mut farthest) = hidden.pop() else {
            break;
        };
        if farthest.compared < kept.len() {
            comparisons += kept.len() - farthest.compared;
            if comparisons >= 1 << 20 {
                comparisons = 0;
                stop_if(cancelled)?;
            }
            for &other in &kept[farthest.compared..] {
                let distance = rows.distance_below(farthest.line, other, farthest.distance);
                farthest.distance = farthest.distance.min(distance);
            }
            farthest.compared = kept.len();
            hidden.push(farthest);
        } else if farthest.distance > 0.0 {
            kept.push(farthest.line);
            last = Some(farthest.distance);
        } else {
            break;
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers on a line: the farthest is the middle of the widest gap.
    #[test]
    fn the_farthest_line_is_added_first() {
        let mut rows = ExactRows::default();
        for value in [0.0, 1.0, 0.5, 0.25, 1.0, 0.5 + 1e-12] {
            rows.push(std::iter::once(value), true);
        }
        let never = AtomicBool::new(false);
        let order = [0, 1, 2, 3, 4, 5];
        let mut kept = vec![0];
        let last = add_farthest(&rows, &order, &mut kept, 4, &never).expect("not stopped");
        assert_eq!((kept.as_slice(), last), (&[0, 1, 2, 3][..], Some(0.25)));
        // One differs by less than float32 shows, and one not at all.
        let last = add_farthest(&rows, &order, &mut kept, 6, &never).expect("not stopped");
        assert_eq!(kept, [0, 1, 2, 3, 5]);
        assert!(last.is_some_and(|distance| distance > 0.0 && distance < 1e-11));
        let stopped = add_farthest(&rows, &order, &mut kept, 6, &AtomicBool::new(true));
        assert!(
            stopped.is_ok_and(|last| last.is_none()),
            "a short one ends by itself"
        );
    }
}
