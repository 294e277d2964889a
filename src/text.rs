//! Text of strangers, such as names in files, on its way to a terminal or into a sentence.

use std::borrow::Cow;

/// Characters of input that a message quotes at most.
const QUOTED: usize = 40;

/// Whether a terminal would act on `character` instead of showing it: control characters, among them the start of
/// escape sequences, and marks that turn the direction of text or take no room.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// `text` as one line that a terminal shows and does not act on: control characters and marks of direction become
/// visible escapes such as `\u{1b}`, and ends of lines and tabs become blanks.
///
/// # Examples
/// ```
/// use trainscope::text::printable;
///
/// assert_eq!(printable("loss"), "loss");
/// assert_eq!(printable("\u{1b}[31mred\nnew line"), r"\u{1b}[31mred new line");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => shown.push(' '),
            '\r' => {}
            _ if is_hidden(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// `text`, [printable] and of at most `limit` characters: where it is longer, an ellipsis replaces its middle.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    let shown = printable(text);
    let length = shown.chars().count();
    if length <= limit {
        return shown.into_owned();
    }
    let kept = limit.saturating_sub(1);
    let front = kept.div_ceil(2);
    let start = shown.chars().take(front);
    let end = shown.chars().skip(length - (kept - front));
    start.chain(['…']).chain(end).collect()
}

/// Some input as a message quotes it: `'text'`, [printable] and short.
pub(crate) fn quoted(text: &str) -> String {
    let text = text.trim();
    if text.chars().count() > QUOTED {
        let start: String = text.chars().take(QUOTED).collect();
        return format!("'{}…'", printable(&start));
    }
    format!("'{}'", printable(text))
}

/// Some of `names` with commas between, as many as fit into `limit` characters; how many are left out is said.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>, limit: usize) -> String {
    let count = names.len();
    let mut text = String::new();
    for (index, name) in names.enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let name = printable(name);
        if index > 0 && text.chars().count() + separator.len() + name.chars().count() > limit {
            return format!("{text} and {} more", count - index);
        }
        text.push_str(separator);
        text.push_str(&name);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminals_are_not_spoken_to() {
        let hostile = "a\u{1b}]0;title\u{7}\r\nb\u{202e}c\u{200f}\u{9b}1m\u{feff}";
        let shown = printable(hostile);
        assert_eq!(
            shown,
            r"a\u{1b}]0;title\u{7} b\u{202e}c\u{200f}\u{9b}1m\u{feff}"
        );
        assert_eq!(printable("größe 損失 −3"), "größe 損失 −3");
    }

    #[test]
    fn long_text_keeps_both_ends() {
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 5), "ab…jk");
        assert_eq!(quoted(&"x".repeat(90)).chars().count(), QUOTED + 3);
        let names = ["one", "two", "three", "four"];
        assert_eq!(listed(names.iter().copied(), 100), "one, two, three, four");
        assert_eq!(listed(names.iter().copied(), 10), "one, two and 2 more");
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_bounded_line(text in any::<String>(), limit in 1usize..60) {
            let shown = shortened(&text, limit);
            prop_assert!(shown.chars().count() <= limit);
            prop_assert!(!shown.chars().any(is_hidden));
        }
    }
}
