//! Readers of Parquet columns that allocate what a file holds, and not what a page of it claims.

use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::RowGroupReader;

/// The least bytes that a value of a dictionary takes: a number of 32 bits, or the length of a text.
const LEAST_BYTES: usize = 4;

/// A reader of the column `index` of a row group, whose physical type is that of `T`.
///
/// # Errors
/// The column has no readable pages.
pub(crate) fn column_reader<T: DataType>(
    group: &dyn RowGroupReader,
    index: usize,
) -> Result<ColumnReaderImpl<T>> {
    let describes = group.metadata().column(index).column_descr_ptr();
    let pages = Box::new(BoundedPages(group.get_column_page_reader(index)?));
    Ok(get_typed_column_reader(get_column_reader(describes, pages)))
}

/// Pages of a column. A decoder makes room for as many values as the head of a dictionary claims, before it looks at its bytes.
struct BoundedPages(Box<dyn PageReader>);

fn checked(page: Option<Page>) -> Result<Option<Page>> {
    match &page {
        Some(Page::DictionaryPage {
            buf, num_values, ..
        }) if *num_values as usize > buf.len() / LEAST_BYTES => {
            let bytes = buf.len();
            let problem = format!("a dictionary claims {num_values} values in {bytes} bytes");
            Err(ParquetError::General(problem))
        }
        _ => Ok(page),
    }
}

impl Iterator for BoundedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for BoundedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        checked(self.0.get_next_page()?)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.0.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.0.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.0.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        checked(self.0.take_deferred_dictionary()?)
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.0.at_record_boundary()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use parquet::data_type::Int64Type;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    use super::*;

    /// A segment of 1,526 bytes, one of whose dictionaries claims more than a billion values: it took gigabytes to be refused.
    #[test]
    fn a_dictionary_takes_no_more_memory_than_its_bytes() {
        let seed = "fuzz/seeds/scalars/dictionary_claims";
        let file = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(seed));
        let reader = SerializedFileReader::new(file.expect("a seed of the fuzz target"));
        let reader = reader.expect("its metadata are sound");
        let group = reader.get_row_group(0).expect("it has one");
        let mut column = column_reader::<Int64Type>(group.as_ref(), 0).expect("of steps");
        let read = column.read_records(1, None, None, &mut Vec::new());
        let said = read.expect_err("more values than bytes").to_string();
        assert!(said.contains("a dictionary claims"), "{said}");
    }
}
