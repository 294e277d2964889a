//! Many names of parameters in few words: `generator.{0,2}.{bias,weight} (4)`.

use std::collections::BTreeMap;

/// What follows a part of a name, by the next part. A name ends where nothing follows.
#[derive(Debug, Default, PartialEq)]
struct Parts<'n>(BTreeMap<Part<'n>, Parts<'n>>);

/// A part of a name between dots. Numbers come in the order of their size, before words.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'n> {
    Number(u64, &'n str),
    Word(&'n str),
    End,
}

impl<'n> Part<'n> {
    fn new(text: &'n str) -> Self {
        match text.parse() {
            Ok(number) => Self::Number(number, text),
            Err(_) => Self::Word(text),
        }
    }

    fn text(&self) -> &'n str {
        match self {
            Self::Number(_, text) | Self::Word(text) => text,
            Self::End => "",
        }
    }
}

impl<'n> Parts<'n> {
    fn of(names: impl Iterator<Item = &'n str>) -> Self {
        let mut all = Self::default();
        for name in names {
            let mut parts = &mut all;
            for part in name.split('.') {
                parts = parts.0.entry(Part::new(part)).or_default();
            }
            parts.0.entry(Part::End).or_default();
        }
        all
    }

    /// How many names there are.
    fn count(&self) -> usize {
        let each = self.0.iter().map(|(part, rest)| match part {
            Part::End => 1,
            _ => rest.count(),
        });
        each.sum()
    }

    /// Everything that follows, with the dot before it; parts that are followed by the same stand together in braces.
    fn text(&self) -> String {
        let mut groups: Vec<(Vec<&str>, &Self)> = Vec::new();
        for (part, rest) in self.0.iter().filter(|(part, _)| **part != Part::End) {
            match groups.iter_mut().find(|(_, known)| *known == rest) {
                Some((parts, _)) => parts.push(part.text()),
                None => groups.push((vec![part.text()], rest)),
            }
        }
        let ends = self.0.contains_key(&Part::End);
        let alternatives: Vec<String> = groups
            .iter()
            .map(|(parts, rest)| match &parts[..] {
                [part] => format!("{part}{}", rest.text()),
                _ => format!("{{{}}}{}", parts.join(","), rest.text()),
            })
            .collect();
        match (&alternatives[..], ends) {
            ([], _) => String::new(),
            ([one], false) => format!(".{one}"),
            // A name that is also the beginning of others.
            (several, true) => format!("{{,.{}}}", several.join(",.")),
            (several, false) => format!(".{{{}}}", several.join(",")),
        }
    }
}

/// All of `names`, by their first part, which is a network's: a pattern as shells expand it, and how many names it stands
/// for.
pub(super) fn name_pattern<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let networks = Parts::of(names);
    let each = networks.0.iter().map(|(network, rest)| match rest.count() {
        1 => format!("{}{}", network.text(), rest.text()),
        count => format!("{}{} ({count})", network.text(), rest.text()),
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// What a shell makes of a pattern: its first braces written out, again and again.
    fn expanded(pattern: &str) -> Vec<String> {
        let Some(open) = pattern.find('{') else {
            return vec![pattern.to_owned()];
        };
        let (mut depth, mut start, mut alternatives) = (0, open + 1, Vec::new());
        for (at, character) in pattern.char_indices().skip(open) {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            let ends = depth == 0 || (depth == 1 && character == ',');
            if ends {
                alternatives.push(&pattern[start..at]);
                start = at + 1;
            }
            if depth == 0 {
                break;
            }
        }
        let (before, after) = (&pattern[..open], &pattern[start..]);
        let each = alternatives
            .iter()
            .map(|one| format!("{before}{one}{after}"));
        each.flat_map(|one| expanded(&one)).collect()
    }

    #[test]
    fn a_gan_is_two_short_patterns() {
        let mut names = Vec::new();
        for network in ["generator", "discriminator"] {
            for layer in [0, 2, 4, 10] {
                names.extend(["weight", "bias"].map(|name| format!("{network}.{layer}.{name}")));
            }
        }
        names.push("generator.1.running_mean".to_owned());
        assert_eq!(
            name_pattern(names.iter().map(String::as_str)),
            "discriminator.{0,2,4,10}.{bias,weight} (8), \
             generator.{{0,2,4,10}.{bias,weight},1.running_mean} (9)"
        );
        assert_eq!(name_pattern(["a.b", "c"].into_iter()), "a.b, c");
        assert_eq!(name_pattern(["a", "a.b"].into_iter()), "a{,.b} (2)");
    }

    proptest! {
        #[test]
        fn a_pattern_stands_for_all_names(names in proptest::collection::btree_set("[a-c0-2](\\.[a-c0-2]){0,4}", 1..30)) {
            let text = name_pattern(names.iter().map(String::as_str));
            let mut found = BTreeSet::new();
            for pattern in text.split(", ") {
                let (pattern, count) = match pattern.split_once(" (") {
                    Some((pattern, count)) => (pattern, count.trim_end_matches(')').parse().unwrap()),
                    None => (pattern, 1),
                };
                let all = expanded(pattern);
                prop_assert_eq!(all.len(), count, "{}", pattern);
                found.extend(all);
            }
            prop_assert_eq!(found, names);
        }
    }
}
