//! The bar at the top and what keys do: time, the find box, and what one does with the run.

use std::time::Duration;

use super::controls;
use super::dashboard::Dashboard;
use super::export::{Format, Wish};
use super::find;
use super::keys::{self, Action};
use super::panes::Pane;
use super::requests::Request;
use super::run_form::Form;
use super::selection::Selection;
use crate::series::Scale;
use crate::view::TimeScale;

/// While steps are played, the cursor stays on each column so long.
const PLAYED: Duration = Duration::from_millis(160);

/// What an expression in the find box is made of.
const WORDS: &str = "Words of a unit, one a record: rise, fall, flat, spike, saturated, dead, nonfinite, missing. Such as /flat+ spike nonfinite";

impl Dashboard {
    /// One row, which scrolls where the window is too narrow for it.
    pub(super) fn bar(&mut self, ui: &mut egui::Ui) {
        let scroll = egui::ScrollArea::horizontal().id_salt("bar");
        scroll.show(ui, |ui| {
            ui.horizontal(|ui| {
                self.time(ui);
                ui.separator();
                let box_id = find::find_box();
                ui.add(
                    egui::TextEdit::singleline(&mut self.query)
                        .id(box_id)
                        .hint_text("find a tensor, unit, event, step, /words")
                        .desired_width(190.0),
                );
                ui.separator();
                if ui
                    .button("Keys")
                    .on_hover_text("What the keyboard does (?)")
                    .clicked()
                {
                    self.is_help_open = !self.is_help_open;
                }
                if ui.button("Copy command").clicked() {
                    self.grant(Pane::Images, Wish::Copy, ui.ctx());
                }
                ui.menu_button("Export all", |ui| {
                    for format in Format::ALL {
                        let text =
                            format!("The {} of all panes as {}", format.holds(), format.name());
                        if ui.button(text).clicked() {
                            self.export(&Pane::ALL, format);
                        }
                    }
                });
                if let Some(note) = &self.note {
                    ui.weak(note);
                }
            });
        });
        self.results(ui);
    }

    /// Which steps are shown, and which one is looked at.
    fn time(&mut self, ui: &mut egui::Ui) {
        let timeline = self.timeline().cloned();
        let failure = self
            .contents
            .as_ref()
            .and_then(|contents| contents.failure.clone());
        let Some(selection) = &mut self.selection else {
            return;
        };
        for scale in TimeScale::ALL {
            ui.selectable_value(&mut selection.time, scale, scale.name());
        }
        ui.separator();
        if let Some(timeline) = timeline {
            let axis = &timeline.axis;
            let [first, last] = timeline.ends();
            let at = selection.cursor.unwrap_or(last).clamp(first, last);
            let mut column = axis.column_of(at);
            let slider = egui::Slider::new(&mut column, 0..=axis.columns().len() - 1)
                .show_value(false)
                .text(format!("step {at}"));
            let response = ui.add(slider);
            if response.changed() {
                selection.cursor = Some(axis.step_at(column as f32));
            }
        }
        let is_now = selection.cursor.is_none();
        if ui.selectable_label(is_now, "now").clicked() {
            selection.cursor = None;
        }
        let play = if self.is_playing {
            "Stop playing"
        } else {
            "Play"
        };
        if ui.button(play).clicked() {
            self.is_playing = !self.is_playing;
        }
        if let Some(range) = selection.range.clone() {
            let text = format!("All steps, not {} to {}", range.start, range.end - 1);
            if ui.button(text).clicked() {
                selection.range = None;
            }
        } else if let Some(failure) = failure
            && ui.button("Only around the failure").clicked()
        {
            selection.range = Some(failure);
        }
    }

    /// What was found, below the bar.
    fn results(&mut self, ui: &mut egui::Ui) {
        if self.query.trim().is_empty() {
            return;
        }
        if let Some((pane, wish)) = find::wishes(ui, &self.query) {
            self.query.clear();
            let context = ui.ctx().clone();
            self.grant(pane, wish, &context);
            return;
        }
        let (Some(contents), Some(selection)) = (&self.contents, &mut self.selection) else {
            return;
        };
        let mut is_chosen = ui.input(|input| input.key_pressed(egui::Key::Escape));
        match find::expression_of(&self.query) {
            Some(expression) => {
                let known = self.words.as_ref();
                match known.filter(|(words, _)| words == expression) {
                    Some((_, found)) => {
                        is_chosen |=
                            find::list(ui, found, "The words of no unit match.", selection);
                    }
                    None => {
                        ui.weak(WORDS);
                        let is_asked =
                            ui.button("Search all units").clicked() || find::is_entered(ui);
                        if is_asked && !expression.is_empty() {
                            self.due.want(Request::Words);
                        }
                    }
                }
            }
            None => {
                let events = self.layers.values().map(|values| values.events.clone());
                let events = events.as_ref().map_or(&[][..], |events| events.as_slice());
                let found = find::find(&self.query, contents, events);
                is_chosen |= find::list(ui, &found, "Nothing like that is recorded.", selection);
            }
        }
        if is_chosen {
            self.query.clear();
        }
    }

    /// Does what the pressed keys ask for.
    pub(super) fn keys(&mut self, context: &egui::Context) {
        for action in keys::pressed(context) {
            self.act(action, context);
        }
    }

    fn act(&mut self, action: Action, context: &egui::Context) {
        match action {
            Action::Help => self.is_help_open = !self.is_help_open,
            Action::Pause => self.pace(|pacing| pacing.is_paused = !pacing.is_paused),
            Action::SingleStep => self.pace(|pacing| {
                pacing.is_paused = true;
                pacing.single_steps += 1;
            }),
            Action::Play => self.is_playing = !self.is_playing,
            Action::Theme => self.options.is_dark = !self.options.is_dark,
            Action::ValueScale => {
                let scale = match self.options.scale {
                    Some(Scale::Linear) => Scale::Symlog,
                    _ => Scale::Linear,
                };
                self.options.scale = Some(scale);
                self.options.scalar_scale = Some(scale);
            }
            Action::Find => context.memory_mut(|memory| memory.request_focus(find::find_box())),
            Action::CopyCommand => self.grant(Pane::Images, Wish::Copy, context),
            Action::Export(format) => self.export(&Pane::ALL, format),
            Action::Pane(number) => self.arrangement.bring(Pane::ALL[number]),
            Action::Undo | Action::Redo => {
                if let Some(selection) = &mut self.selection {
                    let before = selection.clone();
                    let is_moved = match action {
                        Action::Undo => self.undo.back(selection),
                        _ => self.undo.forth(selection),
                    };
                    if is_moved {
                        self.is_undone = true;
                        let options = self.options.clone();
                        self.note_changes(&Some(before), &options);
                    }
                }
            }
            _ => self.move_cursor(action),
        }
    }

    fn move_cursor(&mut self, action: Action) {
        let timeline = self.timeline().cloned();
        let Some(selection) = &mut self.selection else {
            return;
        };
        match action {
            Action::Follow => selection.cursor = None,
            Action::AllSteps => selection.range = None,
            Action::Clear => clear(selection),
            Action::TimeScale => {
                let all = TimeScale::ALL;
                let at = all.iter().position(|scale| *scale == selection.time);
                selection.time = all[(at.unwrap_or(0) + 1) % all.len()];
            }
            _ => {
                let Some(timeline) = timeline else {
                    return;
                };
                let [first, last] = timeline.ends();
                let at = selection.cursor.unwrap_or(last).clamp(first, last);
                selection.cursor = match action {
                    Action::EarlierStep => Some(timeline.beside(at, -1)),
                    Action::LaterStep => Some(timeline.beside(at, 1)),
                    Action::FirstStep => Some(first),
                    _ => selection.cursor,
                };
            }
        }
    }

    fn pace(&self, change: impl FnOnce(&mut super::status::Pacing)) {
        if self.status().is_training {
            let mut pacing = self
                .pacing
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            change(&mut pacing);
        }
    }

    /// Moves the cursor on while steps are played; at the last one playing ends.
    pub(super) fn play(&mut self, context: &egui::Context) {
        let (Some(timeline), true) = (self.timeline().cloned(), self.is_playing) else {
            return;
        };
        let id = egui::Id::unique("played");
        let now = context.input(|input| input.time);
        let due = context.data(|data| data.get_temp::<f64>(id)).unwrap_or(now);
        if now >= due {
            context.data_mut(|data| data.insert_temp(id, now + PLAYED.as_secs_f64()));
            let [first, last] = timeline.ends();
            if let Some(selection) = &mut self.selection {
                let next = match selection.cursor {
                    Some(step) if step < last => timeline.beside(step.max(first), 1),
                    Some(_) => last,
                    None => first,
                };
                self.is_playing = selection.cursor.is_none_or(|step| step < last);
                selection.cursor = Some(next);
            }
            if !self.is_playing {
                self.due.want(Request::Past);
            }
        }
        context.request_repaint_after(PLAYED);
    }

    /// How the run is doing, and what is looked at.
    pub(super) fn run_pane(&mut self, ui: &mut egui::Ui) {
        let status = self.status();
        {
            let mut pacing = self
                .pacing
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            controls::run(ui, &status, &mut pacing);
        }
        ui.separator();
        if let (Some(contents), Some(selection)) = (&self.contents, &mut self.selection) {
            controls::choices(ui, contents, selection, &mut self.options);
            controls::step(ui, &status, selection);
            ui.separator();
        }
        let names: Vec<String> = self.compared.iter().map(|run| run.name.clone()).collect();
        let cursor = self
            .selection
            .as_ref()
            .and_then(|selection| selection.cursor);
        match self.run_form.show(ui, &names, cursor) {
            Some(Form::Branch) => self.due.want(Request::Branch),
            Some(Form::Compare) => self.due.want(Request::Compared),
            Some(Form::Forget(name)) => {
                self.compared.retain(|run| run.name != name);
                self.due.want(Request::Scalars);
            }
            None => {}
        }
        ui.separator();
        if self.worker.is_pending(Request::Past) && ui.small_button("Cancel the replay").clicked() {
            self.worker.cancel(Request::Past);
            if let Some(selection) = &mut self.selection {
                selection.cursor = None;
            }
        }
        controls::findings(ui, &status, self.worker.activity().as_deref());
    }

    /// Does what a person wants of a pane.
    pub(super) fn grant(&mut self, pane: Pane, wish: Wish, context: &egui::Context) {
        match wish {
            Wish::Write(format) => self.export(&[pane], format),
            Wish::Copy => {
                let command = self.command(pane);
                context.copy_text(command.clone());
                self.note = Some(format!("Copied: {command}"));
            }
        }
    }
}

/// Lets go of what is nearest: pinned units, then the chosen step, then the range.
fn clear(selection: &mut Selection) {
    if !selection.units.is_empty() {
        selection.clear_units();
    } else if selection.cursor.is_some() {
        selection.cursor = None;
    } else {
        selection.range = None;
    }
}
