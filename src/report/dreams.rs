//! Dreams that a run keeps: what its units want to see, with the pictures that `trainscope dream` has drawn. A loop plays where
//! it is asked for.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::html::escape;
use crate::dream::{DreamRecord, DreamsRecord};
use crate::files;
use crate::number::{grouped, short};
use crate::trace::RunView;

/// Dreams that have a section, and rows of the table of each.
const MOST: usize = 8;
const MOST_ROWS: usize = 24;
/// Bytes of all pictures together: the page stays small enough to be sent.
const MOST_BYTES: usize = 640 << 10;

/// The sections of all dreams; nothing where there are none.
pub(super) fn dreams_html(run: &RunView) -> String {
    let all = DreamsRecord::all(run.folder());
    let mut room = MOST_BYTES;
    let shown = all.iter().take(MOST);
    let mut html: String = shown
        .map(|(folder, record)| section(folder, record, &mut room))
        .collect();
    if all.len() > MOST {
        let more = all.len() - MOST;
        html +=
            &format!("<p>{more} more dreams are in the folder analysis/dreams of the run.</p>\n");
    }
    html
}

fn section(folder: &Path, record: &DreamsRecord, room: &mut usize) -> String {
    let why = record.why.as_ref();
    let why = why.map_or(String::new(), |why| format!("<p>{}</p>\n", escape(why)));
    let pictures: String = record
        .files
        .iter()
        .map(|file| picture(folder, file, record, room))
        .collect();
    let left_out = record.left_out.iter();
    let left_out: String = left_out
        .map(|left| format!("<p>Not dreamt: {}</p>\n", escape(&left.why)))
        .collect();
    format!(
        "<section><h3>Dreams of {}</h3>\n{why}{pictures}{}{left_out}</section>\n",
        escape(&title(record)),
        table(record)
    )
}

/// The unit where there is one, else the layer.
fn title(record: &DreamsRecord) -> String {
    let mut units = record.dreams.iter().map(|dream| dream.unit.as_str());
    match units.next() {
        Some(first) if units.all(|unit| unit == first) => first.to_owned(),
        _ => record.layer.clone(),
    }
}

/// A picture or a loop of the dreams, as data of the page; a file that has no room on it is named.
fn picture(folder: &Path, file: &Path, record: &DreamsRecord, room: &mut usize) -> String {
    let name = escape(&file.display().to_string());
    let kind = match file.extension().and_then(|ending| ending.to_str()) {
        Some("png") => "png",
        Some("gif") => "gif",
        _ => return String::new(),
    };
    let Ok(bytes) = files::read_bounded(&folder.join(file), MOST_BYTES as u64) else {
        return format!("<p>The picture {name} is missing or too large for this page.</p>\n");
    };
    if bytes.len() > *room {
        return format!("<p>The picture {name} has no room on this page.</p>\n");
    }
    *room -= bytes.len();
    let alt = format!(
        "Dreams of {} beside the real inputs that drive it most and least",
        title(record)
    );
    let image = format!(
        "<img alt=\"{}\" src=\"data:image/{kind};base64,{}\">",
        escape(&alt),
        BASE64.encode(bytes)
    );
    match kind {
        // What is closed does not move.
        "gif" => format!("<details><summary>Play the loop</summary>{image}</details>\n"),
        _ => format!("<figure><div class=\"wide\">{image}</div></figure>\n"),
    }
}

fn table(record: &DreamsRecord) -> String {
    let rows = record.dreams.iter().take(MOST_ROWS).map(row);
    let rest = record.dreams.len().saturating_sub(MOST_ROWS);
    let rest = match rest {
        0 => String::new(),
        rest => format!("<p>and {rest} more</p>\n"),
    };
    format!(
        "<table><thead><tr><th>unit</th><th>after steps</th><th>chi</th><th>on the dream</th><th>at most on {} real inputs</th>\
         <th>that sample</th></tr></thead><tbody>\n{}</tbody></table>\n{rest}",
        grouped(record.real_inputs as f64, 0),
        rows.collect::<String>()
    )
}

fn row(dream: &DreamRecord) -> String {
    let sample = dream.most.first();
    let sample = sample.map_or_else(|| "–".to_owned(), |real| real.sample.to_string());
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{sample}</td></tr>\n",
        escape(&dream.unit),
        grouped(dream.step as f64, 0),
        short(dream.chi),
        short(dream.activation),
        short(dream.real_maximum)
    )
}
