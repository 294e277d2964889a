//! What a pane shows, as files: pictures at two pixels a point or as outlines, its data as tables, and the command that
//! shows it in a terminal.

mod commands;
mod pictures;
mod table;
mod tables;

use std::path::{Path, PathBuf};

use self::table::DataTable;
use super::dashboard::Dashboard;
use super::panes::Pane;
use crate::{Error, Result, files};

/// Characters of a file's name at most, without its ending.
const LONGEST_NAME: usize = 120;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Svg,
    Csv,
    Parquet,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::Png, Self::Svg, Self::Csv, Self::Parquet];

    /// Its name for a reader.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Svg => "SVG",
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
        }
    }

    /// What of a pane it holds.
    pub fn holds(self) -> &'static str {
        match self {
            Self::Png | Self::Svg => "picture",
            Self::Csv | Self::Parquet => "data",
        }
    }
}

/// What a person wants of a pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Write(Format),
    /// The command that shows it goes to the clipboard.
    Copy,
}

impl Wish {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Format::ALL.into_iter().map(Self::Write).chain([Self::Copy])
    }

    /// The wish in words.
    pub fn text(self, pane: Pane) -> String {
        let title = pane.title();
        match self {
            Self::Write(format) => {
                format!(
                    "Export the {} of {title} as {}",
                    format.holds(),
                    format.name()
                )
            }
            Self::Copy => format!("Copy the command that shows {title}"),
        }
    }
}

impl Dashboard {
    /// Writes the panes that show something, and says in the bar what was written.
    pub(super) fn export(&mut self, panes: &[Pane], format: Format) {
        match self.write(panes, format) {
            Ok(files) if files.is_empty() => {
                self.note = Some("There is nothing to export yet.".to_owned());
            }
            Ok(files) => {
                let names: Vec<String> = files
                    .iter()
                    .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
                    .collect();
                let folder = self.export_folder();
                self.note = Some(format!(
                    "Written to {}: {}",
                    folder.display(),
                    names.join(", ")
                ));
            }
            Err(error) => self.report(&error),
        }
    }

    fn export_folder(&self) -> PathBuf {
        self.status().dir.join("analysis").join("window")
    }

    /// Writes what panes show into the run's folder for it, and returns the files.
    fn write(&self, panes: &[Pane], format: Format) -> Result<Vec<PathBuf>> {
        let folder = self.export_folder();
        files::make_folder(&folder)?;
        let mut written = Vec::new();
        for pane in panes {
            for (view, bytes) in self.contents_of(*pane, format)? {
                let path = folder.join(self.file_name(&view, format));
                files::write_whole(&path, &bytes)?;
                written.push(path);
            }
        }
        Ok(written)
    }

    /// The views of a pane with their names, as files of a format.
    fn contents_of(&self, pane: Pane, format: Format) -> Result<Vec<(String, Vec<u8>)>> {
        match format {
            Format::Png | Format::Svg => {
                let painter = self.painter.keeping_outlines();
                let views = pictures::of(self, &painter, pane)?.into_iter();
                let encoded = views.map(|(view, picture)| {
                    let bytes = match format {
                        Format::Png => picture.png_bytes(painter.gpu())?,
                        _ => picture.svg(&painter)?.into_bytes(),
                    };
                    Ok((view, bytes))
                });
                encoded.collect()
            }
            Format::Csv | Format::Parquet => {
                let views = tables::of(self, pane)?.into_iter();
                let encoded = views.map(|(view, table): (String, DataTable)| {
                    let bytes = match format {
                        Format::Csv => table.csv()?,
                        _ => table.parquet(&view)?,
                    };
                    Ok((view, bytes))
                });
                encoded.collect()
            }
        }
    }

    /// The name of a file, which tells the run, the view and the step that is looked at.
    fn file_name(&self, view: &str, format: Format) -> String {
        let status = self.status();
        let folder = status.dir.file_name().map(Path::new);
        let run = folder.map_or(status.name.clone(), |name| name.display().to_string());
        let cursor = self
            .selection
            .as_ref()
            .and_then(|selection| selection.cursor);
        let step = cursor.unwrap_or(status.step.saturating_sub(1));
        let name = plain(&format!("{run}-{view}"));
        format!("{name}-step-{step}.{}", format.name().to_lowercase())
    }
}

/// A name that every file system takes.
fn plain(name: &str) -> String {
    let plain = name.chars().map(|c| match c {
        c if c.is_alphanumeric() => c,
        '.' | '_' => c,
        _ => '-',
    });
    let plain: String = plain.take(LONGEST_NAME).collect();
    plain.trim_start_matches('.').to_owned()
}

/// An error of an encoder, which no input is known to bring about.
fn failed(format: &str, error: impl std::fmt::Display) -> Error {
    Error::input(format, error.to_string(), "report this as a bug")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(plain("../a b/units-mu@x"), "-a-b-units-mu-x");
        assert_eq!(plain(&"x".repeat(400)).len(), LONGEST_NAME);
        let texts: Vec<String> = Wish::all().map(|wish| wish.text(Pane::Units)).collect();
        assert_eq!(texts[1], "Export the picture of Units as SVG");
        assert_eq!(texts[4], "Copy the command that shows Units");
    }
}
