//! Parameters that a run starts from: another program's file, whose names may differ by a prefix and whose values may be bad.

use std::collections::BTreeSet;

use super::name_pattern::name_pattern;
use crate::tensor::NamedTensor;
use crate::text::{quoted, shortened};
use crate::{Error, Result};

/// Characters of the pattern of all names in a message: beyond what any network of repeated layers needs.
const LISTED: usize = 1_000;
/// A counter that batch norm keeps and no result depends on: files of earlier PyTorch versions lack it.
const OPTIONAL: &str = ".num_batches_tracked";

/// `tensors` by the names that the model has. A prefix that every name has before the model's own, as wrappers put it there
/// (`module.`, `_orig_mod.`), is taken off and returned. `source` names the file in messages.
///
/// # Errors
/// A parameter is unknown or missing, or a value is not finite.
pub(super) fn initial_parameters(
    mut tensors: Vec<NamedTensor>,
    expected: &BTreeSet<&str>,
    source: &str,
) -> Result<(Vec<NamedTensor>, Option<String>)> {
    let prefix = common_prefix(&tensors, expected).map(str::to_owned);
    if let Some(prefix) = &prefix {
        for tensor in &mut tensors {
            tensor.name.drain(..prefix.len());
        }
    }
    check_names(&tensors, expected, source)?;
    check_values(&tensors, source)?;
    Ok((tensors, prefix))
}

/// What ends in a dot, begins every name, and leaves names of the model.
fn common_prefix<'t>(tensors: &'t [NamedTensor], expected: &BTreeSet<&str>) -> Option<&'t str> {
    let first = tensors.first()?.name.as_str();
    if expected.contains(first) {
        return None;
    }
    let ends = first.match_indices('.').map(|(dot, _)| dot + 1);
    let mut prefixes = ends.map(|end| &first[..end]);
    prefixes.find(|prefix| {
        tensors.iter().all(|tensor| {
            let rest = tensor.name.strip_prefix(prefix);
            rest.is_some_and(|rest| expected.contains(rest))
        })
    })
}

fn check_names(tensors: &[NamedTensor], expected: &BTreeSet<&str>, source: &str) -> Result<()> {
    let given: BTreeSet<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    let unknown: Vec<&str> = given.difference(expected).copied().collect();
    let missing = expected.difference(&given);
    let missing: Vec<&str> = missing
        .copied()
        .filter(|name| !name.ends_with(OPTIONAL))
        .collect();
    let all = || {
        let names = name_pattern(expected.iter().copied());
        format!("it needs exactly these: {}", shortened(&names, LISTED))
    };
    let problem = match (&unknown[..], &missing[..]) {
        ([], []) => return Ok(()),
        ([name], _) => format!("the model has no parameter {}", quoted(name)),
        ([name, ..], _) => format!(
            "the model has no parameter {} and {} more that the file has",
            quoted(name),
            unknown.len() - 1
        ),
        ([], [name]) => format!("the parameter {} is missing", quoted(name)),
        ([], names) => {
            let hint =
                "use a file with all parameters of the model; those of a GAN are both networks'";
            let pattern = shortened(&name_pattern(names.iter().copied()), LISTED);
            let problem = format!("{} parameters are missing: {pattern}", missing.len());
            return Err(Error::input(source, problem, hint));
        }
    };
    Err(Error::input(source, problem, all()))
}

fn check_values(tensors: &[NamedTensor], source: &str) -> Result<()> {
    let bad = tensors.iter().find_map(|tensor| {
        let mut values = tensor.values.iter();
        let index = values.position(|value| !value.is_finite())?;
        Some((tensor, index))
    });
    let Some((tensor, index)) = bad else {
        return Ok(());
    };
    let value = match tensor.values[index] {
        value if value.is_nan() => "NaN",
        _ => "infinite, or beyond the range of float32",
    };
    Err(Error::input(
        source,
        format!(
            "{} has values that are not finite: value {index} is {value}",
            quoted(&tensor.name)
        ),
        "start from parameters that are finite, such as an earlier checkpoint",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(names: &[&str]) -> Vec<NamedTensor> {
        let tensor = |name: &&str| NamedTensor::new(*name, vec![1], vec![0.5]);
        names.iter().map(tensor).collect()
    }

    #[test]
    fn one_common_prefix_is_taken_off() {
        let expected = BTreeSet::from(["a.0.weight", "a.0.bias", "b.num_batches_tracked"]);
        for prefix in [
            "module.",
            "_orig_mod.",
            "module._orig_mod.",
            "model.",
            "a.",
            "",
        ] {
            let names = ["a.0.weight", "a.0.bias"].map(|name| format!("{prefix}{name}"));
            let given = tensors(&names.each_ref().map(String::as_str));
            let (read, found) = initial_parameters(given, &expected, "f").unwrap();
            assert_eq!(found.as_deref(), (!prefix.is_empty()).then_some(prefix));
            assert_eq!(read, tensors(&["a.0.weight", "a.0.bias"]));
        }
        let mixed = tensors(&["module.a.0.weight", "a.0.bias"]);
        let error = initial_parameters(mixed, &expected, "f").unwrap_err();
        assert!(error.problem().contains("'module.a.0.weight'"), "{error}");
        let error = initial_parameters(tensors(&[]), &expected, "f").unwrap_err();
        assert_eq!(
            error.problem(),
            "2 parameters are missing: a.0.{bias,weight} (2)"
        );
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        let expected = BTreeSet::from(["a"]);
        for (value, part) in [(f32::NAN, "value 1 is NaN"), (f32::INFINITY, "infinite")] {
            let bad = vec![NamedTensor::new("a", vec![2], vec![0.0, value])];
            let error = initial_parameters(bad, &expected, "f").unwrap_err();
            assert!(error.problem().contains(part), "{error}");
        }
    }
}
