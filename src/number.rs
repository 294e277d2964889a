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

/// IEEE 754 binary16, exactly.
pub(crate) fn from_half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits) & 0x3ff;
    let magnitude = match exponent {
        // Subnormal: the fraction in units of 2^-24.
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        31 => 0x7f80_0000 | (fraction << 13),
        _ => ((exponent + 112) << 23) | (fraction << 13),
    };
    f32::from_bits(sign | magnitude)
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

    #[test]
    fn half_floats_are_exact() {
        let cases = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 2f32.powi(-14)),
            (0x0001, 2f32.powi(-24)),
            (0x83ff, -1023.0 * 2f32.powi(-24)),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ];
        for (bits, value) in cases {
            assert_eq!(from_half(bits).to_bits(), value.to_bits(), "{bits:#06x}");
        }
        assert!(from_half(0x7e00).is_nan());
    }
}
