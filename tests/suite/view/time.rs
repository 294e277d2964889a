//! Charts on a folded time axis: what they draw of it, and that no value is lost.

use trainscope::trace::Severity;
use trainscope::view::{MAX_FOLDED, Moment, Picture, ScalarChart, Theme, TimeAxis, TimeScale};

use super::{painter, pixels};
use crate::support::gpu;

#[test]
fn folds_events_and_spikes_show() {
    let steps: Vec<u64> = (0..24_397).collect();
    let axis = TimeAxis::new(TimeScale::Folded, &steps, &[24_384]).unwrap();
    assert!(axis.columns().len() <= MAX_FOLDED);
    // One spike in the middle of the longest fold.
    let loss: Vec<(u64, f64)> = steps
        .iter()
        .map(|step| (*step, if *step == 9_000 { 50.0 } else { 1.0 }))
        .collect();
    let chart = ScalarChart::along(gpu(), &axis, "Loss", "nats", &[("loss", &loss)], None);
    let chart = chart.unwrap().unwrap();
    let values = gpu().read(chart.data().series().values()).unwrap();
    let columns = axis.columns().len();
    assert_eq!(values.len(), 2 * columns);
    let spiked = axis.column_of(9_000);
    assert_eq!((values[spiked], values[columns + spiked]), (50.0, 1.0));

    let theme = Theme::light();
    let picture = Picture::new(gpu(), 700.0, 300.0, &theme).unwrap();
    let layout = chart.chart().layout(picture.extent(), 1.0).unwrap();
    let moment = Moment {
        step: 24_384,
        severity: Severity::Fatal,
    };
    let layout = layout.with_time(&axis, &[moment]);
    chart.chart().draw(&painter(), &layout, &picture).unwrap();
    // The ends and the event are labeled, and labels are clear of each other.
    let labels: Vec<&str> = layout
        .x_ticks
        .iter()
        .map(|tick| &*tick.label.text)
        .collect();
    assert!(
        labels.contains(&"0") && labels.contains(&"24,396"),
        "{labels:?}"
    );
    for pair in layout.x_ticks.windows(2) {
        assert!(pair[0].label.right() < pair[1].label.left);
    }
    let folds = axis
        .columns()
        .iter()
        .filter(|span| span.steps() > 1)
        .count();
    assert_eq!(layout.time.ribbon.len(), folds);
    let [mark] = layout.time.events[..] else {
        panic!("{:?}", layout.time.events);
    };
    let row = layout.plot.rect.top() as usize + 2;
    let at = row * 700 + mark.position.round() as usize;
    assert_eq!(pixels(&picture)[at], theme.nonfinite);
}
