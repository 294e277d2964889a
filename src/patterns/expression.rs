//! Regular expressions over words: `flat+ spike nonfinite`.
//!
//! A word stands for one record, and what follows it counts records: `flat{10,} (rise|fall)+ nonfinite`. Spaces mean nothing.
//! `.` is any word, `[rise fall]` one of several, `[^flat]` any other, `^` and `$` are the first and the last record. Of
//! overlapping matches the first counts, as long as it can be.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ast::parse::ParserBuilder;

use super::words::{RunWords, Word};
use crate::{Error, Result};

/// Bytes of a compiled expression at most.
const MAX_SIZE: usize = 1 << 20;
/// Characters of an expression at most.
const MAX_LENGTH: usize = 1000;
/// Parentheses inside each other at most.
const MAX_NESTING: u32 = 32;

/// A regular expression over words.
#[derive(Debug, Clone)]
pub struct Expression {
    regex: Regex,
}

/// Neighboring records of a line that an expression matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The line.
    pub line: usize,
    /// The records.
    pub columns: Range<usize>,
}

impl Expression {
    /// Reads one.
    ///
    /// # Errors
    /// An unknown word, something that is no regular expression (the message points at it), or one that is too large.
    pub fn parse(text: &str) -> Result<Self> {
        let length = text.chars().count();
        if length > MAX_LENGTH {
            return Err(Error::usage(
                "--find",
                format!("an expression of {length} characters is too long"),
                format!("use at most {MAX_LENGTH}"),
            ));
        }
        let translated = Translated::new(text)?;
        let mut parser = ParserBuilder::new();
        if let Err(error) = parser
            .nest_limit(MAX_NESTING)
            .build()
            .parse(&translated.text)
        {
            let at = translated.source(error.span().start.offset);
            return Err(wrong(text, at, error.kind().to_string()));
        }
        let mut builder = RegexBuilder::new(&translated.text);
        let builder = builder
            .unicode(false)
            .size_limit(MAX_SIZE)
            .nest_limit(MAX_NESTING);
        match builder.build() {
            Ok(regex) => Ok(Self { regex }),
            Err(regex::Error::CompiledTooBig(_)) => Err(Error::usage(
                format!("--find '{text}'"),
                "its repetitions count too far: it becomes too large",
                "use smaller counts, or + in place of a count",
            )),
            Err(_) => Err(wrong(text, 0, "it is not a regular expression".to_owned())),
        }
    }

    /// Where it matches the words of a line. A match of no record does not count.
    pub fn find(&self, words: &[Word]) -> Vec<Range<usize>> {
        let bytes: Vec<u8> = words.iter().map(|word| word.byte()).collect();
        let matches = self.regex.find_iter(&bytes).map(|found| found.range());
        matches.filter(|columns| !columns.is_empty()).collect()
    }

    /// Where it matches the words of all lines, in their order.
    pub fn find_all(&self, words: &RunWords) -> Vec<Found> {
        let of_line = |(line, words)| {
            let columns = self.find(words).into_iter();
            columns.map(move |columns| Found { line, columns })
        };
        words.lines().enumerate().flat_map(of_line).collect()
    }
}

/// An expression with a byte in place of each word.
#[derive(Debug, Default)]
struct Translated {
    text: String,
    /// For each byte of the text, the character of the expression that it comes from.
    sources: Vec<usize>,
}

impl Translated {
    fn new(text: &str) -> Result<Self> {
        let characters: Vec<char> = text.chars().collect();
        let mut translated = Self::default();
        let (mut at, mut is_count, mut before) = (0, false, ' ');
        while let Some(&next) = characters.get(at) {
            let is_letter = |at: &usize| matches!(characters.get(*at), Some(c) if c.is_alphabetic() || *c == '_');
            if is_letter(&at) {
                let end = (at..).find(|at| !is_letter(at)).unwrap_or(at);
                let name: String = characters[at..end].iter().collect();
                let word = Word::ALL.iter().find(|word| word.name() == name);
                let Some(word) = word else {
                    return Err(unknown(text, at, &name));
                };
                translated.push(word.byte() as char, at);
                at = end;
                before = 'a';
                continue;
            }
            let is_known = match next {
                '0'..='9' | ',' => is_count,
                '?' => before != '(',
                _ => "()[]{}|*+.^$".contains(next) || next.is_whitespace(),
            };
            if !is_known {
                let problem = match next {
                    '?' => "a group has no options".to_owned(),
                    '0'..='9' | ',' => format!("'{next}' belongs in braces"),
                    _ => format!("'{next}' means nothing here"),
                };
                return Err(wrong(text, at, problem));
            }
            is_count = match next {
                '{' => true,
                '}' => false,
                _ => is_count,
            };
            if !next.is_whitespace() {
                translated.push(next, at);
                before = next;
            }
            at += 1;
        }
        if translated.text.is_empty() {
            return Err(wrong(text, 0, "there is no word in it".to_owned()));
        }
        Ok(translated)
    }

    fn push(&mut self, next: char, source: usize) {
        self.text.push(next);
        self.sources.push(source);
    }

    /// The character of the expression that a byte comes from; the end past the last.
    fn source(&self, byte: usize) -> usize {
        let past = self.sources.last().map_or(0, |last| last + 1);
        self.sources.get(byte).copied().unwrap_or(past)
    }
}

fn unknown(text: &str, at: usize, name: &str) -> Error {
    let distance = |word: &&Word| strsim::damerau_levenshtein(word.name(), &name.to_lowercase());
    let nearest = Word::ALL.iter().min_by_key(distance);
    let nearest = nearest.filter(|word| distance(word) <= 2);
    let problem = match nearest {
        Some(word) => format!("there is no word '{name}', only '{}'", word.name()),
        None => format!("there is no word '{name}'"),
    };
    wrong(text, at, problem)
}

/// An expression that is wrong at one of its characters.
fn wrong(text: &str, at: usize, problem: String) -> Error {
    let names: Vec<&str> = Word::ALL.iter().map(|word| word.name()).collect();
    Error::usage(
        format!("--find '{text}', character {}", at + 1),
        problem,
        format!(
            "write words ({}) with + * ? {{n,m}} | ( ) [ ] . between and after them, such as 'flat+ spike nonfinite'",
            names.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        let word = |name: &str| *Word::ALL.iter().find(|word| word.name() == name).unwrap();
        text.split(' ').map(word).collect()
    }

    fn found(expression: &str, text: &str) -> Vec<[usize; 2]> {
        let found = Expression::parse(expression).unwrap().find(&words(text));
        found
            .iter()
            .map(|columns| [columns.start, columns.end])
            .collect()
    }

    #[test]
    fn words_are_matched_as_letters_would_be() {
        let line = "flat flat spike nonfinite flat spike flat rise rise fall";
        assert_eq!(found("flat+ spike nonfinite", line), [[0, 4]]);
        assert_eq!(found("flat+spike", line), [[0, 3], [4, 6]]);
        assert_eq!(found("(rise|fall){2,}", line), [[7, 10]]);
        assert_eq!(found("[rise fall]{2}", line), [[7, 9]]);
        assert_eq!(found("[^flat]+", line), [[2, 4], [5, 6], [7, 10]]);
        assert_eq!(found("^flat . ", line), [[0, 2]]);
        assert_eq!(found("fall $", line), [[9, 10]]);
        assert!(found("dead*", line).is_empty(), "matches of nothing");
        assert!(found("missing", line).is_empty());
    }

    #[test]
    fn what_does_not_parse_is_pointed_at() {
        for (text, part) in [
            (
                "flat+ (spike",
                "--find 'flat+ (spike', character 7: unclosed group",
            ),
            (
                "flat+ spikes",
                "character 7: there is no word 'spikes', only 'spike'",
            ),
            ("flat { 2, 1 }", "character 6: "),
            ("* flat", "character 1: "),
            ("flat \\d", "character 6: '\\' means nothing here"),
            ("(?i)flat", "character 2: a group has no options"),
            ("flat 3", "character 6: '3' belongs in braces"),
            ("  ", "there is no word in it"),
            ("[flat", "character 1: unclosed character class"),
            ("café", "character 1: there is no word 'café'"),
            ("(flat{1000}){1000}", "it becomes too large"),
            ("flat{99999999999}", "character 6: "),
        ] {
            let error = Expression::parse(text).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(part), "{error}");
        }
        let deep = format!("{}flat{}", "(".repeat(400), ")".repeat(400));
        assert!(Expression::parse(&deep).is_err());
        assert!(Expression::parse(&"flat".repeat(400)).is_err());
    }
}
