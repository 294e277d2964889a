//! Which lines are kept, over the three kinds of lines that never represent each other.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use super::envelope::Envelopes;
use super::priority::PriorityTier;
use super::selection::{Selection, Selector};
use crate::Result;
use crate::gpu::Gpu;

/// Lines that can be compared with each other: those with gaps, then those without.
const KINDS: usize = 2;

/// All lines by kind, each in the order of priority.
pub(super) struct Chooser<'a> {
    /// Lines without any value. Nothing can be said of how they differ, so all are kept.
    empty: &'a [u32],
    selectors: [Selector<'a>; KINDS],
}

/// The lines of every kind that are kept at a radius.
pub(super) struct Choice {
    empty: Vec<u32>,
    selections: [Selection; KINDS],
    /// Those added later, whichever kind they are of.
    added: Vec<u32>,
}

impl<'a> Chooser<'a> {
    /// `order` has all lines by priority; lines of a tier are next to each other.
    pub fn new(
        gpu: &'a Gpu,
        envelopes: &'a Envelopes,
        tiers: &[PriorityTier],
        order: &'a [u32],
        cancelled: &'a AtomicBool,
    ) -> Self {
        let count = |tier| tiers.iter().filter(|found| **found == tier).count();
        let (empty, others) = order.split_at(count(PriorityTier::Empty));
        let (gapped, finite) = others.split_at(count(PriorityTier::Nonfinite));
        let selector = |order, has_gaps| Selector {
            gpu,
            envelopes,
            order,
            has_gaps,
            cancelled,
        };
        Self {
            empty,
            selectors: [selector(gapped, true), selector(finite, false)],
        }
    }

    /// How many lines have a value that is not finite.
    pub fn nonfinite(&self) -> usize {
        self.empty.len() + self.selectors[0].order.len()
    }

    /// The sequential greedy's choice at `radius`, given up once it holds more than `max_kept` lines.
    pub fn choose(&self, radius: f32, max_kept: usize) -> Result<Choice> {
        let [gapped, finite] = &self.selectors;
        let left = max_kept.saturating_sub(self.empty.len());
        let gapped = gapped.select(radius, left)?;
        let left = left.saturating_sub(gapped.kept.len());
        Ok(Choice {
            empty: self.empty.to_vec(),
            selections: [gapped, finite.select(radius, left)?],
            added: Vec::new(),
        })
    }

    /// How many lines with values that are not finite are kept at every radius.
    pub fn kept_for_gaps(&self, max_radius: f32) -> Result<usize> {
        let apart = self.selectors[0].select(max_radius, usize::MAX)?;
        Ok(self.empty.len() + apart.kept.len())
    }

    /// Adds lines to the kept ones of their kinds.
    pub fn add(&self, choice: &mut Choice, added: &[u32]) -> Result<()> {
        for (selector, selection) in self.selectors.iter().zip(&mut choice.selections) {
            let own = added.iter().filter(|line| selector.order.contains(line));
            selector.append(own.copied().collect(), selection)?;
        }
        choice.added.extend(added);
        Ok(())
    }

    /// For each line the index of its representative among [`Choice::kept`] and its distance.
    pub fn nearest(&self, choice: &Choice) -> Result<(Vec<u32>, Vec<f32>)> {
        let kept = choice.kept();
        let lines = self.empty.len() + self.selectors.iter().map(|s| s.order.len()).sum::<usize>();
        let mut index_of = vec![0; lines];
        for (index, &line) in (0..).zip(&kept) {
            index_of[line as usize] = index;
        }
        let mut representatives = vec![0; lines];
        let mut distances = vec![0.0; lines];
        for (selector, selection) in self.selectors.iter().zip(&choice.selections) {
            let (nearest, distance) = selector.nearest(selection)?;
            for (&line, (nearest, distance)) in
                selector.order.iter().zip(nearest.iter().zip(distance))
            {
                let representative = selection.kept[*nearest as usize];
                representatives[line as usize] = index_of[representative as usize];
                distances[line as usize] = distance;
            }
        }
        // Two kept lines can be alike in float32; each represents itself.
        for (index, &line) in (0..).zip(&kept) {
            representatives[line as usize] = index;
            distances[line as usize] = 0.0;
        }
        Ok((representatives, distances))
    }
}

impl Choice {
    /// How many lines are kept.
    pub fn len(&self) -> usize {
        self.empty.len() + self.selections.iter().map(|s| s.kept.len()).sum::<usize>()
    }

    /// Whether all lines were looked at; else there are more than were wanted.
    pub fn is_complete(&self) -> bool {
        self.selections.iter().all(|selection| selection.complete)
    }

    /// Parallel rounds that it took.
    pub fn rounds(&self) -> usize {
        self.selections
            .iter()
            .map(|selection| selection.rounds)
            .sum()
    }

    /// The radius at which lines were chosen.
    pub fn radius(&self) -> f32 {
        self.selections[0].radius
    }

    /// The kept lines, in the order of their priority; then those that were added, in the order in which they were.
    pub fn kept(&self) -> Vec<u32> {
        let chosen = self.selections.iter().flat_map(|selection| &selection.kept);
        let added: HashSet<&u32> = self.added.iter().collect();
        let chosen = chosen.filter(|line| !added.contains(line));
        let all = self.empty.iter().chain(chosen).chain(&self.added);
        all.copied().collect()
    }
}
