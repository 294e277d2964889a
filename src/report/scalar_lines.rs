//! The data of a chart as the page holds it: every value of a line or, where these are too many, the lowest and the highest
//! of some steps.

use std::ops::Range;

use serde_json::{Value, json};

/// Values that a line holds one by one at most.
const MOST_VALUES: usize = 3000;
/// Bins that a longer line is folded into.
const BINS: usize = 1500;

/// A named line over training steps.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ScalarLine {
    name: String,
    bins: Vec<Bin>,
}

/// Some steps in a row, and the lowest and the highest value of them. With a value that is not finite it is alone.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bin {
    from: u64,
    to: u64,
    low: f64,
    high: f64,
}

impl ScalarLine {
    /// A line of (step, value) with ascending steps. Steps in `whole` are never folded together.
    pub fn new(name: &str, values: &[(u64, f64)], whole: &[Range<u64>]) -> Self {
        let most = match values.len() {
            few if few <= MOST_VALUES => 1,
            many => many.div_ceil(BINS),
        };
        let is_alone = |step: u64, value: f64| {
            !value.is_finite() || whole.iter().any(|range| range.contains(&step))
        };
        let mut bins: Vec<Bin> = Vec::new();
        let mut held = most;
        for &(step, value) in values {
            let alone = is_alone(step, value);
            match bins.last_mut().filter(|_| held < most && !alone) {
                Some(bin) => {
                    bin.to = step;
                    bin.low = bin.low.min(value);
                    bin.high = bin.high.max(value);
                    held += 1;
                }
                None => {
                    bins.push(Bin {
                        from: step,
                        to: step,
                        low: value,
                        high: value,
                    });
                    held = if alone { most } else { 1 };
                }
            }
        }
        Self {
            name: name.to_owned(),
            bins,
        }
    }

    /// The line as the page's script reads it: evenly spaced steps by their first and their stride, `to` and `high` only
    /// where values are folded together.
    pub fn to_json(&self) -> Value {
        let steps: Vec<u64> = self.bins.iter().map(|bin| bin.from).collect();
        let stride = steps.get(1).map_or(1, |second| second - steps[0]);
        let is_even = steps.windows(2).all(|pair| pair[1] - pair[0] == stride);
        let is_folded = self.bins.iter().any(|bin| bin.from != bin.to);
        let from = match (is_even, steps.first()) {
            (true, Some(first)) => json!({ "first": first, "stride": stride }),
            _ => json!(steps),
        };
        let numbers = |of: fn(&Bin) -> f64| -> Value {
            self.bins.iter().map(|bin| number(of(bin))).collect()
        };
        let mut line = json!({ "name": self.name, "from": from, "low": numbers(|bin| bin.low) });
        if is_folded {
            let to: Vec<u64> = self.bins.iter().map(|bin| bin.to).collect();
            line["to"] = json!(to);
            line["high"] = numbers(|bin| bin.high);
        }
        line
    }
}

/// A number with seven significant digits, those that float32 has; JSON has no word for what is not finite.
fn number(value: f64) -> Value {
    if value.is_nan() {
        return json!("NaN");
    }
    if value.is_infinite() {
        return json!(if value > 0.0 { "inf" } else { "-inf" });
    }
    let rounded: f64 = format!("{value:.6e}").parse().unwrap_or(value);
    match rounded {
        whole if whole.fract() == 0.0 && whole.abs() < 1e9 => json!(whole as i64),
        other => json!(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_lines_keep_every_value() {
        let values = [(0, 1.5), (2, f64::NAN), (4, 3.0), (6, f64::NEG_INFINITY)];
        let line = ScalarLine::new("loss", &values, &[]).to_json();
        assert_eq!(
            line,
            json!({ "name": "loss", "from": { "first": 0, "stride": 2 }, "low": [1.5, "NaN", 3, "-inf"] })
        );
        let uneven = ScalarLine::new("loss", &[(0, 1.0), (1, 1.0), (5, 1.0)], &[]).to_json();
        assert_eq!(uneven["from"], json!([0, 1, 5]));
        assert_eq!(
            ScalarLine::new("none", &[], &[]).to_json()["low"],
            json!([])
        );
    }

    proptest! {
        #[test]
        fn folding_loses_no_extreme_and_no_value_that_is_not_finite(
            count in MOST_VALUES..4 * MOST_VALUES,
            spikes in prop::collection::vec((0usize..MOST_VALUES, -1e6f64..1e6), 0..20),
            broken in prop::collection::vec(0usize..MOST_VALUES, 0..5),
            whole in 0u64..2000,
        ) {
            let mut values: Vec<(u64, f64)> = (0..count as u64).map(|step| (step, 1.0)).collect();
            for (at, value) in spikes {
                values[at].1 = value;
            }
            for &at in &broken {
                values[at].1 = f64::NAN;
            }
            let whole = whole..whole + 100;
            let line = ScalarLine::new("loss", &values, std::slice::from_ref(&whole));
            // The bins cover every step once, in order, and each holds exactly the extremes of its steps.
            let mut next = 0;
            for bin in &line.bins {
                prop_assert_eq!(bin.from, next);
                next = bin.to + 1;
                let within = &values[bin.from as usize..=bin.to as usize];
                let is_broken = within.iter().any(|(_, value)| value.is_nan());
                prop_assert!(!is_broken || within.len() == 1);
                if !is_broken {
                    let low = within.iter().map(|v| v.1).fold(f64::INFINITY, f64::min);
                    let high = within.iter().map(|v| v.1).fold(f64::NEG_INFINITY, f64::max);
                    prop_assert_eq!((bin.low, bin.high), (low, high));
                }
                if whole.contains(&bin.to) {
                    prop_assert_eq!(bin.from, bin.to);
                }
            }
            prop_assert_eq!(next, count as u64);
            prop_assert!(line.bins.len() <= MOST_VALUES.max(BINS + 100 + 3 * broken.len() + 2));
        }
    }
}
