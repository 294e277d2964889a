//! The keyboard: one table of what each key does, which the sheet at `?` shows.

use egui::{Key, Modifiers};

use super::export::Format;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Help,
    Pause,
    SingleStep,
    Play,
    EarlierStep,
    LaterStep,
    FirstStep,
    Follow,
    AllSteps,
    Clear,
    TimeScale,
    ValueScale,
    Theme,
    Undo,
    Redo,
    Find,
    CopyCommand,
    /// Write what all panes show.
    Export(Format),
    /// Brings the pane with this number to the front.
    Pane(usize),
}

const NONE: Modifiers = Modifiers::NONE;
const COMMAND: Modifiers = Modifiers::COMMAND;
const SHIFT: Modifiers = Modifiers::SHIFT;

/// Every key, with what it does. Earlier ones are looked at first, so that those with modifiers come before the others.
const KEYS: [(Modifiers, Key, Action, &str); 30] = [
    (
        COMMAND.plus(Modifiers::SHIFT),
        Key::Z,
        Action::Redo,
        "undo the last step back",
    ),
    (
        COMMAND,
        Key::Z,
        Action::Undo,
        "go back to what was selected before",
    ),
    (
        COMMAND,
        Key::F,
        Action::Find,
        "find a tensor, unit, event or step",
    ),
    (
        NONE,
        Key::Questionmark,
        Action::Help,
        "show or hide this sheet",
    ),
    (NONE, Key::F1, Action::Help, "show or hide this sheet"),
    (
        NONE,
        Key::Space,
        Action::Pause,
        "pause the training, or go on",
    ),
    (NONE, Key::N, Action::SingleStep, "train one step"),
    (
        NONE,
        Key::P,
        Action::Play,
        "play the recorded steps, or stop",
    ),
    (
        NONE,
        Key::ArrowLeft,
        Action::EarlierStep,
        "look at the column before",
    ),
    (
        NONE,
        Key::ArrowRight,
        Action::LaterStep,
        "look at the column after",
    ),
    (NONE, Key::Home, Action::FirstStep, "look at the first step"),
    (
        NONE,
        Key::End,
        Action::Follow,
        "follow the run as it is now",
    ),
    (NONE, Key::A, Action::AllSteps, "show all steps"),
    (
        NONE,
        Key::Escape,
        Action::Clear,
        "let pinned units go, then the chosen step, then the range",
    ),
    (
        NONE,
        Key::T,
        Action::TimeScale,
        "fold time, or make it linear or logarithmic",
    ),
    (
        NONE,
        Key::L,
        Action::ValueScale,
        "logarithmic values, or linear ones",
    ),
    (NONE, Key::D, Action::Theme, "dark or light"),
    (
        NONE,
        Key::C,
        Action::CopyCommand,
        "copy the command that shows this",
    ),
    (
        SHIFT,
        Key::E,
        Action::Export(Format::Svg),
        "write what the panes show as SVG files",
    ),
    (
        NONE,
        Key::E,
        Action::Export(Format::Png),
        "write what the panes show as PNG files",
    ),
    (
        SHIFT,
        Key::X,
        Action::Export(Format::Parquet),
        "write the data of the panes as Parquet files",
    ),
    (
        NONE,
        Key::X,
        Action::Export(Format::Csv),
        "write the data of the panes as CSV files",
    ),
    (NONE, Key::Num1, Action::Pane(0), "show the snapshots"),
    (NONE, Key::Num2, Action::Pane(1), "show the layers"),
    (NONE, Key::Num3, Action::Pane(2), "show the units"),
    (NONE, Key::Num4, Action::Pane(3), "show the images"),
    (NONE, Key::Num5, Action::Pane(4), "show the run"),
    (NONE, Key::Num6, Action::Pane(5), "show the explanation"),
    (NONE, Key::Num7, Action::Pane(6), "show the credit"),
    (NONE, Key::Num8, Action::Pane(7), "show the pinned unit"),
];

/// What the keys pressed in this frame ask for; nothing while text is typed.
pub(super) fn pressed(context: &egui::Context) -> Vec<Action> {
    let is_typing = context.text_edit_focused();
    context.input_mut(|input| {
        let is_pressed = |(modifiers, key, action, _): &(Modifiers, Key, Action, &str)| {
            let is_allowed = !is_typing || modifiers.command;
            (is_allowed && input.consume_key(*modifiers, *key)).then_some(*action)
        };
        KEYS.iter().filter_map(is_pressed).collect()
    })
}

/// The sheet of keys.
pub(super) fn sheet(context: &egui::Context, is_open: &mut bool) {
    egui::Window::new("Keys")
        .open(is_open)
        .collapsible(false)
        .resizable(false)
        .vscroll(true)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(context, |ui| {
            egui::Grid::new("keys").striped(true).show(ui, |ui| {
                for (modifiers, key, _, text) in &KEYS {
                    let shortcut = egui::KeyboardShortcut::new(*modifiers, *key);
                    ui.monospace(ui.ctx().format_shortcut(&shortcut));
                    ui.label(*text);
                    ui.end_row();
                }
            });
            ui.weak("In a chart: click a step, drag a range, double click for all steps.");
            ui.weak("At a layer of the graph: S shows its units as squares.");
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        for (index, (modifiers, key, action, _)) in KEYS.iter().enumerate() {
            let mut others = KEYS[..index].iter();
            assert!(
                others.all(|other| (other.0, other.1) != (*modifiers, *key)),
                "{action:?}"
            );
        }
        assert_eq!(
            KEYS.iter()
                .filter(|key| matches!(key.2, Action::Pane(_)))
                .count(),
            super::super::panes::Pane::ALL.len()
        );
    }
}
