//! A table of named columns, as CSV or as Parquet.

use super::failed;
use crate::Result;
use crate::trace::{Column, encode_columns};

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    Words(Vec<String>),
    Counts(Vec<u64>),
    Numbers(Vec<f32>),
    Precise(Vec<f64>),
}

impl Values {
    fn text(&self, row: usize) -> String {
        match self {
            Self::Words(values) => values[row].clone(),
            Self::Counts(values) => values[row].to_string(),
            Self::Numbers(values) => values[row].to_string(),
            Self::Precise(values) => values[row].to_string(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Words(values) => values.len(),
            Self::Counts(values) => values.len(),
            Self::Numbers(values) => values.len(),
            Self::Precise(values) => values.len(),
        }
    }
}

/// Columns of the same length.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct DataTable {
    columns: Vec<(String, Values)>,
}

impl DataTable {
    /// The table with another column; a name that is taken gets a number.
    #[must_use]
    pub fn with(mut self, name: &str, values: Values) -> Self {
        let is_taken = |name: &str| self.columns.iter().any(|(other, _)| other == name);
        let mut unique = name.to_owned();
        let mut number = 2;
        while is_taken(&unique) {
            unique = format!("{name} {number}");
            number += 1;
        }
        self.columns.push((unique, values));
        self
    }

    /// As a CSV file with a header. Numbers have as many digits as tell them apart; what is not finite is `NaN`, `inf` or
    /// `-inf`.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let head = self.columns.iter().map(|(name, _)| name.as_str());
        writer
            .write_record(head)
            .map_err(|error| failed("CSV", error))?;
        let rows = self.columns.first().map_or(0, |(_, values)| values.len());
        for row in 0..rows {
            let record = self.columns.iter().map(|(_, values)| values.text(row));
            writer
                .write_record(record)
                .map_err(|error| failed("CSV", error))?;
        }
        writer.into_inner().map_err(|error| failed("CSV", error))
    }

    /// As a Parquet file, whose metadata say what it is of.
    pub fn parquet(self, view: &str) -> Result<Vec<u8>> {
        let columns = self.columns.into_iter().map(|(name, values)| {
            let column = match values {
                Values::Words(values) => Column::Text(
                    values
                        .into_iter()
                        .map(|text| text.into_bytes().into())
                        .collect(),
                ),
                Values::Counts(values) => {
                    Column::Long(values.into_iter().map(|value| value as i64).collect())
                }
                Values::Numbers(values) => Column::Float(values),
                Values::Precise(values) => Column::Double(values),
            };
            (name, column)
        });
        encode_columns(view, columns.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_keeps_numbers_and_tells_columns_of_one_name_apart() {
        let table = DataTable::default()
            .with("step", Values::Counts(vec![0, 7]))
            .with(
                "a, b",
                Values::Words(vec!["x".to_owned(), "y\"z".to_owned()]),
            )
            .with("v", Values::Numbers(vec![0.1, f32::NAN]))
            .with("v", Values::Precise(vec![f64::INFINITY, 1e-300]));
        let text = String::from_utf8(table.csv().unwrap()).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let head: Vec<String> = reader
            .headers()
            .unwrap()
            .iter()
            .map(str::to_owned)
            .collect();
        assert_eq!(head, ["step", "a, b", "v", "v 2"]);
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(&rows[0], &["0", "x", "0.1", "inf"][..]);
        assert_eq!(&rows[1][1], "y\"z");
        assert!(rows[1][2].parse::<f32>().unwrap().is_nan());
        assert_eq!(rows[1][3].parse::<f64>().unwrap(), 1e-300);
    }
}
