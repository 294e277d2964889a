//! How a table is laid out: what one asks for, what its first rows show, and how that is told.

use std::fmt;

use serde::Serialize;

use crate::text::quoted;

/// How a table is to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whether its first row is a header.
    pub header: Header,
    /// Whether a line is a row or a column.
    pub lines_are: LinesAre,
}

/// Whether the first row of a table is a header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Header {
    /// As the first rows show: a header is words, or evenly ascending integers over other values.
    #[default]
    Auto,
    /// It is.
    Yes,
    /// It is a row like the others.
    No,
}

/// Which part of a table one line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LinesAre {
    /// A row, each column being a step.
    #[default]
    Rows,
    /// A column, each row being a step: what TensorBoard and Weights & Biases export.
    Columns,
}

/// How a file of series was read. Its text is a clause for people: "read 6 lines of 20 steps, row 1 taken as the header".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableLayout {
    /// How many lines were read.
    pub lines: usize,
    /// How many steps each has.
    pub steps: usize,
    /// Whether row 1 of a table was taken as its header; `None` for an array, which has no rows of text.
    pub header: Option<bool>,
    /// Whether column 1 of a table was taken as the names of its rows.
    pub names: bool,
    /// Which part of a table one line is.
    pub lines_are: LinesAre,
    /// Columns that say where a row lies (its step, its time) and hold no line.
    pub axes: Vec<String>,
}

impl fmt::Display for TableLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        write!(
            f,
            "read {} line{} of {} step{}",
            self.lines,
            plural(self.lines),
            self.steps,
            plural(self.steps)
        )?;
        match self.header {
            Some(true) => f.write_str(", row 1 taken as the header")?,
            Some(false) => f.write_str(", no header")?,
            None => {}
        }
        if self.names {
            f.write_str(", column 1 taken as names")?;
        }
        if self.lines_are == LinesAre::Columns {
            f.write_str(", each column a line")?;
        }
        if !self.axes.is_empty() {
            let axes: Vec<String> = self.axes.iter().map(|name| quoted(name)).collect();
            write!(f, ", {} taken as the axis", axes.join(" and "))?;
        }
        Ok(())
    }
}

/// Names of columns that say where a row lies, as loggers write them.
const AXES: [&str; 16] = [
    "step",
    "steps",
    "epoch",
    "epochs",
    "iteration",
    "iter",
    "global_step",
    "trainer/global_step",
    "wall time",
    "time",
    "timestamp",
    "relative time (process)",
    "relative time (wall)",
    "_step",
    "_runtime",
    "_timestamp",
];

/// Whether a column of this name holds steps or times.
pub(super) fn is_axis(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    AXES.contains(&name.as_str())
}

/// Spellings of a value that is missing. `nan` is none of them: it is a number.
const MISSING: [&str; 14] = [
    "", "na", "n/a", "#n/a", "<na>", "null", "none", "nil", "missing", "-", "--", "?", ".", "nat",
];

/// Whether a cell says that its value is missing.
pub(super) fn is_missing(cell: &str) -> bool {
    MISSING.contains(&cell.to_ascii_lowercase().as_str())
}

fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

/// A cell that names something.
fn is_word(cell: &str) -> bool {
    !is_number(cell) && !is_missing(cell)
}

/// The step between integers that ascend evenly, where there are at least two of them.
fn even_step<'a>(cells: impl Iterator<Item = &'a str>) -> Option<i64> {
    let integers: Option<Vec<i64>> = cells.map(|cell| cell.parse().ok()).collect();
    let integers = integers?;
    let mut steps = integers.windows(2).map(|pair| pair[1].checked_sub(pair[0]));
    let first = steps.next()??;
    (first > 0 && steps.all(|step| step == Some(first))).then_some(first)
}

/// Whether row 1 of a table is its header and column 1 its names, as far as the first `rows` show.
pub(super) fn guess(rows: &[Vec<String>], header: Header) -> (bool, bool) {
    let Some((first, below)) = rows.split_first() else {
        return (false, false);
    };
    let is_header = match header {
        Header::Yes => true,
        Header::No => false,
        Header::Auto => is_words(first) || has_corner(first, below) || is_steps(first, below),
    };
    let data = if is_header { below } else { rows };
    let named = |row: &Vec<String>| row.len() > 1 && is_word(&row[0]) && is_number(&row[1]);
    let corner = is_header && has_corner(first, below);
    // pandas writes its index under a header without a name.
    let index = is_header && first.len() > 1 && first[0].is_empty() && !first[1].is_empty();
    let names = first.len() > 1 && (corner || index || !data.is_empty() && data.iter().all(named));
    (is_header, names)
}

/// Words alone, some of which may be missing.
fn is_words(row: &[String]) -> bool {
    row.iter().any(|cell| is_word(cell)) && !row.iter().any(|cell| is_number(cell))
}

/// A word or nothing over the names, then steps: `unit,0,10,20`; with the rows below it beginning with a name or with an
/// index that counts them.
fn has_corner(row: &[String], below: &[Vec<String>]) -> bool {
    let Some((corner, steps)) = row.split_first() else {
        return false;
    };
    let is_counted = below
        .iter()
        .enumerate()
        .all(|(index, row)| row.first().is_some_and(|cell| *cell == index.to_string()));
    let is_named = below
        .iter()
        .all(|row| row.first().is_some_and(|cell| is_word(cell)));
    let is_corner = is_word(corner) || corner.is_empty() && (is_counted || is_named);
    let is_stepped = match steps {
        [step] => step.parse::<i64>().is_ok(),
        _ => even_step(steps.iter().map(String::as_str)).is_some(),
    };
    is_corner && is_stepped && !below.is_empty()
}

/// Evenly ascending integers over rows that are something else. Over other integers they have to count from 0, since a
/// line of integers may ascend evenly by chance; over rows that ascend evenly too, they are a row like those.
fn is_steps(row: &[String], below: &[Vec<String>]) -> bool {
    fn cells(row: &[String]) -> impl Iterator<Item = &str> {
        row.iter().map(String::as_str)
    }
    let Some(step) = even_step(cells(row)) else {
        return false;
    };
    let counts_from_zero = step == 1 && row[0] == "0";
    let is_even = |row: &Vec<String>| even_step(cells(row)) == Some(step);
    let is_integer = |cell: &String| cell.parse::<i64>().is_ok();
    let are_numbers = below.iter().flatten().all(|cell| is_number(cell));
    let are_integers = below.iter().flatten().all(is_integer);
    if below.is_empty() || !are_numbers || below.iter().any(is_even) {
        return false;
    }
    counts_from_zero || row.len() > 2 && !are_integers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(text: &str) -> (bool, bool) {
        let rows: Vec<Vec<String>> = text
            .lines()
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect();
        guess(&rows, Header::Auto)
    }

    #[test]
    fn headers_are_words_or_steps_over_other_values() {
        for (text, expected) in [
            ("0,1,2\n0.5,0.25,0.125\n0.1,0.2,0.4", (true, false)),
            ("0,10,20\n0.5,0.25,0.125", (true, false)),
            ("0,1,2\n7,3,9\n1,1,8", (true, false)),
            ("0,1\n0.5,0.7", (true, false)),
            ("a,b,c\n1,2,3", (true, false)),
            ("a,,c\n1,2,3", (true, false)),
            ("unit,0,10,20\nrelu,1,2,3\nconv,4,5,7", (true, true)),
            ("unit,0,10,20\n3,1,2,3\n4,4,5,7", (true, true)),
            (",0,1,2\n0,0.5,0.2,0.1\n1,0.5,0.1,0.2", (true, true)),
            (",a,b\n0,0.5,0.2\n1,0.5,0.1", (true, true)),
            ("name,a,b\nx,1,2\ny,3,4", (true, true)),
            ("x,1,2\ny,3,5", (true, true)),
            ("x,1.5,2\ny,3,5", (false, true)),
            // Rows of numbers that are alike are data.
            ("0,1,2\n3,4,5\n6,7,8", (false, false)),
            ("1,2,3\n4,6,5", (false, false)),
            ("1.0,2.0,3.0\n0.5,0.1,0.2", (false, false)),
            ("3,7\n0.5,0.7", (false, false)),
            ("0,1,2", (false, false)),
            // What is missing is no header.
            ("NA,NA,NA\n1,2,3", (false, false)),
            (",,\n1,2,3", (false, false)),
            ("null,None,-\n1,2,3", (false, false)),
            ("1,2,3\n4,5", (false, false)),
        ] {
            assert_eq!(guessed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_layout_reads_as_a_clause() {
        let layout = TableLayout {
            lines: 6,
            steps: 20,
            header: Some(true),
            ..TableLayout::default()
        };
        assert_eq!(
            layout.to_string(),
            "read 6 lines of 20 steps, row 1 taken as the header"
        );
        let layout = TableLayout {
            lines: 1,
            steps: 3,
            header: Some(true),
            lines_are: LinesAre::Columns,
            axes: vec!["Wall time".into(), "Step".into()],
            ..TableLayout::default()
        };
        assert_eq!(
            layout.to_string(),
            "read 1 line of 3 steps, row 1 taken as the header, each column a line, 'Wall time' and 'Step' taken as the axis"
        );
    }
}
