//! Picking against distances in double precision.

use proptest::prelude::*;
use trainscope::series::{Scale, SeriesBuffer, ValueAxis, ValueScale};
use trainscope::view::{Picked, Picker, Plot, Rect, Representatives, SeriesData, ShownLines, Vec2};

use super::{series, unit_scale};
use crate::support::gpu;

/// The distance from `p` to the segment `a`..`b`.
fn distance(p: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let (e, q) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let squared = e[0] * e[0] + e[1] * e[1];
    let t = if squared > 0.0 {
        ((q[0] * e[0] + q[1] * e[1]) / squared).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (q[0] - t * e[0]).hypot(q[1] - t * e[1])
}

/// Positions in pixels of the finite values of one line.
fn positions(line: &[f32], scale: &ValueScale, plot: &Plot) -> Vec<Option<[f64; 2]>> {
    let position = |(step, value): (usize, &f32)| {
        let height = ValueAxis::from(*scale).height(f64::from(*value));
        let right = (step as f64 - f64::from(plot.first)) / f64::from(plot.last - plot.first);
        let down = (f64::from(plot.top) - height) / f64::from(plot.top - plot.bottom);
        let rect = plot.rect;
        value.is_finite().then_some([
            f64::from(rect.min.x) + f64::from(rect.size.x) * right,
            f64::from(rect.min.y) + f64::from(rect.size.y) * down,
        ])
    };
    line.iter().enumerate().map(position).collect()
}

/// The distance of a line to a pixel; infinite without finite values.
fn reference_distance(positions: &[Option<[f64; 2]>], at: [f64; 2]) -> f64 {
    let ends = |step: usize| {
        let start = positions[step]?;
        let end = positions.get(step + 1).copied().flatten().unwrap_or(start);
        Some(distance(at, start, end))
    };
    (0..positions.len())
        .filter_map(ends)
        .fold(f64::INFINITY, f64::min)
}

struct Case {
    data: SeriesData,
    values: Vec<f32>,
    steps: usize,
    plot: Plot,
}

impl Case {
    fn new(values: Vec<f32>, steps: usize, scale: ValueScale) -> Self {
        let series = SeriesBuffer::upload_with(gpu(), &values, steps, scale).unwrap();
        let representatives = ShownLines::Representatives(Representatives {
            lines: vec![0],
            counts: vec![1],
        });
        Self {
            data: SeriesData::new(series, representatives).unwrap(),
            values,
            steps,
            plot: Plot::over(Rect::new(37.0, 21.0, 400.0, 200.0), steps),
        }
    }

    fn pick(&self, at: Vec2, reach: f32) -> Option<Picked> {
        let mut picker = Picker::new(gpu()).unwrap();
        assert!(picker.request(&self.data, &self.plot, at, reach));
        let answer = picker.wait().unwrap().expect("one request is on its way");
        assert_eq!(answer.at, at);
        assert!(picker.is_idle());
        answer.picked
    }

    /// Holds a pick against the distances of all lines in double precision.
    fn check(&self, picked: Option<Picked>, at: Vec2, reach: f32) {
        let at = at.to_array().map(f64::from);
        let scale = self.data.series().scale();
        let line = |line: u32| &self.values[line as usize * self.steps..][..self.steps];
        let of = |l: u32| reference_distance(&positions(line(l), &scale, &self.plot), at);
        let lines = (self.values.len() / self.steps) as u32;
        let nearest = (0..lines).map(of).fold(f64::INFINITY, f64::min);
        let Some(picked) = picked else {
            assert!(
                nearest > f64::from(reach) - 0.02,
                "{nearest} is within {reach}"
            );
            return;
        };
        assert!(nearest <= f64::from(reach) + 0.02);
        assert!(
            (f64::from(picked.distance) - nearest).abs() < 0.02,
            "{picked:?} {nearest}"
        );
        assert!(
            (of(picked.line) - nearest).abs() < 0.02,
            "{picked:?} {nearest}"
        );
        let value = line(picked.line)[picked.step as usize];
        assert!(value.is_finite());
        assert_eq!(value, picked.value);
        let column = f64::from(self.plot.to_data(Vec2::new(at[0] as f32, 0.0)).x);
        let reach_in_steps = f64::from(reach) / 400.0 * (self.steps as f64 - 1.0);
        assert!((f64::from(picked.step) - column).abs() <= reach_in_steps + 1.01);
    }
}

#[test]
fn picks_the_line_under_the_pointer() {
    let case = Case::new(vec![0.2, 0.2, 0.2, 0.8, 0.8, 0.8], 3, unit_scale());
    let at = case.plot.to_pixel(0.9, 0.8);
    let picked = case.pick(at, 5.0).unwrap();
    assert_eq!((picked.line, picked.step, picked.value), (1, 1, 0.8));
    assert!(picked.distance < 0.01);
    // Halfway between the lines neither is near, and of two that are as far the first one is picked.
    let between = case.plot.to_pixel(0.9, 0.5);
    assert_eq!(case.pick(between, 5.0), None);
    assert_eq!(case.pick(between, 500.0).unwrap().line, 0);
}

#[test]
fn nonfinite_values_are_never_picked() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let values = vec![
        0.5, nan, 0.5, nan, 0.5, inf, inf, inf, inf, inf, nan, 0.9, 0.9, 0.9, 0.9,
    ];
    let case = Case::new(values, 5, unit_scale());
    // Between two values on their own there is nothing; at them there is a dot.
    let at = |step: f32| case.plot.to_pixel(step, 0.5);
    assert_eq!(case.pick(at(1.0), 20.0), None);
    assert_eq!(case.pick(at(3.3), 20.0), None);
    let dot = case.pick(at(2.02), 20.0).unwrap();
    assert_eq!((dot.line, dot.step, dot.value), (0, 2, 0.5));
    let edge = case.pick(case.plot.to_pixel(0.0, 0.9), 200.0).unwrap();
    assert!(edge.value.is_finite());
    let nothing = Case::new(vec![nan; 40], 10, unit_scale());
    assert_eq!(nothing.pick(at(2.0), 1e4), None);
}

#[test]
fn requests_beyond_the_ring_are_declined_and_answers_come_in_order() {
    let case = Case::new(series(20, 30), 30, unit_scale());
    let mut picker = Picker::new(gpu()).unwrap();
    let at = |i: usize| case.plot.to_pixel(i as f32, 0.5);
    let mut accepted = 0;
    while picker.request(&case.data, &case.plot, at(accepted), 9.0) {
        accepted += 1;
        assert!(accepted < 100, "the ring is bounded");
    }
    for i in 0..accepted {
        assert_eq!(picker.wait().unwrap().unwrap().at, at(i));
    }
    assert_eq!(picker.wait().unwrap(), None);
    assert_eq!(picker.take().unwrap(), None);
}

/// More lines than the kernel has invocations, in one dispatch.
#[test]
fn picks_among_thousands_of_lines() {
    let (lines, steps) = (3000, 60);
    let values = series(lines, steps);
    let scale = ValueScale::fit(Scale::Linear, &values);
    let case = Case::new(values, steps, scale);
    for (x, y) in [(50.0, 100.0), (200.5, 80.25), (430.0, 140.0), (300.0, 30.0)] {
        let at = Vec2::new(x, y);
        let picked = case.pick(at, 12.0);
        case.check(picked, at, 12.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn pick_equals_the_nearest_line_in_double_precision(
        lines in 1usize..40,
        steps in 1usize..60,
        x in 30f32..450.0,
        y in 15f32..230.0,
        reach in 1f32..60.0,
        gaps in prop::collection::vec((0usize..2400, 0usize..3), 0..60),
        is_symlog in any::<bool>(),
    ) {
        let mut values = series(lines, steps);
        for (index, kind) in gaps {
            let len = values.len();
            values[index % len] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY][kind];
        }
        let scale = ValueScale::fit(if is_symlog { Scale::Symlog } else { Scale::Linear }, &values);
        let case = Case::new(values, steps, scale);
        let at = Vec2::new(x, y);
        case.check(case.pick(at, reach), at, reach);
    }
}
