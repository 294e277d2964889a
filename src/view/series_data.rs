//! Many series that stay on the GPU from one drawing to the next, with what is computed of them once.

use std::sync::{Mutex, PoisonError};

use super::density::Density;
use super::geometry::Plot;
use crate::gpu::Gpu;
use crate::sample::Sample;
use crate::series::SeriesBuffer;
use crate::{Error, Result};

/// Lines that represent others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Representatives {
    /// Lines of the series, in the order they are drawn.
    pub lines: Vec<u32>,
    /// How many lines each of them represents, itself included; as long as `lines`.
    pub counts: Vec<u32>,
}

impl Representatives {
    /// The lines that a sample keeps. It has the most remarkable ones first; drawn last, they lie on top.
    pub fn of(sample: &Sample) -> Self {
        Self {
            lines: sample.kept.iter().rev().copied().collect(),
            counts: sample.counts.iter().rev().copied().collect(),
        }
    }
}

/// Which lines are drawn one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShownLines {
    /// All of them, fainter the more there are.
    All,
    /// None: the density alone is drawn.
    None,
    /// Some, wider and stronger the more they represent.
    Representatives(Representatives),
}

/// Classes of lines, each drawn in a color of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineClasses {
    /// For each line the number of its class; lines without one keep the color of all.
    pub of_line: Vec<Option<usize>>,
    /// What each class is called in the legend.
    pub names: Vec<String>,
}

/// Many series, ready to be drawn and picked any number of times: their values, the lines that are shown, and the density
/// of all lines, which is computed when it is first drawn and again only for a plot of another size.
#[derive(Debug)]
pub struct SeriesData {
    series: SeriesBuffer,
    shown: ShownLines,
    has_density: bool,
    nonfinite: usize,
    classes: LineClasses,
    density: Mutex<Option<(Plot, Density)>>,
}

impl SeriesData {
    /// Series of which `shown` are drawn, over a density image of all unless all are shown.
    ///
    /// # Errors
    /// Lines that the series does not have, or counts that do not match them.
    pub fn new(series: SeriesBuffer, shown: ShownLines) -> Result<Self> {
        let has_density = match &shown {
            ShownLines::All => false,
            ShownLines::None => true,
            ShownLines::Representatives(representatives) => {
                check(representatives, series.lines())?;
                representatives.lines.len() < series.lines()
            }
        };
        Ok(Self {
            series,
            shown,
            has_density,
            nonfinite: 0,
            classes: LineClasses::default(),
            density: Mutex::new(None),
        })
    }

    /// Series of which the representatives of a sample are drawn, over the density of all.
    ///
    /// # Errors
    /// As [`SeriesData::new`].
    pub fn sampled(series: SeriesBuffer, sample: &Sample) -> Result<Self> {
        let shown = ShownLines::Representatives(Representatives::of(sample));
        Ok(Self::new(series, shown)?.with_nonfinite(sample.nonfinite))
    }

    /// The same data, drawn with or without a density image of all lines.
    #[must_use]
    pub fn with_density(self, has_density: bool) -> Self {
        Self {
            has_density,
            ..self
        }
    }

    /// The same data, whose legend explains the mark of non-finite values, which `count` lines have.
    #[must_use]
    pub fn with_nonfinite(self, count: usize) -> Self {
        Self {
            nonfinite: count,
            ..self
        }
    }

    /// The same data, whose lines have the colors of their classes.
    #[must_use]
    pub fn with_classes(self, classes: LineClasses) -> Self {
        Self { classes, ..self }
    }

    /// Classes of the lines; none unless they were given.
    pub fn classes(&self) -> &LineClasses {
        &self.classes
    }

    /// The series.
    pub fn series(&self) -> &SeriesBuffer {
        &self.series
    }

    /// The lines that are drawn one by one.
    pub fn shown(&self) -> &ShownLines {
        &self.shown
    }

    /// Whether a density image of all lines is drawn.
    pub fn has_density(&self) -> bool {
        self.has_density
    }

    /// How many lines hold values that are not finite.
    pub fn nonfinite(&self) -> usize {
        self.nonfinite
    }

    /// The density of all lines in a plot, computed unless the last one was of a plot of this size.
    ///
    /// # Errors
    /// The adapter has no room for the image.
    pub fn density(&self, gpu: &Gpu, plot: &Plot) -> Result<Density> {
        let mut kept = self.density.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |other: &Plot| {
            other.window() == plot.window() && Density::cells(other) == Density::cells(plot)
        };
        if let Some((_, density)) = kept.as_ref().filter(|(other, _)| is_same(other)) {
            return Ok(density.clone());
        }
        let density = Density::new(gpu, &self.series, plot)?;
        *kept = Some((*plot, density.clone()));
        Ok(density)
    }
}

fn check(representatives: &Representatives, lines: usize) -> Result<()> {
    let Representatives {
        lines: shown,
        counts,
    } = representatives;
    if shown.len() != counts.len() {
        return Err(Error::input(
            format!("{} representatives", shown.len()),
            format!("expected {} counts, got {}", shown.len(), counts.len()),
            "give one count for each representative",
        ));
    }
    match shown.iter().find(|&&line| line as usize >= lines) {
        None => Ok(()),
        Some(line) => Err(Error::input(
            format!("line {line}"),
            format!("there are {lines} lines"),
            "name lines below that number",
        )),
    }
}
