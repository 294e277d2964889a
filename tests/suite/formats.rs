//! Series from files, whole ones and broken ones.

use std::path::{Path, PathBuf};

use npyz::WriterBuilder as _;
use proptest::prelude::*;
use tempfile::TempDir;
use trainscope::formats::{Header, LinesAre, ReadOptions, SeriesFile, read_series};
use trainscope::series::{Numbers, SeriesTable};

fn file(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(path: &Path) -> trainscope::Result<SeriesTable> {
    read_series(path, ReadOptions::default()).map(|file| file.table)
}

/// The values narrowed to float32, with what was taken off them.
fn narrowed(table: &SeriesTable) -> Vec<f32> {
    let values = table.values.iter();
    values.map(|value| (value + table.origin) as f32).collect()
}

/// The values of a file's lines.
fn values(series: &SeriesFile) -> Vec<f64> {
    series
        .table
        .values
        .iter()
        .map(|value| value + series.table.origin)
        .collect()
}

fn refused(path: &Path, part: &str) {
    let message = read(path).unwrap_err().to_string();
    assert!(message.starts_with(path.to_str().unwrap()), "{message}");
    assert!(message.contains(part), "'{part}' is not in: {message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

/// A NumPy file of version 1 with this dictionary.
fn npy(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((dictionary.len() as u16).to_le_bytes());
    bytes.extend(dictionary.as_bytes());
    bytes.extend(data);
    bytes
}

fn header(kind: &str, order: &str, shape: &str) -> String {
    format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n")
}

#[test]
fn arrays_of_every_type_and_order() {
    let folder = TempDir::new().unwrap();
    let numbers = [1i8, -2, 3, 4, 5, -6];
    let wanted = numbers.map(f32::from);
    let bytes = |convert: &dyn Fn(i8) -> Vec<u8>| -> Vec<u8> {
        numbers.iter().flat_map(|&number| convert(number)).collect()
    };
    let cases: [(&str, Vec<u8>); 9] = [
        ("<f4", bytes(&|v| f32::from(v).to_le_bytes().to_vec())),
        (">f4", bytes(&|v| f32::from(v).to_be_bytes().to_vec())),
        ("<f8", bytes(&|v| f64::from(v).to_le_bytes().to_vec())),
        (">f8", bytes(&|v| f64::from(v).to_be_bytes().to_vec())),
        ("|i1", bytes(&|v| v.to_le_bytes().to_vec())),
        ("<i2", bytes(&|v| i16::from(v).to_le_bytes().to_vec())),
        (">i4", bytes(&|v| i32::from(v).to_be_bytes().to_vec())),
        ("<i4", bytes(&|v| i32::from(v).to_le_bytes().to_vec())),
        ("<i8", bytes(&|v| i64::from(v).to_le_bytes().to_vec())),
    ];
    for (kind, data) in cases {
        let path = file(
            &folder,
            "a.npy",
            npy(&header(kind, "False", "(2, 3)"), &data),
        );
        let table = read(&path).unwrap();
        assert_eq!((table.lines, &table.steps[..]), (2, &[0, 1, 2][..]));
        assert_eq!(narrowed(&table), wanted, "{kind}");
        let path = file(
            &folder,
            "a.NPY",
            npy(&header(kind, "True", "(3, 2)"), &data),
        );
        let turned = read(&path).unwrap();
        assert_eq!((turned.lines, turned.steps.len()), (3, 2));
        assert_eq!(
            narrowed(&turned),
            [1.0, 4.0, -2.0, 5.0, 3.0, -6.0],
            "{kind}"
        );
    }
    let large = [u64::MAX, 0].map(u64::to_le_bytes).concat();
    let path = file(
        &folder,
        "u.npy",
        npy(&header("<u8", "False", "(1, 2)"), &large),
    );
    assert_eq!(narrowed(&read(&path).unwrap()), [u64::MAX as f32, 0.0]);
    // Whole numbers that float64 would round keep their distances.
    let near = [i64::MAX - 3, i64::MAX - 1].map(i64::to_le_bytes).concat();
    let path = file(
        &folder,
        "n.npy",
        npy(&header("<i8", "False", "(2, 1)"), &near),
    );
    assert_eq!(read(&path).unwrap().values, Numbers::F64(vec![0.0, 2.0]));
    // Half floats, booleans, and the sizes that Python 2 wrote.
    let halves = [0x3c00u16, 0xc000].map(u16::to_le_bytes).concat();
    let path = file(
        &folder,
        "f.npy",
        npy(&header("<f2", "False", "(1L, 2L)"), &halves),
    );
    assert_eq!(narrowed(&read(&path).unwrap()), [1.0, -2.0]);
    let path = file(
        &folder,
        "b.npy",
        npy(&header("|b1", "False", "(2, 1)"), &[1, 0]),
    );
    assert_eq!(narrowed(&read(&path).unwrap()), [1.0, 0.0]);
    let huge = [1e300f64, f64::NAN].map(f64::to_le_bytes).concat();
    let path = file(
        &folder,
        "h.npy",
        npy(&header("<f8", "False", "(2, 1)"), &huge),
    );
    let values = read(&path).unwrap().values;
    assert!(values.get(0) == 1e300 && values.get(1).is_nan());
}

#[test]
fn broken_arrays_are_refused() {
    let folder = TempDir::new().unwrap();
    let data = [0u8; 24];
    let cases: &[(Vec<u8>, &str)] = &[
        (Vec::new(), "it is empty"),
        (b"PK\x03\x04 something else".to_vec(), "a zip archive"),
        (b"1,2,3\n4,5,6".to_vec(), "text that begins with '1,2,3'"),
        (
            b"\x93NUMPY\x03\x00\x05\0\0\0what?".to_vec(),
            "its header cannot be read: 'what?'",
        ),
        (npy(&header("<M8[ns]", "False", "(1, 3)"), &data), "dates"),
        (npy(&header("<U1", "False", "(2, 3)"), &data), "text"),
        (
            npy(&header("<f16", "False", "(1, 1)"), &data),
            "long floats",
        ),
        (
            npy(&header("<f4", "False", "(2, 3)"), &data[..23]),
            "cut short",
        ),
        (
            npy(&header("<f4", "False", "(6,)"), &data),
            "two dimensions",
        ),
        (npy(&header("<f4", "False", "()"), &data), "two dimensions"),
        (
            npy(&header("<f4", "False", "(1, 2, 3)"), &data),
            "two dimensions",
        ),
        (npy(&header("<f4", "False", "(0, 3)"), &data), "no series"),
        (
            npy(&header("<c8", "False", "(1, 3)"), &data),
            "complex numbers ('<c8'); save their magnitude",
        ),
        (npy(&header("|O", "False", "(1, 3)"), &data), "'|O'"),
        (
            npy(&header("<f4", "False", "(100000000, 100)"), &data),
            "too many",
        ),
        (
            npy(&header("<f4", "False", "(10000, 10000)"), &data),
            "cut short",
        ),
        (
            npy(
                &header("<f4", "False", "(9999999999999, 9999999999999)"),
                &data,
            ),
            "not a valid NumPy array",
        ),
        (npy(&"(".repeat(2000), &data), "not a valid NumPy array"),
        (
            npy(
                "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3)}",
                &data,
            ),
            "records",
        ),
    ];
    for (bytes, part) in cases {
        refused(&file(&folder, "a.npy", bytes), part);
    }
    // A header that claims four gigabytes.
    let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    refused(&file(&folder, "a.npy", bytes), "header");
    refused(&folder.path().join("absent.npy"), "does not exist");
    refused(&folder.path().join("absent.csv"), "does not exist");
    refused(&file(&folder, "a.txt", "1,2"), "nor a .parquet");
    refused(&file(&folder, "a.npz", "PK"), "numpy.save");
    let inside = folder.path().join("folder.npy");
    std::fs::create_dir(&inside).unwrap();
    refused(&inside, "folder");
}

#[test]
fn tables_with_and_without_header() {
    let folder = TempDir::new().unwrap();
    for text in [
        "1,2.5,-3e-1\n4,nan,inf\n",
        "t0,t1,t2\n1, 2.5 ,-3e-1\n4,NaN,inf",
        "\u{feff}\"a\",\"b\",\"\"\r\n1,2.5,-0.3\r\n\r\n4,nan,+Inf\r\n",
    ] {
        let series = read(&file(&folder, "a.csv", text)).unwrap();
        assert_eq!((series.lines, series.steps.len()), (2, 3), "{text:?}");
        let values: Vec<f64> = series.values.iter().collect();
        assert_eq!(values[..4], [1.0, 2.5, -0.3, 4.0]);
        assert!(values[4].is_nan());
        assert_eq!(values[5], f64::INFINITY);
    }
}

#[test]
fn what_was_taken_for_what_is_told() {
    let folder = TempDir::new().unwrap();
    let read = |text: &str, options: ReadOptions| {
        read_series(&file(&folder, "a.csv", text), options).unwrap()
    };
    let plain = ReadOptions::default();
    // pandas.DataFrame(a).to_csv("x.csv", index=False)
    let series = read("0,1,2\n0.5,0.25,0.125\n3,2,1\n", plain);
    assert_eq!((series.table.lines, series.table.steps.len()), (2, 3));
    let told = "read 2 lines of 3 steps, row 1 taken as the header";
    assert_eq!(series.layout.to_string(), told);
    // With its index.
    let series = read(",0,10,20\n0,0.5,0.25,0.125\n1,3,2,1\n", plain);
    assert_eq!(
        (series.table.lines, &series.table.steps[..]),
        (2, &[0, 10, 20][..])
    );
    assert_eq!(series.names, ["0", "1"]);
    assert_eq!(values(&series)[..3], [0.5, 0.25, 0.125]);
    assert!(
        series
            .layout
            .to_string()
            .ends_with("column 1 taken as names")
    );
    let series = read("unit,0,10\nrelu,1,2\nconv,4,5\n", plain);
    assert_eq!(series.names, ["relu", "conv"]);
    assert_eq!(values(&series), [1.0, 2.0, 4.0, 5.0]);
    // Both ways, where one knows better.
    let no = ReadOptions {
        header: Header::No,
        ..plain
    };
    let series = read("0,1,2\n0.5,0.25,0.125\n", no);
    assert_eq!((series.table.lines, series.layout.header), (2, Some(false)));
    let yes = ReadOptions {
        header: Header::Yes,
        ..plain
    };
    let series = read("3,7\n0.5,0.25\n", yes);
    assert_eq!(
        (series.table.lines, &series.table.steps[..]),
        (1, &[3, 7][..])
    );
}

#[test]
fn columns_can_be_lines() {
    let folder = TempDir::new().unwrap();
    let exported =
        "Wall time,Step,Value\n1700000000.5,0,2.5\n1700000001.5,10,1.5\n1700000003.0,20,1.25\n";
    let path = file(&folder, "a.csv", exported);
    refused(&path, "'Wall time'");
    refused(&path, "--columns-are-lines");
    let columns = ReadOptions {
        lines_are: LinesAre::Columns,
        ..ReadOptions::default()
    };
    let series = read_series(&path, columns).unwrap();
    assert_eq!(
        (series.table.lines, &series.table.steps[..]),
        (1, &[0, 10, 20][..])
    );
    assert_eq!(series.names, ["Value"]);
    assert_eq!(values(&series), [2.5, 1.5, 1.25]);
    assert_eq!(
        series.layout.to_string(),
        "read 1 line of 3 steps, row 1 taken as the header, each column a line, 'Wall time' and 'Step' taken as the axis"
    );
    let series = read_series(&file(&folder, "b.csv", "1,2\n3,4\n5,6\n"), columns).unwrap();
    assert_eq!(values(&series), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
}

#[test]
fn broken_tables_are_refused() {
    let folder = TempDir::new().unwrap();
    for (text, part) in [
        ("", "it is empty"),
        ("a,b\n", "no series"),
        ("1,2\n3\n", "row 2 has 1 cells, the rows before it have 2"),
        ("1,2\n3,4,5\n", "row 2 has 3 cells"),
        ("a,b\n1,2\n3,\n", "row 3, column 2 is empty"),
        ("1,2\n3,x\n", "row 2, column 2: 'x' is not a number"),
        ("a,b\nc,d\n", "row 2, column 1: 'c'"),
        ("NA,NA,NA\n1,2,3\n", "row 1, column 1: 'NA' is missing"),
        (",,\n1,2,3\n", "row 1, column 1 is empty"),
        ("1,2\n\u{2212}3,4\n", "write its minus sign as '-'"),
        (
            "1;2;3\n2.5;3.5;4.5\n",
            "separated by semicolons; separate cells with commas",
        ),
        ("2.5;3.5;4.5\n", "separated by semicolons"),
        ("a;b;c\n2.5;3.5;4.5\n", "separated by semicolons"),
        ("1\t2\n3\t4\n", "separated by tabs"),
        ("1.0e+00 2.0e+00\n3.0e+00 4.0e+00\n", "separated by blanks"),
        (
            "1,5;2,5\n3,5;4,5\n",
            "semicolons and its numbers have decimal commas",
        ),
        ("<!DOCTYPE html>\n<html>", "an HTML page"),
        (
            "version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
    ] {
        refused(&file(&folder, "a.csv", text), part);
    }
    let latin = file(&folder, "a.csv", b"1,2\n3,\xff\n");
    refused(&latin, "row 2 is not UTF-8");
    let wide: Vec<u8> = "1,2\n3,4\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    refused(&file(&folder, "a.csv", &wide), "UTF-16");
    refused(
        &file(&folder, "a.csv", [b"\xff\xfe".to_vec(), wide].concat()),
        "UTF-16",
    );
    refused(&file(&folder, "a.csv", b"\x1f\x8b\x08\0\0"), "gzip archive");
    let array = npy(&header("<f4", "False", "(1, 1)"), &[0; 4]);
    refused(
        &file(&folder, "a.csv", array),
        "a NumPy array, not a CSV table",
    );
    // However long the input, the message is short and speaks to no terminal.
    let hostile = format!("1,2\n3,\u{1b}[2J{}\n", "y".repeat(60_000));
    let message = read(&file(&folder, "a.csv", hostile))
        .unwrap_err()
        .to_string();
    assert!(message.chars().count() < 400, "{message}");
    assert!(!message.chars().any(char::is_control), "{message:?}");
}

/// A Parquet table as other tools write it: values, gaps and whole numbers, in two row groups.
#[test]
fn parquet_tables_are_read() {
    use parquet::data_type::{DoubleType, FloatType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    let folder = TempDir::new().unwrap();
    let compression = parquet::basic::Compression::SNAPPY;
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .build();
    let write =
        |schema: &str, name: &str, fill: &dyn Fn(&mut SerializedFileWriter<std::fs::File>)| {
            let path = folder.path().join(name);
            let schema = parquet::schema::parser::parse_message_type(schema).unwrap();
            let file = std::fs::File::create(&path).unwrap();
            let properties = properties.clone().into();
            let mut writer = SerializedFileWriter::new(file, schema.into(), properties).unwrap();
            fill(&mut writer);
            writer.close().unwrap();
            path
        };
    let mixed = "message m { OPTIONAL DOUBLE a; REQUIRED FLOAT b; REQUIRED INT64 c; }";
    let mixed = write(mixed, "m.parquet", &|writer| {
        for start in [0, 2] {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<DoubleType>()
                .write_batch(&[1e300], Some(&[0, 1]), None)
                .unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<FloatType>()
                .write_batch(&[0.5, f32::NAN], None, None)
                .unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<Int64Type>()
                .write_batch(&[start, start + 1], None, None)
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
    });
    let table = read(&mixed).unwrap();
    assert_eq!((table.lines, table.steps.len()), (4, 3));
    let values: Vec<String> = table.values.iter().map(|value| value.to_string()).collect();
    let huge = 1e300.to_string();
    assert_eq!(values[..6], ["NaN", "0.5", "0", &huge, "NaN", "1"]);
    assert_eq!(values[9..], [&huge, "NaN", "3"]);
    let whole = write(
        "message m { REQUIRED INT64 a (UINT_64); }",
        "w.parquet",
        &|writer| {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<Int64Type>()
                .write_batch(&[-1, -3], None, None)
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        },
    );
    assert_eq!(read(&whole).unwrap().values, Numbers::F64(vec![2.0, 0.0]));
    let text = write(
        "message m { REQUIRED BYTE_ARRAY name (UTF8); }",
        "t.parquet",
        &|writer| {
            let mut group = writer.next_row_group().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let names = ["a".into()];
            column
                .typed::<parquet::data_type::ByteArrayType>()
                .write_batch(&names, None, None)
                .unwrap();
            column.close().unwrap();
            group.close().unwrap();
        },
    );
    refused(&text, "column 'name' holds no numbers");
    let bytes = std::fs::read(&mixed).unwrap();
    for cut in [0, 4, bytes.len() / 2, bytes.len() - 1] {
        refused(
            &file(&folder, "cut.parquet", &bytes[..cut]),
            "cannot be read",
        );
    }
}

proptest! {
    #[test]
    fn what_npyz_writes_is_read(lines in 1u64..8, steps in 1u64..8, seed in any::<u32>()) {
        let folder = TempDir::new().unwrap();
        let values: Vec<f32> = crate::sample::series::noise((lines * steps) as usize, seed);
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&[lines, steps])
            .writer(&mut bytes)
            .begin_nd()
            .unwrap();
        writer.extend(&values).unwrap();
        writer.finish().unwrap();
        let read = read(&file(&folder, "a.npy", bytes)).unwrap();
        prop_assert_eq!(read, SeriesTable::new(lines as usize, Numbers::F32(values)));
    }

    #[test]
    fn tables_come_back_as_written(lines in 1usize..8, steps in 1usize..8, seed in any::<u32>()) {
        let folder = TempDir::new().unwrap();
        let values = crate::sample::series::noise(lines * steps, seed);
        let rows = values.chunks(steps).map(|row| row.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
        let text = rows.collect::<Vec<_>>().join("\n");
        let read = read(&file(&folder, "a.csv", text)).unwrap();
        prop_assert_eq!((read.lines, read.steps.len()), (lines, steps));
        prop_assert_eq!(narrowed(&read), values);
    }

    /// Whatever a file holds, reading it ends with a series or a sentence.
    #[test]
    fn no_file_brings_the_reader_down(mut bytes in prop::collection::vec(any::<u8>(), 0..200), shape in "[(0-9, )]{0,24}") {
        let folder = TempDir::new().unwrap();
        let _ = read(&file(&folder, "a.csv", &bytes));
        let _ = read(&file(&folder, "a.npy", &bytes));
        let _ = read(&file(&folder, "a.parquet", &bytes));
        bytes.truncate(32);
        let _ = read(&file(&folder, "b.npy", npy(&header("<f4", "False", &shape), &bytes)));
    }
}
