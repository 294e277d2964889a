//! Series from CSV tables.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use csv::{Reader, StringRecord};

use super::layout::{LinesAre, ReadOptions, TableLayout, guess, is_axis, is_missing};
use super::series_file::{MAX_VALUES, SeriesFile, too_many};
use crate::series::{Numbers, SeriesTable};
use crate::signature::{Expected, other_kind};
use crate::text::quoted;
use crate::{Error, Result, files};

/// Bytes of a file that are looked at before it is read, and when it cannot be read.
const START: usize = 1 << 16;
/// Rows that show how the table is laid out.
const SHOWN_ROWS: usize = 64;
/// Marks that separate cells in tables that are called CSV and are none.
const OTHER_SEPARATORS: [(u8, &str); 4] = [
    (b';', "semicolons"),
    (b'\t', "tabs"),
    (b'|', "bars"),
    (b' ', "blanks"),
];

/// A row and its number in the file.
struct Row {
    number: u64,
    cells: Vec<String>,
}

/// A table that is being read.
struct Table {
    path: PathBuf,
    /// The first bytes, for what a message says.
    start: Vec<u8>,
    reader: Reader<BufReader<File>>,
}

/// Reads the lines of a table.
pub(super) fn read(path: &Path, options: ReadOptions) -> Result<SeriesFile> {
    let (file, _) = files::open(path)?;
    let mut source = BufReader::with_capacity(START, file);
    let start = source
        .fill_buf()
        .map_err(|error| Error::io(path, "read the series", &error))?
        .to_vec();
    if let Some(error) = other_kind(&path.display().to_string(), &start, Expected::Csv) {
        return Err(error);
    }
    let reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(source);
    let table = Table {
        path: path.to_owned(),
        start,
        reader,
    };
    table.read(options)
}

impl Table {
    fn read(mut self, options: ReadOptions) -> Result<SeriesFile> {
        let mut shown: Vec<Row> = Vec::new();
        while shown.len() < SHOWN_ROWS
            && let Some(row) = self.next_row()?
        {
            shown.push(row);
        }
        let cells: Vec<Vec<String>> = shown.iter().map(|row| row.cells.clone()).collect();
        let (has_header, has_names) = guess(&cells, options.header);
        let mut shown = shown.into_iter();
        let header = if has_header { shown.next() } else { None };
        let header = header.map(|row| row.cells).unwrap_or_default();
        if options.lines_are == LinesAre::Rows {
            self.check_axes(&header)?;
        }
        let mut body = Body {
            width: (!header.is_empty()).then_some(header.len()),
            has_names,
            whole: Some(Vec::new()),
            ..Body::default()
        };
        for row in shown {
            body.push(&self, row)?;
        }
        while let Some(row) = self.next_row()? {
            body.push(&self, row)?;
        }
        if body.values.is_empty() {
            return Err(self.blamed(
                "no series in it".to_owned(),
                "give it at least one line of one value",
            ));
        }
        let (series, transposed) = (body.into_series(header), options.lines_are);
        Ok(match transposed {
            LinesAre::Rows => series,
            LinesAre::Columns => series.transposed(),
        })
    }

    /// A step or a time in the header says that each column is a series.
    fn check_axes(&self, header: &[String]) -> Result<()> {
        let is_step = |cell: &String| cell.parse::<f64>().is_ok();
        if header.iter().any(is_step) {
            return Ok(());
        }
        match header.iter().find(|name| is_axis(name)) {
            Some(name) => Err(self.wrong(
                format!(
                    "its header has a column {}, so that each column is a series and each row a step",
                    quoted(name)
                ),
                "add --columns-are-lines",
            )),
            None => Ok(()),
        }
    }

    fn next_row(&mut self) -> Result<Option<Row>> {
        let mut record = StringRecord::new();
        match self.reader.read_record(&mut record) {
            Ok(true) => Ok(Some(Row {
                number: record.position().map_or(0, csv::Position::line),
                cells: record.iter().map(str::to_owned).collect(),
            })),
            Ok(false) => Ok(None),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn broken(&self, error: csv::Error) -> Error {
        let row = error.position().map_or(0, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Error::io(&self.path, "read the series", &error),
            csv::ErrorKind::Utf8 { .. } => self.wrong(
                format!("row {row} is not UTF-8 text, but of another encoding such as Latin-1"),
                "save it as a CSV file in UTF-8",
            ),
            _ => self.wrong(
                format!("row {row} cannot be read"),
                "save it as a CSV file in UTF-8",
            ),
        }
    }

    fn wrong(&self, problem: String, hint: &str) -> Error {
        Error::file(self.path.display().to_string(), problem, hint)
    }

    /// The same, unless the table's separators or its encoding are what is wrong.
    fn blamed(&self, problem: String, hint: &str) -> Error {
        if self.start.iter().filter(|&&byte| byte == 0).count() > self.start.len() / 4 {
            return self.wrong(
                "it is UTF-16 text, or no text".to_owned(),
                "save it as a CSV file in UTF-8",
            );
        }
        match self.other_separator() {
            Some((name, decimal_commas)) => {
                let commas = if decimal_commas {
                    " and its numbers have decimal commas"
                } else {
                    ""
                };
                let hint = if decimal_commas {
                    "separate cells with commas, and write numbers with a point"
                } else {
                    "separate cells with commas"
                };
                self.wrong(format!("its cells are separated by {name}{commas}"), hint)
            }
            None => self.wrong(problem, hint),
        }
    }

    /// What separates the cells of the first rows, if that is no comma; and whether their numbers have decimal commas.
    fn other_separator(&self) -> Option<(&'static str, bool)> {
        let text = String::from_utf8_lossy(&self.start);
        let is_whole = self.start.len() < START;
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        // The last line may be cut.
        let end = lines.len() - usize::from(!is_whole && lines.len() > 1);
        let lines = &lines[..end.min(SHOWN_ROWS)];
        // The first may be a header.
        let data = if lines.len() > 1 { &lines[1..] } else { lines };
        let is_value = |cell: &str| {
            let cell = cell.trim().trim_matches('"').replacen(',', ".", 1);
            is_missing(&cell) || cell.parse::<f64>().is_ok()
        };
        OTHER_SEPARATORS.into_iter().find_map(|(mark, name)| {
            let cells = |line: &&str| -> Vec<String> {
                let pieces = line.trim_matches(' ').split(char::from(mark));
                let pieces = pieces.filter(|piece| mark != b' ' || !piece.is_empty());
                pieces.map(str::to_owned).collect()
            };
            // The first cell may be a name.
            let is_row = |line: &&str| {
                let cells = cells(line);
                cells.len() > 1 && cells[1..].iter().all(|cell| is_value(cell))
            };
            let is_separated = !data.is_empty() && data.iter().all(is_row);
            let decimal = |line: &&str| cells(line).iter().any(|cell| cell.contains(','));
            is_separated.then(|| (name, data.iter().any(decimal)))
        })
    }
}

/// The rows of a table so far.
#[derive(Default)]
struct Body {
    /// Cells of every row, known from the first one.
    width: Option<usize>,
    has_names: bool,
    names: Vec<String>,
    values: Vec<f64>,
    /// The same numbers as long as all are whole: beyond 2^53 float64 would round them.
    whole: Option<Vec<i64>>,
    rows: usize,
}

impl Body {
    fn push(&mut self, table: &Table, row: Row) -> Result<()> {
        let Row { number, cells } = row;
        let width = *self.width.get_or_insert(cells.len());
        if cells.len() != width {
            let problem = format!(
                "row {number} has {} cells, the rows before it have {width}",
                cells.len()
            );
            return Err(table.blamed(problem, "give every row the same number of cells"));
        }
        for (column, cell) in cells.into_iter().enumerate() {
            if column == 0 && self.has_names {
                self.names.push(cell);
                continue;
            }
            let value = cell
                .parse()
                .map_err(|_| bad_cell(table, number, column + 1, &cell))?;
            self.values.push(value);
            match (&mut self.whole, cell.parse()) {
                (Some(whole), Ok(number)) => whole.push(number),
                _ => self.whole = None,
            }
        }
        if self.values.len() as u64 > MAX_VALUES {
            return Err(too_many(&table.path, "its values".to_owned()));
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows as lines under `header`, which may be empty.
    fn into_series(self, header: Vec<String>) -> SeriesFile {
        let columns = self.values.len() / self.rows.max(1);
        let mut columns_named = header;
        if self.has_names && !columns_named.is_empty() {
            columns_named.remove(0);
        }
        let mut table = match self.whole {
            Some(whole) => SeriesTable::of_integers(self.rows, whole.iter().map(|&v| v.into())),
            None => SeriesTable::new(self.rows, Numbers::F64(self.values)),
        };
        if let Some(steps) = ascending(&columns_named) {
            table.steps = steps;
        }
        SeriesFile {
            table,
            layout: TableLayout {
                lines: self.rows,
                steps: columns,
                header: Some(!columns_named.is_empty()),
                names: self.has_names,
                ..TableLayout::default()
            },
            names: self.names,
            columns: columns_named,
        }
    }
}

/// The names of columns as steps, where they are numbers that ascend.
fn ascending(names: &[String]) -> Option<Vec<u64>> {
    let steps: Option<Vec<u64>> = names.iter().map(|name| name.parse().ok()).collect();
    steps.filter(|steps| !steps.is_empty() && steps.windows(2).all(|pair| pair[0] < pair[1]))
}

fn bad_cell(table: &Table, row: u64, column: usize, cell: &str) -> Error {
    let (problem, hint) = if cell.is_empty() {
        (
            format!("row {row}, column {column} is empty"),
            "write a number there, or nan where there is none",
        )
    } else if is_missing(cell) {
        (
            format!("row {row}, column {column}: {} is missing", quoted(cell)),
            "write nan where there is no number",
        )
    } else if cell.contains('\u{2212}') {
        (
            format!(
                "row {row}, column {column}: {} is not a number",
                quoted(cell)
            ),
            "write its minus sign as '-'",
        )
    } else {
        (
            format!(
                "row {row}, column {column}: {} is not a number",
                quoted(cell)
            ),
            "write a number there, or nan where there is none",
        )
    };
    table.blamed(problem, hint)
}
