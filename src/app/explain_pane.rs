//! The verdict on a run, what supports it, and what would cure it; a click takes all levels to where it shows.

use super::analyses::Tried;
use super::jobs::Contents;
use super::selection::Selection;
use crate::diagnose::{Explanation, Finding, Fix};
use crate::tensor::TensorKind;
use crate::trace::{Severity, TraceEntry};
use crate::view::TextLine;

/// Steps around the one that shows a finding best which all levels then show.
const AROUND: [u64; 2] = [150, 50];

/// What the pane wants to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Explain the run again as it is now.
    Explain,
    /// Try a fix of a finding.
    Try([usize; 2]),
}

/// The pane's content.
#[derive(Debug, Default)]
pub(super) struct ExplainPane {
    explanation: Option<Box<Explanation>>,
    tried: Vec<Tried>,
}

impl ExplainPane {
    /// Shows another explanation; what was tried of the one before is forgotten.
    pub fn set(&mut self, explanation: Explanation) {
        self.explanation = Some(Box::new(explanation));
        self.tried.clear();
    }

    /// Shows what came of a fix.
    pub fn add(&mut self, tried: Tried) {
        let fixes = self.explanation.as_mut().and_then(|explanation| {
            let finding = explanation.findings.get_mut(tried.finding)?;
            finding.fixes.get_mut(tried.fix)
        });
        if let Some(fix) = fixes {
            *fix = tried.result.clone();
        }
        self.tried
            .retain(|other| [other.finding, other.fix] != [tried.finding, tried.fix]);
        self.tried.push(tried);
    }

    pub fn explanation(&self) -> Option<&Explanation> {
        self.explanation.as_deref()
    }

    /// What is said, as paragraphs; none before the run is explained.
    pub fn lines(&self) -> Vec<TextLine> {
        let Some(explanation) = &self.explanation else {
            return Vec::new();
        };
        let mut lines = vec![TextLine::Title(explanation.headline.clone())];
        for (index, finding) in explanation.findings.iter().enumerate() {
            lines.push(TextLine::Title(format!("{}. {}", index + 1, finding.title)));
            lines.push(TextLine::Aside(standing(finding)));
            let evidence = finding.evidence.iter();
            lines.extend(evidence.map(|evidence| TextLine::Said(evidence.text.clone())));
            for fix in &finding.fixes {
                let sets = fix.set.iter().map(|set| format!(" --set '{set}'"));
                let text = format!("{}: {}{}", sign(fix), fix.text, sets.collect::<String>());
                lines.push(TextLine::Said(text));
                lines.extend(fix.result.clone().map(TextLine::Aside));
            }
        }
        let unknown = explanation.unknown.iter();
        lines.extend(unknown.map(|unknown| TextLine::Aside(format!("Not known: {unknown}"))));
        lines
    }

    /// The losses of the fixes that were tried, with names for a legend.
    pub fn losses(&self) -> Vec<(String, Vec<(u64, f64)>)> {
        let named = self.tried.iter().map(|tried| {
            let name = format!("loss if: {}", tried.result.set.join(", "));
            (name, tried.loss.clone())
        });
        named.filter(|(_, loss)| !loss.is_empty()).collect()
    }

    /// Shows the explanation, and returns what is to be done.
    pub fn show(
        &self,
        ui: &mut egui::Ui,
        contents: &Contents,
        selection: &mut Selection,
        is_busy: bool,
    ) -> Option<Wish> {
        let mut wish = None;
        let Some(explanation) = &self.explanation else {
            if is_busy {
                ui.weak("Looking at what is recorded.");
            } else if ui.button("Explain this run").clicked() {
                wish = Some(Wish::Explain);
            }
            return wish;
        };
        ui.label(
            egui::RichText::new(&explanation.headline)
                .strong()
                .size(14.0),
        );
        for (index, finding) in explanation.findings.iter().enumerate() {
            ui.separator();
            let title = format!("{}. {}", index + 1, finding.title);
            let response = ui.link(egui::RichText::new(title).size(13.5));
            if response.on_hover_text("Show where").clicked() {
                go_to(finding, contents, selection);
            }
            ui.weak(standing(finding));
            for evidence in &finding.evidence {
                ui.label(&evidence.text);
            }
            for (number, fix) in finding.fixes.iter().enumerate() {
                if show_fix(ui, fix, finding.severity, is_busy) {
                    wish = Some(Wish::Try([index, number]));
                }
            }
        }
        for unknown in &explanation.unknown {
            ui.weak(format!("Not known: {unknown}"));
        }
        ui.separator();
        if ui
            .add_enabled(!is_busy, egui::Button::new("Explain again"))
            .clicked()
        {
            wish = Some(Wish::Explain);
        }
        wish
    }
}

/// How bad a finding is, and how sure.
fn standing(finding: &Finding) -> String {
    let confidence = 100.0 * finding.confidence;
    format!("{}, confidence {confidence:.0} %", finding.severity.name())
}

/// What is known of a fix, in a word.
fn sign(fix: &Fix) -> &'static str {
    match fix.verified {
        Some(true) => "Cures it",
        Some(false) => "Does not cure it",
        None => "Fix",
    }
}

/// Shows a fix; `true` where it is to be tried.
fn show_fix(ui: &mut egui::Ui, fix: &Fix, severity: Severity, is_busy: bool) -> bool {
    ui.add_space(3.0);
    ui.label(format!("{}: {}", sign(fix), fix.text));
    for set in &fix.set {
        ui.label(
            egui::RichText::new(format!("--set '{set}'"))
                .monospace()
                .size(11.5),
        );
    }
    if let Some(result) = &fix.result {
        ui.label(result);
    }
    // A trial is judged by whether something serious is left.
    let can_be_tried = !fix.set.is_empty() && severity >= Severity::Serious;
    can_be_tried
        && ui
            .add_enabled(!is_busy, egui::Button::new("Test this fix").small())
            .clicked()
}

/// Takes all levels to the tensor, units and steps that a finding is about.
fn go_to(finding: &Finding, contents: &Contents, selection: &mut Selection) {
    let kind = finding.quantity.as_deref().and_then(|quantity| {
        TensorKind::ALL
            .into_iter()
            .find(|kind| kind.name() == quantity)
    });
    if let Some(layer) = &finding.layer {
        // Parameters are recorded under names of their own, such as `encoder.0.weight`.
        let is_of_layer = |entry: &&TraceEntry| {
            let rest = entry.tensor.strip_prefix(layer.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let of_layer = || contents.entries.iter().filter(is_of_layer);
        let exact = of_layer().find(|entry| Some(entry.kind) == kind);
        if let Some(entry) = exact.or_else(|| of_layer().next()) {
            selection.look_at(&entry.tensor, entry.kind);
            // Where it is about all units, none of them stands out.
            let units = finding.units.iter().map(|unit| *unit as u32);
            selection.units = match finding.units.len() < entry.units {
                true => units.collect(),
                false => Vec::new(),
            };
            if let Some(statistic) = finding.statistic {
                selection.statistic = statistic;
            }
            selection.step = match selection.units.is_empty() {
                true => None,
                false => finding.step.or(finding.since),
            };
        }
    }
    if let Some(step) = finding.step.or(finding.since) {
        selection.cursor = Some(step);
        let from = finding.since.unwrap_or(step).min(step);
        let [before, after] = AROUND;
        selection.range = Some(from.saturating_sub(before)..step + after + 1);
    }
}
