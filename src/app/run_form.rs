//! What one may type about the run: settings of a branch, and other runs to compare it with.

use std::path::PathBuf;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// A branch with the settings.
    Branch,
    /// Another run over this one.
    Compare,
    /// No longer the run of this name.
    Forget(String),
}

/// What is typed.
#[derive(Debug, Default)]
pub(super) struct RunForm {
    settings: String,
    other: String,
}

impl RunForm {
    /// The settings, as `--set` takes them: one for each word.
    pub fn settings(&self) -> Vec<String> {
        self.settings
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    /// The directory of another run.
    pub fn other(&self) -> PathBuf {
        PathBuf::from(self.other.trim())
    }

    /// Shows the form, with the names of the runs that are compared, and returns what is asked for.
    pub fn show(
        &mut self,
        ui: &mut egui::Ui,
        compared: &[String],
        cursor: Option<u64>,
    ) -> Option<Form> {
        let mut asked = None;
        ui.add(
            egui::TextEdit::singleline(&mut self.settings)
                .hint_text("train.optimizer.adam.lr=1e-4")
                .desired_width(f32::INFINITY),
        );
        let from = cursor.map_or("here".to_owned(), |step| format!("step {step}"));
        let branch = ui.button(format!("Branch from {from}")).on_hover_text(
            "Train a run of its own from the last checkpoint before, with this changed",
        );
        if branch.clicked() {
            asked = Some(Form::Branch);
        }
        ui.add(
            egui::TextEdit::singleline(&mut self.other)
                .hint_text("directory of another run")
                .desired_width(f32::INFINITY),
        );
        let is_named = !self.other.trim().is_empty();
        if ui
            .add_enabled(is_named, egui::Button::new("Draw its loss over this one"))
            .clicked()
        {
            asked = Some(Form::Compare);
        }
        for name in compared {
            if ui.link(format!("Remove {name}")).clicked() {
                asked = Some(Form::Forget(name.clone()));
            }
        }
        asked
    }
}
