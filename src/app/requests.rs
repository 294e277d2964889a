//! What the window asks the worker for, and when: whatever has changed, newest first, and nothing twice at a time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::analyses::{Compared, Tried};
use super::dashboard::Dashboard;
use super::find::{self, Found};
use super::jobs::{Contents, Timed};
use super::layer_squares;
use super::layer_values::Layers;
use super::past::PastStep;
use super::preview::Images;
use super::selection::Selection;
use super::unit_lines::UnitLines;
use super::unit_pane::{Question, Sheet};
use super::view_options::ViewOptions;
use crate::credit::Credit;
use crate::diagnose::Explanation;
use crate::view::ScalarChart;

/// While a run trains, its charts are computed again this often.
pub(super) const REFRESH: Duration = Duration::from_millis(700);
/// Between charts, training gets at least this many times the time that they took.
const TRAINING_SHARE: u32 = 4;
/// What a run that goes on changes.
const LIVE: [Request; 5] = [
    Request::Scalars,
    Request::Units,
    Request::Images,
    Request::Layers,
    Request::Squares,
];

/// What the worker is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Contents,
    Scalars,
    Units,
    Images,
    Layers,
    /// The units of expanded layers, in clusters.
    Squares,
    /// The run at an earlier step.
    Past,
    Explanation,
    /// A fix of a finding.
    Trial([usize; 2]),
    /// What moved the unit that is walked to.
    Credit,
    /// What the pane of the unit was asked.
    Unit,
    /// Where the words of units match the expression in the find box.
    Words,
    /// A run of its own from the step that is looked at.
    Branch,
    /// Another run, to be drawn over this one.
    Compared,
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Prepared {
    Contents(Box<Contents>),
    Scalars(Option<Timed<ScalarChart>>),
    Units(Option<Box<UnitLines>>),
    Images(Option<Images>),
    Layers(Layers),
    Squares(Option<layer_squares::Compared>),
    Past(Option<Box<PastStep>>),
    Explanation(Box<Explanation>),
    Trial(Option<Box<Tried>>),
    Credit(Option<Box<Credit>>),
    Sheet(Option<Box<Sheet>>),
    Like(Vec<Found>),
    Words(String, Vec<Found>),
    /// A branch has begun; what is shown of the run that was left.
    Branch(Compared),
    Compared(Compared),
}

/// Requests that are due, and when and at which step the last of them were made.
#[derive(Debug)]
pub(super) struct Due {
    requests: Vec<Request>,
    asked_at: Instant,
    asked_step: Option<u64>,
    /// Whether answers are still to come.
    is_waiting: bool,
    /// How long the last answers took.
    took: Duration,
}

impl Default for Due {
    fn default() -> Self {
        Self {
            requests: Vec::new(),
            asked_at: Instant::now(),
            asked_step: None,
            is_waiting: false,
            took: Duration::ZERO,
        }
    }
}

impl Due {
    pub fn want(&mut self, request: Request) {
        if !self.requests.contains(&request) {
            self.requests.push(request);
        }
    }

    /// Everything that shows the run as it is now.
    pub fn want_all(&mut self) {
        LIVE.into_iter().for_each(|request| self.want(request));
    }

    /// What to ask for now, of a run that has come to a step. Units whose steps are replayed do not follow a run in training:
    /// that would take more time than the training.
    fn take(&mut self, step: u64, are_units_replayed: bool) -> Vec<Request> {
        let is_behind = self.asked_step.is_some_and(|asked| asked != step);
        if is_behind && self.asked_at.elapsed() >= self.interval() {
            let follows = |request: &Request| *request != Request::Units || !are_units_replayed;
            LIVE.into_iter()
                .filter(follows)
                .for_each(|request| self.want(request));
        }
        std::mem::take(&mut self.requests)
    }

    /// The time from one look at a run in training to the next: where charts take long, training goes on meanwhile.
    fn interval(&self) -> Duration {
        REFRESH.max(self.took * (1 + TRAINING_SHARE))
    }

    /// All answers have come.
    fn answered(&mut self) {
        if std::mem::take(&mut self.is_waiting) {
            self.took = self.asked_at.elapsed();
        }
    }

    /// How long until the next look, where there is more to ask for.
    pub fn delay(&self, step: u64) -> Option<Duration> {
        let is_behind = self.asked_step.is_some_and(|asked| asked != step);
        (is_behind || !self.requests.is_empty()).then(|| {
            let rest = self.interval().saturating_sub(self.asked_at.elapsed());
            rest.max(Duration::from_millis(20))
        })
    }
}

impl Dashboard {
    /// Submits requests that are due to the worker; those whose kind is still being worked on stay due.
    pub fn ask(&mut self) {
        let step = self.status().step;
        if self.contents.is_none() {
            return;
        }
        if !self.worker.is_any_pending(|request| LIVE.contains(request)) {
            self.due.answered();
        }
        for request in self.due.take(step, self.options.is_per_sample) {
            if self.worker.is_pending(request) {
                self.due.want(request);
                continue;
            }
            self.due.asked_at = Instant::now();
            self.due.asked_step = Some(step);
            self.due.is_waiting = true;
            self.submit(request);
        }
    }

    fn submit(&self, request: Request) {
        let (Some(contents), Some(selection)) = (&self.contents, &self.selection) else {
            return;
        };
        let (selection, options) = (selection.clone(), self.options.clone());
        match request {
            Request::Contents => {}
            Request::Past => self.submit_past(selection),
            Request::Scalars => {
                let title = options.group;
                let mut groups = contents.groups.iter();
                let Some(group) = groups.find(|group| Some(group.title) == title).cloned() else {
                    return;
                };
                // Trials are about the loss.
                let has_loss = group.labels.iter().any(|label| label == "loss");
                let mut others = Vec::new();
                if has_loss {
                    others = self.explain.losses();
                    let compared = self.compared.iter();
                    others.extend(compared.map(|run| (run.name.clone(), run.loss.clone())));
                }
                self.worker.submit(request, move |session, _| {
                    let chart = session.scalars(&group, &selection, &options, &others);
                    chart.map(Prepared::Scalars)
                });
            }
            Request::Units => self.worker.submit(request, move |session, progress| {
                let chart = session.units(&selection, &options, progress)?;
                Ok(Prepared::Units(chart.map(Box::new)))
            }),
            Request::Images => self.worker.submit(request, |session, progress| {
                session.images(progress).map(Prepared::Images)
            }),
            Request::Layers => {
                let credit = self.walk.credit();
                let squares = self.layers.square_counts(&options.expanded, credit);
                self.worker.submit(request, move |session, progress| {
                    let layers = session.layers(&selection, &options.collapsed, &squares, progress);
                    layers.map(Prepared::Layers)
                });
            }
            Request::Squares => self.submit_squares(&options.expanded, selection.cursor),
            Request::Explanation => self.worker.submit(request, |session, progress| {
                let explanation = session.explain(progress)?;
                Ok(Prepared::Explanation(Box::new(explanation)))
            }),
            Request::Trial(which) => {
                let Some(explanation) = self.explain.explanation().cloned() else {
                    return;
                };
                self.worker.submit(request, move |session, progress| {
                    let tried = session.try_fix(&explanation, which, progress)?;
                    Ok(Prepared::Trial(tried.map(Box::new)))
                });
            }
            Request::Branch => {
                let settings = self.run_form.settings();
                self.worker.submit(request, move |session, progress| {
                    let left = session.branch(&settings, selection.cursor, progress);
                    left.map(Prepared::Branch)
                });
            }
            Request::Compared => {
                let dir = self.run_form.other();
                self.worker.submit(request, move |session, _| {
                    session.compared(&dir).map(Prepared::Compared)
                });
            }
            Request::Unit => self.submit_unit(selection),
            Request::Words => {
                let Some(expression) = find::expression_of(&self.query).map(str::to_owned) else {
                    return;
                };
                self.worker.submit(request, move |session, progress| {
                    let found = session.words(&expression, selection.kind, progress)?;
                    Ok(Prepared::Words(expression, found))
                });
            }
            Request::Credit => {
                let Some(place) = self.walk.wanted() else {
                    return;
                };
                self.worker.submit(request, move |session, progress| {
                    let range = place.range.clone();
                    let credit = session.credit(&place.layer, place.unit, range, progress)?;
                    Ok(Prepared::Credit(credit.map(Box::new)))
                });
            }
        }
    }

    fn submit_unit(&self, selection: Selection) {
        let Some(question) = self.unit_pane.question().cloned() else {
            return;
        };
        let share = self.unit_pane.share();
        let credit = self.walk.credit().cloned();
        self.worker.submit(Request::Unit, move |session, progress| {
            let step = selection.cursor;
            match question {
                Question::Dream { layer, unit } => {
                    let sheet = session.dream(&layer, unit, step, share, progress)?;
                    Ok(Prepared::Sheet(sheet.map(Box::new)))
                }
                Question::Clusters { layer } => {
                    let sheet = session.clusters(&layer, step, credit.as_ref(), progress)?;
                    Ok(Prepared::Sheet(Some(Box::new(sheet))))
                }
                Question::Like(query) => {
                    let (kind, statistic) = (selection.kind, selection.statistic);
                    let found = session.like(&query, kind, statistic, progress)?;
                    Ok(Prepared::Like(found))
                }
            }
        });
    }

    /// Asks for the squares of expanded layers, unless they are those of this step already.
    fn submit_squares(&self, expanded: &BTreeSet<String>, step: Option<u64>) {
        let known = self.layers.known_squares();
        let is_known = |layer: &&String| {
            let squares = known.get(*layer);
            step.is_some() && squares.map(|squares| squares.step) == step
        };
        let layers: BTreeSet<String> = expanded.iter().filter(|l| !is_known(l)).cloned().collect();
        if layers.is_empty() {
            return;
        }
        let before = known.clone();
        self.worker
            .submit(Request::Squares, move |session, progress| {
                let squares = session.squares(&layers, step, &before, progress)?;
                Ok(Prepared::Squares(squares))
            });
    }

    fn submit_past(&self, selection: Selection) {
        let Some(step) = selection.cursor else {
            return;
        };
        self.worker.submit(Request::Past, move |session, progress| {
            let past = session.past(step, &selection, progress)?;
            Ok(Prepared::Past(past.map(Box::new)))
        });
    }

    /// What was chosen since `selection` and `options` has to be computed or drawn.
    pub(super) fn note_changes(&mut self, selection: &Option<Selection>, options: &ViewOptions) {
        let series = |selection: &Option<Selection>| selection.as_ref().map(Selection::series);
        let is_other = series(&self.selection) != series(selection);
        if is_other {
            // Whatever is on its way is of no use any more.
            self.worker.cancel(Request::Units);
        }
        let now = &self.options;
        let drawn = |options: &ViewOptions| {
            let classes = (options.is_clustered, options.is_per_sample);
            (options.keep, options.scale, classes)
        };
        if is_other || drawn(now) != drawn(options) {
            self.due.want(Request::Units);
        }
        let time = |selection: &Option<Selection>| {
            let selection = selection.as_ref()?;
            Some((selection.time, selection.range.clone()))
        };
        if time(&self.selection) != time(selection) {
            self.due.want(Request::Scalars);
            self.due.want(Request::Layers);
            self.due.want(Request::Units);
        }
        let cursor = |selection: &Option<Selection>| selection.as_ref().and_then(|s| s.cursor);
        if cursor(&self.selection) != cursor(selection)
            && self.options.is_per_sample
            && !self.is_playing
        {
            self.due.want(Request::Units);
        }
        if cursor(&self.selection) != cursor(selection) || is_other {
            // The tensor of the step that is looked at is another one, too.
            self.worker.cancel(Request::Past);
            if cursor(&self.selection) != cursor(selection) && !self.is_playing {
                self.due.want(Request::Squares);
            }
            self.are_images_stale |= self.past.take().is_some();
            if cursor(&self.selection).is_some() && !self.is_playing {
                self.due.want(Request::Past);
            }
        }
        let now = &self.options;
        if (now.group, now.scalar_scale) != (options.group, options.scalar_scale) {
            self.due.want(Request::Scalars);
        }
        if now.expanded != options.expanded {
            self.due.want(Request::Squares);
        }
        if (&now.collapsed, &now.expanded) != (&options.collapsed, &options.expanded) {
            self.due.want(Request::Layers);
        }
        self.is_stale |= now.is_dark != options.is_dark;
    }
}
