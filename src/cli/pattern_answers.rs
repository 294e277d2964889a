//! What `trainscope patterns` says of what it has found: sentences, JSON and panels of a plot.

use std::ops::Range;

use serde_json::{Map, Value, json};
use trainscope::patterns::{
    Discord, Found, Match, Motif, RunLines, RunWords, Shapes, Word, spelled,
};
use trainscope::trace::Statistic;
use trainscope::view::PatternPanel;

/// Tensors, units or windows that are listed on the terminal.
const MAX_LISTED: usize = 12;
/// Characters of the words of a window on the terminal.
const MAX_WORDS: usize = 60;
/// What is found at most in JSON; the rest is counted.
const MAX_MATCHES: usize = 10_000;
/// Lines of a plot at most.
const MAX_PANELS: usize = 16;
/// Lines of each shape in a plot.
const LINES_OF_SHAPE: usize = 1;

/// What was found of everything that was asked for.
#[derive(Debug, Default)]
pub struct Answers {
    pub window: Option<usize>,
    pub found: Vec<Found>,
    pub matches: Vec<Match>,
    pub motifs: Vec<Motif>,
    pub discords: Vec<Discord>,
    pub shapes: Option<Shapes>,
}

/// What was looked at.
pub fn about(
    lines: &RunLines,
    quantity: Statistic,
    window: Option<usize>,
    seconds: f64,
) -> Vec<String> {
    let steps = lines.steps.len();
    let kind = lines.groups.first().map_or("", |group| group.kind.name());
    let mut all = vec![format!(
        "{} of the {kind}s of {} units at {steps} records, {} steps apart ({seconds:.2} s)",
        quantity.label(),
        lines.count(),
        lines.stride
    )];
    if lines.records > steps {
        all.push(format!(
            "{} of {} records are between these and only count where they are not finite",
            lines.records - steps,
            lines.records
        ));
    }
    if let Some(window) = window {
        all.push(format!(
            "windows of {window} records ({} steps), each brought to mean 0 and deviation 1: distances go from 0 to {:.1}",
            window as u64 * lines.stride,
            2.0 * (window as f64).sqrt()
        ));
    }
    all
}

/// How often each word is said of each tensor's units.
pub fn words(words: &RunWords) -> Vec<String> {
    let of_group = |group| {
        let counts = words.counts(group);
        let all: usize = counts.iter().sum();
        let mut shares: Vec<(usize, &str)> = counts
            .iter()
            .zip(Word::ALL)
            .map(|(&count, word)| (count, word.name()))
            .filter(|(count, _)| *count > 0)
            .collect();
        shares.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let shares = shares.iter().map(|(count, name)| {
            let share = 100.0 * *count as f64 / all as f64;
            if share < 1.0 {
                format!("{name} < 1 %")
            } else {
                format!("{name} {share:.0} %")
            }
        });
        format!(
            "  {}: {}",
            group.tensor,
            shares.collect::<Vec<_>>().join(", ")
        )
    };
    let mut all = vec!["words, a record of a unit each:".to_owned()];
    all.extend(words.groups.iter().take(MAX_LISTED).map(of_group));
    if words.groups.len() > MAX_LISTED {
        all.push(format!(
            "  and {} more tensors: --json has all",
            words.groups.len() - MAX_LISTED
        ));
    }
    all
}

/// Where an expression matches, by tensor.
pub fn found(expression: &str, lines: &RunLines, words: &RunWords, found: &[Found]) -> Vec<String> {
    if found.is_empty() {
        return vec![format!("no unit's words match '{expression}'")];
    }
    let mut all = vec![format!("'{expression}' matches {} times:", found.len())];
    for group in &lines.groups {
        let own: Vec<&Found> = found
            .iter()
            .filter(|found| group.lines.contains(&found.line))
            .collect();
        let mut units: Vec<usize> = own.iter().map(|found| found.line).collect();
        units.dedup();
        let Some(first) = own
            .iter()
            .min_by_key(|found| (found.columns.start, found.line))
        else {
            continue;
        };
        let range = lines.range(first.columns.clone());
        all.push(format!(
            "  {}: {} of {} units; the first is unit {} from step {} to {}: {}",
            group.tensor,
            units.len(),
            group.lines.len(),
            lines.unit(first.line).unit,
            range.start,
            range.end - 1,
            said(words, first.line, first.columns.clone())
        ));
    }
    all
}

/// What is most like a stretch.
pub fn matches(like: &str, lines: &RunLines, words: &RunWords, answers: &Answers) -> Vec<String> {
    let window = answers.window.unwrap_or(0);
    let mut all = vec![format!("most like {like}:")];
    if answers.matches.is_empty() {
        all.push("  nothing: no other window is finite".to_owned());
    }
    all.extend(answers.matches.iter().take(MAX_LISTED).map(|found| {
        let columns = found.start..found.start + window;
        format!(
            "  {} {}, distance {:.3}: {}",
            unit(lines, found.line),
            steps(lines, columns.clone()),
            found.distance,
            said(words, found.line, columns)
        )
    }));
    if answers.matches.len() > MAX_LISTED {
        all.push(format!(
            "  and {} more: --json has all",
            answers.matches.len() - MAX_LISTED
        ));
    }
    all
}

/// Pairs of windows that are alike.
pub fn motifs(lines: &RunLines, words: &RunWords, answers: &Answers) -> Vec<String> {
    let window = answers.window.unwrap_or(0);
    if answers.motifs.is_empty() {
        return vec![
            "no motif: all windows are constant, straight, or have values that are not finite"
                .to_owned(),
        ];
    }
    let mut all = vec![
        "motifs, pairs of windows of a unit that are alike (constant and straight ones left out):"
            .to_owned(),
    ];
    all.extend(answers.motifs.iter().take(MAX_LISTED).map(|motif| {
        let [a, b] = motif.starts.map(|start| start..start + window);
        format!(
            "  {} {} and {}, distance {:.3} where {:.2} is usual{}: {}",
            unit(lines, motif.line),
            steps(lines, a.clone()),
            steps(lines, b),
            motif.distance,
            motif.typical,
            together(motif.lines),
            said(words, motif.line, a)
        )
    }));
    all
}

/// Windows that nothing is like.
pub fn discords(lines: &RunLines, words: &RunWords, answers: &Answers) -> Vec<String> {
    let window = answers.window.unwrap_or(0);
    if answers.discords.is_empty() {
        return vec!["no discord: no unit has windows that differ".to_owned()];
    }
    let mut all = vec!["discords, windows that nothing else in their unit is like:".to_owned()];
    all.extend(answers.discords.iter().take(MAX_LISTED).map(|discord| {
        let columns = discord.start..discord.start + window;
        format!(
            "  {} {}, distance {:.2} where {:.2} is usual{}: {}",
            unit(lines, discord.line),
            steps(lines, columns.clone()),
            discord.distance,
            discord.typical,
            together(discord.lines),
            said(words, discord.line, columns)
        )
    }));
    all
}

/// The shapes of the sampled lines.
pub fn shapes(lines: &RunLines, shapes: &Shapes) -> Vec<String> {
    let why = match shapes.silhouette {
        Some(silhouette) => format!("mean silhouette {silhouette:.2}"),
        None => "no division of them has a mean silhouette of 0.25".to_owned(),
    };
    let mut all = vec![format!(
        "shapes of {} sampled lines, by time warping ({why}):",
        shapes.sampled
    )];
    all.extend(shapes.shapes.iter().map(|shape| {
        let kind = if shape.is_constant {
            "constant lines"
        } else {
            "lines"
        };
        format!(
            "  {} {kind}, {} of them sampled, such as {}",
            shape.represented,
            shape.lines.len(),
            unit(lines, shape.lines[0])
        )
    }));
    all
}

fn unit(lines: &RunLines, line: usize) -> String {
    let unit = lines.unit(line);
    format!("{} unit {}", unit.tensor, unit.unit)
}

fn steps(lines: &RunLines, columns: Range<usize>) -> String {
    let range = lines.range(columns);
    format!("steps {}-{}", range.start, range.end - 1)
}

fn together(lines: usize) -> String {
    match lines {
        1 => String::new(),
        _ => format!(", in {lines} units of the tensor"),
    }
}

/// The words of a window, cut short.
fn said(words: &RunWords, line: usize, columns: Range<usize>) -> String {
    let text = spelled(&words.line(line)[columns]);
    match text.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{} ...", text[..end].trim_end()),
        None => text,
    }
}

/// A stretch of a line in JSON.
fn stretch(lines: &RunLines, line: usize, columns: Range<usize>) -> Map<String, Value> {
    let unit = lines.unit(line);
    let range = lines.range(columns);
    let object = json!({
        "tensor": unit.tensor, "kind": unit.kind.name(), "unit": unit.unit,
        "from": range.start, "to": range.end,
    });
    object.as_object().cloned().unwrap_or_default()
}

fn with(mut object: Map<String, Value>, more: Value) -> Value {
    object.extend(more.as_object().cloned().unwrap_or_default());
    Value::Object(object)
}

/// All that was found. `from` is the first step of a stretch and `to` the step after its last.
pub fn object(lines: &RunLines, words: &RunWords, answers: &Answers) -> Value {
    let window = answers.window.unwrap_or(0);
    let columns = |start: usize| start..start + window;
    let mut named: Vec<usize> = Vec::new();
    let mut matches: Vec<Value> = Vec::new();
    for found in answers.found.iter().take(MAX_MATCHES) {
        named.push(found.line);
        let own = stretch(lines, found.line, found.columns.clone());
        matches.push(with(own, json!({ "distance": null })));
    }
    for found in &answers.matches {
        named.push(found.line);
        let own = stretch(lines, found.line, columns(found.start));
        matches.push(with(own, json!({ "distance": found.distance })));
    }
    let motifs: Vec<Value> = answers
        .motifs
        .iter()
        .map(|motif| {
            named.push(motif.line);
            let other = lines.range(columns(motif.starts[1]));
            let own = stretch(lines, motif.line, columns(motif.starts[0]));
            with(
                own,
                json!({
                    "other_from": other.start, "other_to": other.end, "distance": motif.distance,
                    "usual": motif.typical, "units": motif.lines,
                }),
            )
        })
        .collect();
    let discords: Vec<Value> = answers
        .discords
        .iter()
        .map(|discord| {
            named.push(discord.line);
            let nearest = lines.range(columns(discord.nearest));
            let own = stretch(lines, discord.line, columns(discord.start));
            with(own, json!({
                "distance": discord.distance, "nearest_from": nearest.start, "nearest_to": nearest.end,
                "usual": discord.typical, "units": discord.lines,
            }))
        })
        .collect();
    named.sort_unstable();
    named.dedup();
    let said = named.iter().map(|&line| {
        let unit = lines.unit(line);
        json!({
            "tensor": unit.tensor, "kind": unit.kind.name(), "unit": unit.unit,
            "text": spelled(words.line(line)),
        })
    });
    let counts = words.groups.iter().map(|group| {
        let counts = words.counts(group);
        let pairs = Word::ALL.iter().zip(counts);
        let counts: Map<String, Value> =
            pairs.map(|(word, count)| (word.name().to_owned(), json!(count))).collect();
        json!({ "tensor": group.tensor, "kind": group.kind.name(), "units": group.lines.len(), "counts": counts })
    });
    json!({
        "matches": matches,
        "motifs": motifs,
        "discords": discords,
        "words": said.collect::<Vec<_>>(),
        "word_counts": counts.collect::<Vec<_>>(),
        "shapes": answers.shapes.as_ref().map(|shapes| shapes_object(lines, shapes)),
        "matches_left_out": answers.found.len().saturating_sub(MAX_MATCHES),
        "lines": lines.count(),
        "records": lines.steps.len(),
        "stride": lines.stride,
        "window": answers.window,
    })
}

fn shapes_object(lines: &RunLines, shapes: &Shapes) -> Value {
    let unit = |&line: &usize| {
        let unit = lines.unit(line);
        json!({ "tensor": unit.tensor, "kind": unit.kind.name(), "unit": unit.unit })
    };
    let all = shapes.shapes.iter().map(|shape| {
        json!({
            "represented": shape.represented,
            "constant": shape.is_constant,
            "lines": shape.lines.iter().map(unit).collect::<Vec<_>>(),
        })
    });
    json!({ "sampled": shapes.sampled, "silhouette": shapes.silhouette, "clusters": all.collect::<Vec<_>>() })
}

/// What was found over the series that it is in.
pub fn panels<'a>(lines: &'a RunLines, answers: &Answers) -> Vec<PatternPanel<'a>> {
    let window = answers.window.unwrap_or(0);
    let columns = |start: usize| start..start + window;
    let mut panels: Vec<PatternPanel<'a>> = Vec::new();
    let mut panel = |line: usize, title: String, marked: Vec<Range<usize>>| {
        panels.push(PatternPanel {
            title: format!("{}: {title}", unit(lines, line)),
            values: lines.line(line),
            marked,
        });
    };
    for motif in &answers.motifs {
        let marked = motif.starts.map(columns).to_vec();
        let title = format!(
            "motif, distance {:.3}{}",
            motif.distance,
            together(motif.lines)
        );
        panel(motif.line, title, marked);
    }
    for discord in &answers.discords {
        let title = format!(
            "discord, distance {:.2}{}",
            discord.distance,
            together(discord.lines)
        );
        panel(discord.line, title, vec![columns(discord.start)]);
    }
    for found in &answers.matches {
        let title = format!("like it, distance {:.3}", found.distance);
        panel(found.line, title, vec![columns(found.start)]);
    }
    for own in answers.found.chunk_by(|a, b| a.line == b.line) {
        let marked = own.iter().map(|found| found.columns.clone()).collect();
        panel(own[0].line, "matches".to_owned(), marked);
    }
    for shape in answers.shapes.iter().flat_map(|shapes| &shapes.shapes) {
        for &line in shape.lines.iter().take(LINES_OF_SHAPE) {
            panel(
                line,
                format!("shape of {} lines", shape.represented),
                Vec::new(),
            );
        }
    }
    panels.truncate(MAX_PANELS);
    panels
}
