//! Numbers as MIL writes them: C99 hexadecimal floats, decimal integers.

/// The value of a float literal: hexadecimal, decimal, `inf` or `nan`; `None` if it is none of them.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = match digits.strip_prefix("0x") {
        Some(hex) => parse_hex(hex)?,
        None if digits == "inf" => f64::INFINITY,
        None if digits == "nan" => f64::NAN,
        None if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            digits.parse().ok()?
        }
        None => return None,
    };
    Some(sign * magnitude)
}

/// `1.8p-3` → 1.5 · 2⁻³. Digits past the 60th bit only stick to the last one.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['p', 'P']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut bits = 0u64;
    let mut scale = exponent.clamp(-1_000_000, 1_000_000);
    for (i, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = u64::from(digit.to_digit(16)?);
        let fractional = i >= whole.len();
        if bits >> 56 == 0 {
            bits = bits << 4 | digit;
            scale = scale.saturating_sub(if fractional { 4 } else { 0 });
        } else {
            bits |= u64::from(digit != 0);
            scale = scale.saturating_add(if fractional { 0 } else { 4 });
        }
    }
    Some(scaled(bits as f64, scale))
}

/// `value · 2^scale` without overflow on the way.
fn scaled(mut value: f64, mut scale: i32) -> f64 {
    while scale > 0 && value.is_finite() && value != 0.0 {
        let step = scale.min(1000);
        value *= 2f64.powi(step);
        scale -= step;
    }
    while scale < 0 && value != 0.0 {
        let step = (-scale).min(1000);
        value *= 2f64.powi(-step);
        scale += step;
    }
    value
}

/// The float as Apple's compiler prints it: `0x1.8p-3`, `-0x0p+0`, `-inf`.
pub(super) fn print_float(value: f64) -> String {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return format!("{sign}inf");
    }
    if value == 0.0 {
        return format!("{sign}0x0p+0");
    }
    const FRACTION: u64 = (1 << 52) - 1;
    let bits = value.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut fraction = bits & FRACTION;
    if exponent == -1023 {
        let shift = fraction.leading_zeros() - 11;
        fraction = (fraction << shift) & FRACTION;
        exponent = -1022 - i64::from(shift);
    }
    let digits = format!("{fraction:013x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("{sign}0x1{point}{digits}p{exponent:+}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_they_were_read() {
        for text in [
            "0x1.064p-10",
            "-0x1p+0",
            "0x0p+0",
            "-0x0p+0",
            "0x1p-24",
            "0x1p-149",
            "0x1.fffffep+127",
            "0x1p-1074",
            "0x1.8p-1070",
            "inf",
            "-inf",
            "nan",
        ] {
            assert_eq!(print_float(parse_float(text).unwrap()), text);
        }
    }

    #[test]
    fn other_spellings_are_read() {
        for (text, value) in [
            ("0.001302", 0.001302),
            ("-0.5", -0.5),
            ("1e-5", 1e-5),
            ("0x.8p0", 0.5),
            ("0x10", 16.0),
            ("0x1.0000000000000000000p+3", 8.0),
            ("0x1p+99999999", f64::INFINITY),
            ("0x1p-99999999", 0.0),
            ("+3", 3.0),
        ] {
            assert_eq!(parse_float(text), Some(value), "{text}");
        }
        for text in [
            "", "-", "0x", "0xp1", "0x1p", "1.2.3", "infinity", "0xg", "--1",
        ] {
            assert_eq!(parse_float(text), None, "{text}");
        }
    }
}
