//! Floats for the eye: few digits, one number of decimals down a column.

/// `value` with about `digits` significant digits, scientific outside of `1e-4 ..= 1e9`.
pub fn format_number(value: f64, digits: usize) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return special(value);
    }
    if !(1e-4..1e9).contains(&size) {
        return scientific(value, digits);
    }
    trim_zeros(&with_decimals(value, decimals(size, digits)))
}

/// A size in bytes, decimal units: "0 B", "1.5 kB", "270 MB".
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    format!("{} {}", format_number(size, 3), UNITS[unit])
}

/// A column of floats: all with the decimals that give its largest one `digits` significant digits;
/// what would vanish so, and a column of tiny ones, is written scientifically.
pub(super) fn format_column(values: &[f64], digits: usize) -> Vec<String> {
    let largest = values
        .iter()
        .filter(|v| v.is_finite())
        .fold(0.0f64, |m, v| m.max(v.abs()));
    let whole = values.iter().all(|v| !v.is_finite() || v.fract() == 0.0);
    let decimals = if whole { 0 } else { decimals(largest, digits) };
    let write = |value: &f64| {
        let size = value.abs();
        let tiny = largest > 0.0 && largest < 1e-4;
        if !value.is_finite() {
            special(*value)
        } else if tiny {
            format_number(*value, digits)
        } else if size >= 1e9 || (size > 0.0 && size < 0.5 * 10f64.powi(-(decimals as i32))) {
            scientific(*value, digits)
        } else {
            with_decimals(*value, decimals)
        }
    };
    values.iter().map(write).collect()
}

/// Exactly `decimals` decimals, and never "-0".
pub(super) fn with_decimals(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let zero = text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
    if zero {
        text.trim_start_matches('-').to_owned()
    } else {
        text
    }
}

fn decimals(largest: f64, digits: usize) -> usize {
    let magnitude = if largest > 0.0 {
        largest.log10().floor() as i64 + 1
    } else {
        1
    };
    (digits as i64 - magnitude.min(digits as i64)) as usize
}

fn scientific(value: f64, digits: usize) -> String {
    let text = format!("{value:.*e}", digits.saturating_sub(1));
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", trim_zeros(mantissa)),
        None => text,
    }
}

fn special(value: f64) -> String {
    if value.is_nan() {
        "nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "inf" } else { "-inf" }.to_owned()
    } else {
        "0".to_owned()
    }
}

fn trim_zeros(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_bytes() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1500, "1.5 kB"),
            (999_600, "1 MB"),
            (270_123_456, "270 MB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(format_bytes(bytes), text);
        }
    }

    #[test]
    fn single_numbers() {
        let check = |value, expected: &str| assert_eq!(format_number(value, 4), expected);
        check(0.0, "0");
        check(-0.0, "0");
        check(1.5, "1.5");
        check(std::f64::consts::LN_2, "0.6931");
        check(-123456.7, "-123457");
        check(0.00012346, "0.0001235");
        check(1e-6, "1e-6");
        check(1.25e12, "1.25e12");
        check(f64::NAN, "nan");
        check(f64::NEG_INFINITY, "-inf");
    }

    #[test]
    fn a_column_shares_its_decimals() {
        let check = |values: &[f64], expected: &[&str]| {
            assert_eq!(format_column(values, 4), expected);
        };
        check(&[0.88, 0.1, 2e-5], &["0.8800", "0.1000", "2e-5"]);
        check(&[1e-5, 0.0, f64::NAN], &["1e-5", "0", "nan"]);
        check(&[-12.345, 0.5, 0.0], &["-12.35", "0.50", "0.00"]);
        check(&[3.0, 1200.0, f64::NAN], &["3", "1200", "nan"]);
        check(&[], &[]);
    }
}
