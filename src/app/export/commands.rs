//! The command that shows in a terminal what a pane shows.

use super::super::dashboard::Dashboard;
use super::super::panes::Pane;
use super::super::unit_pane::Question;
use crate::series::Scale;

impl Dashboard {
    /// The command that shows what a pane shows, of the same run, step and selection.
    pub(in super::super) fn command(&self, pane: Pane) -> String {
        let dir = quoted(&self.status().dir.display().to_string());
        let watch = format!("trainscope watch {dir}");
        match pane {
            Pane::Run | Pane::Snapshots | Pane::Layers => watch,
            Pane::Explain => format!("trainscope explain {dir}"),
            Pane::Units => self.units_command(&dir).unwrap_or(watch),
            Pane::Images => self.images_command(&dir).unwrap_or(watch),
            Pane::Credit => self.credit_command(&dir).unwrap_or(watch),
            Pane::Unit => self.unit_command(&dir).unwrap_or(watch),
        }
    }

    fn units_command(&self, dir: &str) -> Option<String> {
        let selection = self.selection.as_ref()?;
        let (tensor, kind) = (quoted(&selection.tensor), selection.kind.name());
        let keep = self.options.keep;
        let scale = match self.options.scale {
            Some(Scale::Symlog) => " --scale symlog",
            _ => "",
        };
        let of = format!("--tensor {tensor} --kind {kind} --keep {keep}{scale} --plot units.png");
        Some(match self.units.single_steps() {
            Some(steps) => format!(
                "trainscope sample {dir} --per sample --from {} --to {} {of}",
                steps.start, steps.end
            ),
            None => {
                let quantity = selection.statistic.name();
                format!("trainscope sample {dir} --quantity {quantity} {of}")
            }
        })
    }

    fn images_command(&self, dir: &str) -> Option<String> {
        let selection = self.selection.as_ref()?;
        let step = selection.cursor?;
        let probe = quoted(&format!("{}:{}", selection.tensor, selection.kind.name()));
        Some(format!(
            "trainscope replay {dir} --from {step} --to {} --probe {probe}",
            step + 1
        ))
    }

    fn credit_command(&self, dir: &str) -> Option<String> {
        let place = self.walk.wanted()?;
        Some(format!(
            "trainscope credit {dir} --layer {} --unit {} --from {} --to {}",
            quoted(&place.layer),
            place.unit,
            place.range.start,
            place.range.end
        ))
    }

    fn unit_command(&self, dir: &str) -> Option<String> {
        let step = self.unit_pane.step();
        Some(match self.unit_pane.question()? {
            Question::Dream { layer, unit } => {
                let unit = quoted(&format!("{layer}:{unit}"));
                let at = step.map_or(String::new(), |step| format!(" --steps-of {step}"));
                format!("trainscope dream {dir} --unit {unit}{at}")
            }
            Question::Clusters { layer } => {
                let at = step.map_or(String::new(), |step| format!(" --step {step}"));
                format!("trainscope cluster {dir} --layer {}{at}", quoted(layer))
            }
            Question::Like(query) => {
                let like = format!(
                    "{}:{}:{}:{}",
                    query.tensor, query.unit, query.steps.start, query.steps.end
                );
                let selection = self.selection.as_ref()?;
                format!(
                    "trainscope patterns {dir} --like {} --kind {} --quantity {}",
                    quoted(&like),
                    selection.kind.name(),
                    selection.statistic.name()
                )
            }
        })
    }
}

/// A word as a shell takes it whole.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-:=@+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_stay_whole_in_a_shell() {
        assert_eq!(quoted("runs/vae-mnist"), "runs/vae-mnist");
        assert_eq!(quoted("my run's"), "'my run'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
