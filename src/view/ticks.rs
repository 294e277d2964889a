//! The values of the ticks of an axis, and how they are written.

use crate::number::{grouped, scientific, short};
use crate::series::ValueAxis;

/// A value on an axis and its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// The value that it marks.
    pub value: f64,
    /// How it is written.
    pub label: String,
}

/// Multiples of 1, 2 or 5 times a power of ten within `low..=high`: at most `most` (or 5, where the next coarser
/// step leaves fewer than two), and at least two unless the ends are the same; only whole numbers with `whole`.
pub fn linear_ticks(low: f64, high: f64, most: usize, whole: bool) -> Vec<Tick> {
    let extent = high - low;
    let magnitude = low.abs().max(high.abs());
    if !(extent.is_finite() && extent > magnitude * 1e-12) {
        let labels = |value: f64| Tick {
            value,
            label: short(value),
        };
        return vec![labels(low)];
    }
    // Steps are numbered: 0 is 1, 1 is 2, 2 is 5, 3 is 10, and so on down.
    let mut number = ((extent / most.max(2) as f64).log10() * 3.0).floor() as i32 - 1;
    if whole {
        number = number.max(0);
    }
    while multiples(low, high, number).count() > most.max(2) {
        number += 1;
    }
    while multiples(low, high, number).count() < 2 && !(whole && number <= 0) {
        number -= 1;
    }
    let values: Vec<f64> = multiples(low, high, number).collect();
    let largest = values
        .iter()
        .fold(0.0f64, |largest, v| largest.max(v.abs()));
    let exponent = number.div_euclid(3);
    values
        .into_iter()
        .map(|value| Tick {
            value,
            label: if whole {
                grouped(value, 0)
            } else {
                label(value, largest, exponent)
            },
        })
        .collect()
}

/// The multiples within `low..=high` of the step of this number.
fn multiples(low: f64, high: f64, number: i32) -> impl Iterator<Item = f64> {
    let factor = [1.0, 2.0, 5.0][number.rem_euclid(3) as usize];
    let exponent = number.div_euclid(3);
    let power = 10f64.powi(exponent.abs());
    // Division by a whole power of ten is rounded once, so that 0.3 is 3 / 10 and not 3 * 0.1.
    let at = move |i: f64| {
        if exponent < 0 {
            i * factor / power
        } else {
            i * factor * power
        }
    };
    let step = at(1.0);
    let first = (low / step).ceil() - 1.0;
    let many = ((high - low) / step).ceil() + 2.0;
    (0..=(many.min(1e4) as usize))
        .map(move |i| at(first + i as f64) + 0.0)
        .filter(move |value| (low..=high).contains(value))
}

/// Ticks of a symlog scale between two heights: powers of ten of both signs and zero, thinned until labels that
/// need `gap` of height are clear of each other; linear ticks where the range holds too few powers.
pub fn symlog_ticks(axis: &ValueAxis, low: f64, high: f64, gap: f64) -> Vec<Tick> {
    let most = ((high - low) / gap).floor().clamp(2.0, 50.0) as usize;
    let (from, to) = (axis.value(low), axis.value(high));
    let threshold = axis.linear_threshold();
    let largest = from.abs().max(to.abs());
    let top = largest.log10().floor().clamp(-308.0, 308.0) as i32;
    let bottom = (threshold.log10().floor() as i32 - 1).clamp(-308, 308);
    let mut chosen: Vec<f64> = Vec::new();
    let clear = |chosen: &[f64], value: f64| {
        (from..=to).contains(&value)
            && chosen
                .iter()
                .all(|other| (axis.height(*other) - axis.height(value)).abs() >= gap)
    };
    // Zero first, then the largest powers down, then twice and five times a power where there is room.
    if clear(&chosen, 0.0) {
        chosen.push(0.0);
    }
    for factor in [1.0, 2.0, 5.0] {
        if factor > 1.0 && chosen.len() >= (most / 2).max(4) {
            break;
        }
        for exponent in (bottom..=top).rev() {
            for sign in [1.0, -1.0] {
                let value = sign * power_of_ten(factor, exponent);
                if clear(&chosen, value) {
                    chosen.push(value);
                }
            }
        }
    }
    if chosen.len() < 3 {
        return linear_ticks(from, to, most, false).into_iter().fold(
            Vec::new(),
            |mut kept: Vec<Tick>, tick| {
                let apart = kept.last().is_none_or(|last| {
                    (axis.height(last.value) - axis.height(tick.value)).abs() >= gap
                });
                if apart || kept.len() < 2 {
                    kept.push(tick);
                }
                kept
            },
        );
    }
    chosen.sort_by(f64::total_cmp);
    chosen
        .into_iter()
        .map(|value| Tick {
            value,
            label: short(value),
        })
        .collect()
}

fn power_of_ten(factor: f64, exponent: i32) -> f64 {
    if exponent < 0 {
        factor / 10f64.powi(-exponent)
    } else {
        factor * 10f64.powi(exponent)
    }
}

/// A multiple of a step of `10^exponent` (times 1, 2 or 5) among values of at most `largest`.
fn label(value: f64, largest: f64, exponent: i32) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if largest >= 1e6 || exponent < -4 {
        let digits = (value.abs().log10().floor() as i32 - exponent).clamp(0, 16);
        scientific(value, digits as usize)
    } else {
        grouped(value, (-exponent).max(0) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::ValueScale;
    use proptest::prelude::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn tick_labels_are_short() {
        assert_eq!(
            labels(&linear_ticks(0.0, 1.0, 6, false)),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"].map(|l| if l == "0.0" { "0" } else { l })
        );
        assert_eq!(
            labels(&linear_ticks(-3.0, 2090.0, 5, true)),
            ["0", "500", "1,000", "1,500", "2,000"]
        );
        assert_eq!(
            labels(&linear_ticks(0.0, 3e-5, 4, false)),
            ["0", "1e\u{2212}5", "2e\u{2212}5", "3e\u{2212}5"]
        );
        assert_eq!(labels(&linear_ticks(7.0, 7.0, 5, true)), ["7"]);
        let axis = ValueAxis::over(-100.0, 1e4, 1.0);
        let ticks = symlog_ticks(&axis, 0.0, 1.0, 0.08);
        assert_eq!(
            labels(&ticks),
            [
                "\u{2212}100",
                "\u{2212}10",
                "\u{2212}1",
                "0",
                "1",
                "10",
                "100",
                "1,000",
                "10,000"
            ]
            .iter()
            .filter(|l| labels(&ticks).contains(l))
            .copied()
            .collect::<Vec<_>>()
        );
        assert!(ticks.len() >= 6);
    }

    fn hold(ticks: &[Tick], low: f64, high: f64, most: usize) -> Result<(), TestCaseError> {
        prop_assert!(ticks.len() >= 2, "{ticks:?}");
        prop_assert!(ticks.len() <= most.max(5), "{ticks:?}");
        for pair in ticks.windows(2) {
            prop_assert!(pair[0].value < pair[1].value);
        }
        for tick in ticks {
            prop_assert!((low..=high).contains(&tick.value), "{tick:?}");
        }
        let mut names = labels(ticks);
        names.sort_unstable();
        names.dedup();
        prop_assert_eq!(names.len(), ticks.len());
        Ok(())
    }

    proptest! {
        #[test]
        fn linear_ticks_hold(middle in -1e6f64..1e6, power in -6f64..38.0, most in 2usize..12) {
            let extent = 10f64.powf(power).max(middle.abs() * 1e-6);
            let (low, high) = (middle - extent, middle + extent);
            hold(&linear_ticks(low, high, most, false), low, high, most)?;
        }

        #[test]
        fn whole_ticks_are_whole(low in 0u32..100_000, extent in 1u32..1_000_000, most in 2usize..12) {
            let (low, high) = (f64::from(low), f64::from(low) + f64::from(extent));
            let ticks = linear_ticks(low, high, most, true);
            prop_assert!(ticks.iter().all(|tick| tick.value.fract() == 0.0));
            hold(&ticks, low, high, most)?;
        }

        #[test]
        fn symlog_ticks_hold(low in -38f64..38.0, high in -38f64..38.0, signs in 0u8..3, gap in 0.05f64..0.3) {
            let (a, b) = (10f64.powf(low) as f32, 10f64.powf(high) as f32);
            let (low, high) = match signs {
                0 => (a.min(b), a.max(b)),
                1 => (-a, b),
                _ => (-a.max(b), -a.min(b)),
            };
            prop_assume!(f64::from(high) - f64::from(low) > 1e-3 * f64::from(high.abs().max(low.abs())));
            let axis = ValueAxis::from(ValueScale::over(low, high, (high.abs().max(low.abs()) * 1e-4).max(1e-37)));
            let ticks = symlog_ticks(&axis, 0.0, 1.0, gap);
            hold(&ticks, axis.value(0.0), axis.value(1.0), 60)?;
        }
    }
}
