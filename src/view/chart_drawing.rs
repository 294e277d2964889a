//! Draws what is around the data of a chart, as its layout says.

use super::canvas::Canvas;
use super::chart_layout::ChartLayout;
use super::geometry::Rect;
use super::picture::Picture;
use crate::{Error, Result};

impl ChartLayout {
    /// # Errors
    /// The picture has another size than the layout was made for.
    pub(super) fn check(&self, picture: &Picture) -> Result<()> {
        if picture.extent() == self.size
            && picture.theme().scale_factor == self.metrics.scale_factor
        {
            return Ok(());
        }
        let [width, height] = picture.size();
        Err(Error::input(
            format!("picture of {width} x {height} pixels"),
            format!(
                "the chart is laid out for {} x {}",
                self.size.x, self.size.y
            ),
            "lay the chart out for the size and the scale factor of the picture",
        ))
    }
}

impl Canvas<'_> {
    /// Draws titles, legend, axes, grid lines and ticks.
    pub(super) fn chart(&mut self, layout: &ChartLayout) {
        let theme = self.theme();
        let hair = theme.px(1.0).round().max(1.0);
        let rect = layout.plot.rect;
        self.swatches(&layout.legend);
        for tick in &layout.y_ticks {
            let top = (tick.position - hair / 2.0).round();
            let line = Rect::new(rect.left(), top, rect.size.x, hair);
            let is_zero = tick.value == 0.0;
            self.rect(line, if is_zero { theme.axis } else { theme.grid });
        }
        let axis = Rect::new(rect.left(), rect.bottom(), rect.size.x, hair);
        self.rect(axis, theme.axis);
        for tick in &layout.x_ticks {
            let left = (tick.position - hair / 2.0).round();
            let mark = Rect::new(left, rect.bottom(), hair, theme.px(4.0).round());
            self.rect(mark, theme.axis);
        }
        self.time_marks(layout);
        self.labels(layout.labels());
    }
}
