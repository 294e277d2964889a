//! Numbers as people read them.

/// A number with at most four significant digits, as short as it can be: `0.002`, `1,200`, `1e-5`.
pub(crate) fn short(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return "not finite".to_owned();
    }
    if (1e-3..1e6).contains(&magnitude) {
        // Four significant digits, without trailing zeros.
        let decimals = (3 - magnitude.log10().floor() as i32).clamp(0, 6) as usize;
        let text = grouped(value, decimals);
        return if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        };
    }
    let text = scientific(value, 3);
    match text.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => {
            let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
            format!("{mantissa}e{exponent}")
        }
        _ => text,
    }
}

/// A number in scientific notation with `digits` decimals and a true minus sign.
pub(crate) fn scientific(value: f64, digits: usize) -> String {
    format!("{value:.digits$e}").replace('-', "\u{2212}")
}

/// A number with commas between thousands and a true minus sign.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if value < 0.0 {
        out.push('\u{2212}');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.002, "\u{2212}0.002"),
            (1200.0, "1,200"),
            (12.345_678, "12.35"),
            (1e-5, "1e\u{2212}5"),
            (-2.5e7, "\u{2212}2.5e7"),
            (f64::NAN, "not finite"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(grouped(1_234_567.5, 1), "1,234,567.5");
    }
}
