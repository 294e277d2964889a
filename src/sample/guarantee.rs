//! What a sample says of the lines that it hides, and of a count that it does not reach.

use super::Sample;

impl Sample {
    /// The sentence that says what the sample guarantees about the lines that it hides.
    pub fn guarantee(&self) -> String {
        let lines = self.nearest_representative.len();
        let shown = self.kept.len();
        if shown == lines {
            return match lines {
                1 => "The only line is shown.".to_owned(),
                _ => format!("All {lines} lines are shown."),
            };
        }
        let compared = match self.columns {
            None => "at every step".to_owned(),
            Some(columns) => {
                format!("in its lowest and its highest value in each of {columns} columns")
            }
        };
        let gaps = match self.nonfinite > self.nonfinite_kept {
            true => " where both have values",
            false => "",
        };
        // The radius bounds the distances, but where few lines are kept they are much smaller.
        let finite = self
            .distances
            .iter()
            .filter(|distance| distance.is_finite());
        let farthest = finite.copied().fold(0.0, f32::max).min(self.radius);
        // Rounded up: no hidden line is farther away than the sentence says.
        let tenths = (f64::from(farthest) * 1000.0 - 1e-3).ceil().max(1.0);
        format!(
            "Every hidden line stays within {:.1} % of the chart's height of one of the {shown} shown lines {compared}{gaps}.",
            tenths / 10.0
        )
    }

    /// Why not `wanted` lines are kept; `None` where they are, or where all lines are.
    pub fn shortfall(&self, wanted: usize) -> Option<String> {
        let lines = self.nearest_representative.len();
        let kept = self.kept.len();
        if kept == wanted || kept == lines {
            return None;
        }
        Some(if kept < wanted {
            format!("kept {kept} instead of {wanted}: only {kept} of the {lines} lines differ")
        } else {
            format!(
                "kept {kept} instead of {wanted}: {} lines have gaps or infinities so that no other line can represent them",
                self.kept_for_gaps
            )
        })
    }
}
