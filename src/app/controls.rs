//! The panel at the left: how the run is doing, and what is looked at.

use super::jobs::Contents;
use super::selection::Selection;
use super::status::{Pacing, RunStatus};
use super::view_options::ViewOptions;
use crate::series::Scale;
use crate::tensor::TensorKind;
use crate::trace::{Half, Statistic};

/// Text below the usual size, in points.
const SMALL: f32 = 11.5;
/// What a y-axis can be.
const SCALES: [(Option<Scale>, &str); 3] = [
    (None, "suited"),
    (Some(Scale::Linear), "linear"),
    (Some(Scale::Symlog), "symlog"),
];
/// Width of the boxes, in points.
const BOX_WIDTH: f32 = 200.0;

/// How the run is doing, and how fast it may train.
pub(super) fn run(ui: &mut egui::Ui, status: &RunStatus, pacing: &mut Pacing) {
    ui.add_space(6.0);
    ui.heading(&status.name);
    let state = match (status.is_training, pacing.is_paused) {
        (true, true) => "paused",
        _ => &status.state,
    };
    let text = match status.steps {
        0 => state.to_owned(),
        steps => format!("{state}, step {} of {steps}", status.step),
    };
    ui.label(text);
    small(ui, &status.dir.display().to_string());
    if !status.is_training {
        return;
    }
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        let label = if pacing.is_paused {
            "Continue"
        } else {
            "Pause"
        };
        if ui.button(label).clicked() {
            pacing.is_paused = !pacing.is_paused;
        }
        if ui.button("One step").clicked() {
            pacing.is_paused = true;
            pacing.single_steps += 1;
        }
        if ui
            .button("Stop")
            .on_hover_text("End the run here, and save it")
            .clicked()
        {
            pacing.is_stopped = true;
        }
    });
    if status.has_halves {
        ui.horizontal_wrapped(|ui| {
            for (half, asked) in Half::ALL.into_iter().zip(&mut pacing.half_steps) {
                let name = half.name();
                let button = egui::Button::new(format!("One of the {name}"));
                let hint = format!(
                    "While the run is paused: one step that updates the {name} alone. run.json keeps which step that was, and the run is resumed and replayed with it."
                );
                let response = ui.add_enabled(pacing.is_paused, button);
                if response.on_hover_text(&hint).on_disabled_hover_text(hint).clicked() {
                    *asked += 1;
                }
            }
        });
    }
    ui.horizontal_wrapped(|ui| {
        let mut is_unlimited = pacing.steps_per_second.is_infinite();
        let mut limit = if is_unlimited {
            100.0
        } else {
            pacing.steps_per_second
        };
        let slider = egui::Slider::new(&mut limit, 1.0..=100.0).logarithmic(true);
        ui.add_enabled(!is_unlimited, slider.text("steps a second at most"));
        ui.checkbox(&mut is_unlimited, "all");
        pacing.steps_per_second = if is_unlimited { f32::INFINITY } else { limit };
    });
}

/// What is looked at. Returns whether another chart of scalars or of units is wanted.
pub(super) fn choices(
    ui: &mut egui::Ui,
    contents: &Contents,
    selection: &mut Selection,
    options: &mut ViewOptions,
) {
    let title = ui.label("Scalars").id;
    egui::ComboBox::from_id_salt("scalars")
        .selected_text(options.group.unwrap_or("none"))
        .width(BOX_WIDTH)
        .show_ui(ui, |ui| {
            for group in &contents.groups {
                ui.selectable_value(&mut options.group, Some(group.title), group.title);
            }
        })
        .response
        .labelled_by(title);
    ui.horizontal(|ui| {
        for (scale, name) in SCALES {
            ui.selectable_value(&mut options.scalar_scale, scale, name);
        }
    });
    let title = ui.label("Units of").id;
    let before = (selection.tensor.clone(), selection.kind);
    let name = |tensor: &str, kind: TensorKind| format!("{tensor} {}", kind.name());
    egui::ComboBox::from_id_salt("tensor")
        .selected_text(name(&selection.tensor, selection.kind))
        .width(BOX_WIDTH)
        .show_ui(ui, |ui| {
            for entry in &contents.entries {
                let is_selected = entry.tensor == selection.tensor && entry.kind == selection.kind;
                let label = name(&entry.tensor, entry.kind);
                if ui.selectable_label(is_selected, label).clicked() {
                    selection.tensor.clone_from(&entry.tensor);
                    selection.kind = entry.kind;
                }
            }
        })
        .response
        .labelled_by(title);
    if before != (selection.tensor.clone(), selection.kind) {
        selection.clear_units();
    }
    egui::ComboBox::from_id_salt("statistic")
        .selected_text(selection.statistic.label())
        .width(BOX_WIDTH)
        .show_ui(ui, |ui| {
            for statistic in Statistic::ALL {
                ui.selectable_value(&mut selection.statistic, statistic, statistic.label());
            }
        })
        .response
        .labelled_by(title);
    if selection.has_samples() {
        ui.checkbox(&mut options.is_per_sample, "single samples")
            .on_hover_text("A line for each sample, channel and position of the probe batch, by replaying the brushed steps or those before the chosen one");
    }
    let lines = egui::Slider::new(&mut options.keep, 5..=300).logarithmic(true);
    ui.add(lines.text("lines drawn"));
    ui.horizontal(|ui| {
        for (scale, name) in SCALES {
            ui.selectable_value(&mut options.scale, scale, name);
        }
    });
    ui.checkbox(&mut options.is_clustered, "color by cluster")
        .on_hover_text("Units whose lines are alike have one color");
    ui.horizontal(|ui| {
        ui.selectable_value(&mut options.is_dark, true, "dark");
        ui.selectable_value(&mut options.is_dark, false, "light");
    });
    if let Some(step) = selection.step {
        let units: Vec<String> = selection.units.iter().map(u32::to_string).collect();
        ui.horizontal_wrapped(|ui| {
            small(
                ui,
                &format!("Pinned at step {step}: unit {}", units.join(", ")),
            );
            if ui.small_button("clear").clicked() {
                selection.clear_units();
            }
        });
    }
}

/// Which step is looked at: the run as it is now, or an earlier step, which is replayed.
pub(super) fn step(ui: &mut egui::Ui, status: &RunStatus, selection: &mut Selection) {
    if status.step == 0 {
        return;
    }
    ui.label("Images and tensor");
    ui.horizontal(|ui| {
        if ui
            .selectable_label(selection.cursor.is_none(), "now")
            .clicked()
        {
            selection.cursor = None;
        }
        let mut step = selection.cursor.unwrap_or(status.step - 1);
        let title = ui.label("or at step").id;
        let drag = egui::DragValue::new(&mut step).range(0..=status.step - 1);
        // A replay is started when the value is settled, not at each value on the way.
        let response = ui.add(drag.update_while_editing(false));
        let response = response.labelled_by(title);
        let id = response.id.with("wanted");
        if response.changed() {
            ui.data_mut(|data| data.insert_temp(id, step));
        }
        if !response.dragged()
            && !response.has_focus()
            && let Some(step) = ui.data_mut(|data| data.remove_temp::<u64>(id))
        {
            selection.cursor = Some(step);
        }
    });
}

/// What the run has noticed, and what is missing from its directory.
pub(super) fn findings(ui: &mut egui::Ui, status: &RunStatus, activity: Option<&str>) {
    ui.label(format!("Events: {}", status.events));
    for event in &status.first_events {
        small(ui, event);
    }
    let unlisted = status.events.saturating_sub(status.first_events.len());
    if unlisted > 0 {
        small(ui, &format!("and {unlisted} more, in events.jsonl"));
    }
    if !status.problems.is_empty() {
        ui.separator();
        ui.label("Left out");
        for problem in &status.problems {
            small(ui, problem);
        }
    }
    if let Some(activity) = activity {
        ui.separator();
        small(ui, activity);
    }
}

fn small(ui: &mut egui::Ui, text: &str) {
    ui.label(egui::RichText::new(text).size(SMALL));
}
