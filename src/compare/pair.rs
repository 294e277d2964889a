//! Two runs, value by value: checkpoints, statistics of units, scalars.

use std::collections::BTreeSet;

use serde::Serialize;

use super::difference::{Difference, DifferingKind, is_same};
use crate::tensor::{NamedTensor, TensorKind};
use crate::trace::{Checkpoint, RunView, Statistic, TraceEntry, UnitStatistics};

/// How much two runs have in common to compare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Recorded steps that both have, up to and with the first that differs.
    pub records: usize,
    /// Tensors that both have recorded with as many units.
    pub tensors: usize,
    /// Values of scalars, at steps that both have.
    pub scalars: usize,
    /// Checkpoints that both have, up to the first difference.
    pub checkpoints: usize,
}

impl Compared {
    /// Whether the runs have nothing in common that could be compared.
    pub fn is_nothing(&self) -> bool {
        self.records == 0 && self.scalars == 0 && self.checkpoints == 0
    }
}

/// The first run and another one.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The number of the other run.
    pub other: usize,
    /// Where they part first; `None` where nothing that both have differs.
    pub first_difference: Option<Difference>,
    /// The last step before that at which both have something, all of it equal.
    pub equal_through: Option<u64>,
    /// How much was compared.
    pub compared: Compared,
    /// Tensors that only one of them has recorded, or the two with different numbers of units.
    pub only_in: [Vec<String>; 2],
}

/// What is found so far.
struct Search<'a> {
    runs: [&'a RunView; 2],
    numbers: [usize; 2],
    first: Option<Difference>,
    compared: Compared,
    /// Steps at which something was compared.
    steps: BTreeSet<u64>,
    problems: &'a mut Vec<(usize, String)>,
}

impl Pair {
    pub(super) fn compare(
        runs: [&RunView; 2],
        other: usize,
        problems: &mut Vec<(usize, String)>,
    ) -> Self {
        let mut search = Search {
            runs,
            numbers: [0, other],
            first: None,
            compared: Compared::default(),
            steps: BTreeSet::new(),
            problems,
        };
        search.scalars();
        search.statistics();
        search.checkpoints();
        let first_difference = search.first;
        let before = first_difference
            .as_ref()
            .map_or(u64::MAX, |first| first.step);
        Self {
            other,
            equal_through: search.steps.range(..before).next_back().copied(),
            first_difference,
            compared: search.compared,
            only_in: [unmatched(runs[0], runs[1]), unmatched(runs[1], runs[0])],
        }
    }
}

impl Search<'_> {
    fn found(&mut self, difference: Difference) {
        let key = |difference: &Difference| (difference.step, difference.rank);
        let is_earlier = |first: &Difference| key(&difference) < key(first);
        if self.first.as_ref().is_none_or(is_earlier) {
            self.first = Some(difference);
        }
    }

    fn first_step(&self) -> u64 {
        self.first.as_ref().map_or(u64::MAX, |first| first.step)
    }

    fn scalars(&mut self) {
        let [a, b] = self.runs.map(RunView::scalars);
        for (name, ours) in a {
            let theirs = b.get(name).map_or(&[][..], Vec::as_slice);
            let mut theirs = theirs.iter().peekable();
            for &(step, value) in ours {
                while theirs.next_if(|(other, _)| *other < step).is_some() {}
                let Some(&(_, other)) = theirs.next_if(|(other, _)| *other == step) else {
                    continue;
                };
                self.compared.scalars += 1;
                self.steps.insert(step);
                if !is_same(value, other) && step < self.first_step() {
                    self.found(Difference {
                        step,
                        tensor: name.clone(),
                        kind: DifferingKind::Scalar,
                        unit: None,
                        units: 1,
                        statistic: None,
                        values: [value, other],
                        rank: usize::MAX,
                    });
                }
            }
        }
    }

    /// Compares what both have recorded, from one closed segment to the next, up to the first difference.
    fn statistics(&mut self) {
        let [a, b] = self.runs;
        let common = Common::of(a, b);
        self.compared.tensors = common.entries.len();
        let mut bounds = BTreeSet::new();
        for range in a.segments().chain(b.segments()) {
            bounds.extend([range.start, range.end]);
        }
        let bounds: Vec<u64> = bounds.into_iter().collect();
        for window in bounds.windows(2) {
            if window[0] > self.first_step() {
                return;
            }
            let [Some(ours), Some(theirs)] = [0, 1].map(|run| self.read(run, window)) else {
                continue;
            };
            let mut theirs = theirs.iter().peekable();
            for (step, ours) in &ours {
                while theirs.next_if(|(other, _)| other < step).is_some() {}
                let Some((_, theirs)) = theirs.next_if(|(other, _)| other == step) else {
                    continue;
                };
                if *step > self.first_step() {
                    return;
                }
                self.compared.records += 1;
                self.steps.insert(*step);
                if let Some(found) = common.first_difference(*step, [ours, theirs]) {
                    self.found(found);
                }
            }
        }
    }

    /// The records of a run at some steps; a segment that cannot be read is a problem of the run.
    fn read(&mut self, run: usize, window: &[u64]) -> Option<Vec<(u64, Vec<UnitStatistics>)>> {
        match self.runs[run].statistics(window[0], window[1]) {
            Ok(records) => Some(records),
            Err(problem) => {
                self.problems.push((self.numbers[run], problem.to_string()));
                None
            }
        }
    }

    /// Compares checkpoints that both have, up to the first difference.
    fn checkpoints(&mut self) {
        let [ours, theirs] = self.runs.map(RunView::checkpoints);
        let in_both = ours.iter().filter(|step| theirs.contains(step));
        for &step in in_both {
            if step > self.first_step() {
                return;
            }
            let read = [0, 1].map(|run| {
                Checkpoint::read(self.runs[run].folder(), step)
                    .map_err(|problem| self.problems.push((self.numbers[run], problem.to_string())))
            });
            let [Ok(a), Ok(b)] = read else {
                continue;
            };
            self.compared.checkpoints += 1;
            self.steps.insert(step);
            let parameters = [&a.parameters, &b.parameters];
            let memories = [&a.optimizer, &b.optimizer];
            let first = first_element(step, DifferingKind::Weight, parameters)
                .or_else(|| first_element(step, DifferingKind::Optimizer, memories));
            if let Some(found) = first {
                self.found(found);
                return;
            }
        }
    }
}

/// The first element that differs of tensors that both have in one shape.
fn first_element(
    step: u64,
    kind: DifferingKind,
    [a, b]: [&Vec<NamedTensor>; 2],
) -> Option<Difference> {
    a.iter().find_map(|ours| {
        let same = |other: &&NamedTensor| other.name == ours.name && other.shape == ours.shape;
        let theirs = b.iter().find(same)?;
        let differs = |index: &usize| {
            let [a, b] = [ours, theirs].map(|tensor| f64::from(tensor.values[*index]));
            !is_same(a, b)
        };
        let element = (0..ours.values.len()).find(differs)?;
        let length = ours.values.len() / ours.shape.first().copied().unwrap_or(1).max(1);
        let differing = (0..ours.values.len()).filter(differs);
        let units: BTreeSet<usize> = differing.map(|index| index / length.max(1)).collect();
        Some(Difference {
            step,
            tensor: ours.name.clone(),
            kind,
            unit: Some(element / length.max(1)),
            units: units.len(),
            statistic: None,
            values: [ours, theirs].map(|tensor| f64::from(tensor.values[element])),
            rank: 0,
        })
    })
}

/// Recorded tensors of both runs, in the order in which a step computes them.
struct Common {
    /// Entries of either run, and their rank among the differences of a step.
    entries: Vec<([TraceEntry; 2], usize)>,
}

impl Common {
    fn of(a: &RunView, b: &RunView) -> Self {
        let mut entries = Vec::new();
        for (index, ours) in a.entries().iter().enumerate() {
            let theirs = b.layout().find(&ours.tensor, ours.kind);
            if let Some(theirs) = theirs.filter(|theirs| theirs.units == ours.units) {
                let stage = stage(a, ours) * (a.entries().len() + 1);
                entries.push(([ours.clone(), theirs.clone()], 1 + stage + index));
            }
        }
        entries.sort_by_key(|(_, rank)| *rank);
        Self { entries }
    }

    fn first_difference(
        &self,
        step: u64,
        records: [&Vec<UnitStatistics>; 2],
    ) -> Option<Difference> {
        self.entries.iter().find_map(|(entries, rank)| {
            let units = [0, 1].map(|run| &records[run][entries[run].rows()]);
            let differs = |unit: usize| {
                let [a, b] = units.map(|units| units[unit]);
                let mut statistics = Statistic::ALL.into_iter();
                statistics.find(|&s| !is_same(a.get(s).into(), b.get(s).into()))
            };
            let mut differing =
                (0..entries[0].units).filter_map(|unit| Some((unit, differs(unit)?)));
            let (unit, statistic) = differing.next()?;
            Some(Difference {
                step,
                tensor: entries[0].tensor.clone(),
                kind: entries[0].kind.into(),
                unit: Some(unit),
                units: 1 + differing.count(),
                statistic: Some(statistic),
                values: units.map(|units| units[unit].get(statistic).into()),
                rank: *rank,
            })
        })
    }
}

/// Where in a step a tensor gets its value. What a step updates is recorded before the update, so a difference there is
/// older than the step's activations; state moves with the forward pass.
fn stage(run: &RunView, entry: &TraceEntry) -> usize {
    match entry.kind {
        TensorKind::Weight if is_trainable(run, &entry.tensor) => 0,
        TensorKind::Activation => 1,
        TensorKind::Weight => 2,
        TensorKind::Gradient => 3,
        TensorKind::Update => 4,
    }
}

fn is_trainable(run: &RunView, parameter: &str) -> bool {
    run.layout().find(parameter, TensorKind::Update).is_some()
}

/// Tensors of one run that the other has not recorded, or with another number of units.
fn unmatched(run: &RunView, other: &RunView) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for entry in run.entries() {
        let found = other.layout().find(&entry.tensor, entry.kind);
        let is_there = found.is_some_and(|found| found.units == entry.units);
        if !is_there && !names.contains(&entry.tensor) {
            names.push(entry.tensor.clone());
        }
    }
    names
}
