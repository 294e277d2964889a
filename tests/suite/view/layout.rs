//! Where things are in a chart, without a GPU.

use proptest::prelude::*;
use trainscope::series::ValueScale;
use trainscope::view::{
    ChartFrame, ChartLayout, LabelRole, LegendKey, LineColor, Rect, TextMetrics, Vec2,
};

const FRAME: ChartFrame<'static> = ChartFrame {
    title: "Units of encoder.0: mean of the activation over the batch",
    note: "Every hidden line stays within 2.5 % of the chart's height of one of the 60 shown lines at every step.",
    x_title: "training step",
    y_title: "mean of the activation over the batch",
    first_step: 0,
    stride: 20,
};

fn legend() -> Vec<(LegendKey, String)> {
    let ink = LegendKey::Line(LineColor::Ink);
    vec![
        (LegendKey::Density, "all 400: few to many".to_owned()),
        (ink, "60 of them".to_owned()),
        (LegendKey::Nonfinite, "not finite from here: 3".to_owned()),
    ]
}

fn inside(outer: Vec2, rect: Rect) -> bool {
    let all = Rect::new(-1.0, -1.0, outer.x + 2.0, outer.y + 2.0);
    all.contains(rect.min) && all.contains(rect.min + rect.size)
}

/// Everything of a layout that takes room, without the plot.
fn boxes(layout: &ChartLayout) -> Vec<Rect> {
    let labels = layout.labels().filter(|label| !label.text.is_empty());
    let swatches = layout.legend.iter().map(|entry| entry.swatch);
    labels
        .map(|label| label.rect(layout.metrics))
        .chain(swatches)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Nothing leaves the picture, covers the plot or something else.
    #[test]
    fn chart_parts_are_inside_and_apart(
        width in 240f32..2000.0,
        height in 220f32..1200.0,
        scale_factor in 0.75f32..3.0,
        steps in 1usize..5000,
        first_step in 0u64..1_000_000,
        magnitude in -5f32..7.0,
        is_symlog in any::<bool>(),
    ) {
        let high = 10f32.powf(magnitude);
        let scale = ValueScale::over(-0.3 * high, high, if is_symlog { high * 1e-3 } else { 0.0 });
        let frame = ChartFrame { first_step, ..FRAME };
        let size = Vec2::new(width, height) * scale_factor;
        let layout = ChartLayout::new(&frame, steps, &scale.into(), &legend(), size, scale_factor).unwrap();
        prop_assert!(inside(size, layout.plot.rect));
        let boxes = boxes(&layout);
        for (i, a) in boxes.iter().enumerate() {
            prop_assert!(inside(size, *a), "{a:?} of {size:?}");
            prop_assert!(!a.overlaps(layout.plot.rect), "{a:?} covers the plot {:?}", layout.plot.rect);
            for b in &boxes[..i] {
                prop_assert!(!a.overlaps(*b), "{a:?} covers {b:?}");
            }
        }
        prop_assert!(!layout.x_ticks.is_empty() && layout.y_ticks.len() >= 2);
    }
}

#[test]
fn ticks_are_where_their_values_are() {
    let scale = ValueScale::over(0.0, 1.0, 0.0);
    let size = Vec2::new(800.0, 400.0);
    let layout = ChartLayout::new(&FRAME, 101, &scale.into(), &[], size, 1.0).unwrap();
    for tick in &layout.x_ticks {
        let column = (tick.value / 20.0) as f32;
        let expected = layout.plot.to_pixel(column, 0.0).x;
        assert!((tick.position - expected).abs() < 0.01, "{tick:?}");
        assert_eq!(
            layout.plot.to_data(Vec2::new(tick.position, 0.0)).x.round(),
            column
        );
    }
    for tick in &layout.y_ticks {
        let expected = layout.plot.to_pixel(0.0, scale.height(tick.value as f32)).y;
        assert!((tick.position - expected).abs() < 1.0, "{tick:?}");
    }
    assert_eq!(FRAME.step_at(2.5), 50.0);
}

#[test]
fn layout_depends_on_size_and_not_on_theme_or_data() {
    let scale = ValueScale::over(-2.0, 3.0, 0.0);
    let size = Vec2::new(640.0, 360.0);
    let layout = || ChartLayout::new(&FRAME, 50, &scale.into(), &legend(), size, 1.0).unwrap();
    assert_eq!(layout(), layout());
    let twice = ChartLayout::new(&FRAME, 50, &scale.into(), &legend(), 2.0 * size, 2.0).unwrap();
    let (one, two) = (layout().plot.rect, twice.plot.rect);
    assert!((two.size - 2.0 * one.size).abs().max_element() <= 2.0);
}

#[test]
fn legend_moves_to_its_own_line_where_the_axis_title_leaves_no_room() {
    let scale = ValueScale::over(0.0, 1.0, 0.0);
    let layout = |width: f32| {
        let size = Vec2::new(width, 400.0);
        ChartLayout::new(&FRAME, 50, &scale.into(), &legend(), size, 1.0).unwrap()
    };
    let below = |layout: &ChartLayout| {
        let role = LabelRole::AxisTitle;
        let y_title = layout
            .titles
            .iter()
            .find(|label| label.role == role)
            .unwrap();
        layout.legend[0].label.baseline > y_title.baseline
    };
    assert!(!below(&layout(1000.0)));
    assert!(below(&layout(420.0)));
}

#[test]
fn too_small_pictures_are_refused_in_a_sentence() {
    let scale = ValueScale::over(0.0, 1.0, 0.0);
    for size in [Vec2::new(40.0, 400.0), Vec2::new(400.0, 60.0)] {
        let error = ChartLayout::new(&FRAME, 50, &scale.into(), &[], size, 1.0).unwrap_err();
        assert!(error.to_string().contains("does not fit"), "{error}");
    }
    assert!(TextMetrics { scale_factor: 1.0 }.width("text", 12.0) > 10.0);
}

#[test]
fn low_pictures_cut_their_note_before_they_go_without_a_plot() {
    let scale = ValueScale::over(0.0, 1.0, 0.0);
    let notes = |height: f32| {
        let size = 0.75 * Vec2::new(240.0, height);
        let layout = ChartLayout::new(&FRAME, 1, &scale.into(), &legend(), size, 0.75).unwrap();
        let titles = layout.titles.iter();
        titles.filter(|label| label.role == LabelRole::Note).count()
    };
    assert_eq!(notes(400.0), 3);
    assert!((1..3).contains(&notes(220.0)), "{}", notes(220.0));
}
