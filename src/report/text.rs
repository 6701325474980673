//! Text whose every byte can be seen, text of a given width, bars and sparklines.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// `text` with spaces, line ends and control characters made visible: `␣ ⏎ ⇥ ␍ ␛ …`.
///
/// Characters that would turn or hide their neighbours (bidirectional marks, zero-width ones) are
/// written as `\u{202e}`.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' => out.push('␣'),
            '\n' => out.push('⏎'),
            '\t' => out.push('⇥'),
            _ => push_safe(&mut out, c),
        }
    }
    out
}

/// As [`visible`], for bytes that need not be UTF-8 (a token can hold half a character): `\xE4`.
pub fn visible_bytes(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(&visible(chunk.valid()));
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02X}"));
        }
    }
    out
}

/// `text` with everything but line ends and tabs harmless to a terminal; those stay.
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(c),
            '\t' => out.push_str("    "),
            '\r' => {}
            _ => push_safe(&mut out, c),
        }
    }
    out
}

fn push_safe(out: &mut String, c: char) {
    let code = c as u32;
    match c {
        '\0'..='\x1f' => out.push(char::from_u32(0x2400 + code).unwrap_or('␀')),
        '\x7f' => out.push('␡'),
        '\u{80}'..='\u{9f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => {
            out.push_str(&format!("\\u{{{code:x}}}"));
        }
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            out.push_str(&format!("\\u{{{code:x}}}"));
        }
        _ => out.push(c),
    }
}

/// `text` in lines of at most `width` columns, broken at spaces where there are any; what `most` lines do not
/// hold is cut.
pub fn wrapped(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let room = width.saturating_sub(line.width() + 1);
            if !line.is_empty() && word.width() > room {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            while line.width() > width {
                let head = cut(&line, width, "");
                let first = line.chars().next().map_or(0, char::len_utf8);
                let rest = line.split_off(head.len().max(first));
                lines.push(std::mem::replace(&mut line, rest));
            }
        }
        lines.push(line);
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = cut(&format!("{last} …"), width.max(1), "…");
        }
    }
    lines
}

/// `text` in at most `width` columns; what is cut ends with `mark`.
pub fn cut(text: &str, width: usize, mark: &str) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(mark.width());
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let mut out: String = text.chars().take_while(fits).collect();
    if mark.width() <= width {
        out.push_str(mark);
    }
    out
}

/// `text` with blanks up to `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// A bar of `width` characters filled to `fraction` (0 to 1), in eighths.
pub fn bar(fraction: f64, width: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let fraction = if fraction.is_nan() { 0.0 } else { fraction };
    let eighths = (fraction.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    let mut out = "█".repeat(eighths / 8);
    if eighths / 8 < width {
        out.push(EIGHTHS[eighths % 8]);
        out.push_str(&" ".repeat(width - eighths / 8 - 1));
    }
    out
}

/// One line of `▁▂▃▄▅▆▇█` for `values`, at most `width` long (means of equal runs); a value that is
/// not finite leaves a blank.
pub fn sparkline(values: &[f64], width: usize) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values = thin(values, width);
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    let level = |value: f64| {
        if !value.is_finite() {
            ' '
        } else if high > low {
            LEVELS[((value - low) / (high - low) * 7.0).round() as usize]
        } else {
            LEVELS[3]
        }
    };
    values.iter().map(|v| level(*v)).collect()
}

/// `values` as at most `width` means of neighbours; a run's non-finite values are left out of its mean.
fn thin(values: &[f64], width: usize) -> Vec<f64> {
    if values.len() <= width {
        return values.to_vec();
    }
    let mean = |column: usize| {
        let run = &values[column * values.len() / width..(column + 1) * values.len() / width];
        let (count, sum) = run
            .iter()
            .filter(|v| v.is_finite())
            .fold((0usize, 0.0), |(n, sum), v| (n + 1, sum + v));
        sum / count as f64
    };
    (0..width).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_show() {
        let check = |text, expected: &str| assert_eq!(visible(text), expected);
        check(" the", "␣the");
        check("a\n\tb\r", "a⏎⇥b␍");
        check("\x1b[31m\0\x7f", "␛[31m␀␡");
        check("\u{202e}x\u{200b}é你", "\\u{202e}x\\u{200b}é你");
        assert_eq!(visible_bytes(b"\xe4\xbd a\xff"), "\\xE4\\xBD␣a\\xFF");
        assert_eq!(visible_bytes("你".as_bytes()), "你");
    }

    #[test]
    fn text_is_cut_between_characters() {
        let check = |text, width, expected: &str| assert_eq!(cut(text, width, "…"), expected);
        check("abc", 3, "abc");
        check("abcd", 3, "ab…");
        check("你好吗", 4, "你…");
        check("ab", 1, "…");
        check("ab", 0, "");
        assert_eq!(pad("你", 4), "你  ");
    }

    #[test]
    fn text_is_wrapped_at_spaces() {
        let check = |text, width, expected: &[&str]| assert_eq!(wrapped(text, width, 3), expected);
        check("", 9, &[]);
        check("one two three", 9, &["one two", "three"]);
        check("one two\n\nthree", 9, &["one two", "", "three"]);
        check("abcdefgh i", 4, &["abcd", "efgh", "i"]);
        check("损失函数 a", 4, &["损失", "函数", "a"]);
        check("a b c d e", 1, &["a", "b", "…"]);
        check("é你", 0, &["é", "你", ""]);
    }

    #[test]
    fn bars_fill_in_eighths() {
        let check = |fraction, expected: &str| assert_eq!(bar(fraction, 4), expected);
        check(0.0, "    ");
        check(0.5, "██  ");
        check(0.53, "██▏ ");
        check(1.0, "████");
        check(7.0, "████");
        check(f64::NAN, "    ");
        assert_eq!(bar(0.5, 0), "");
    }

    #[test]
    fn sparklines_scale_to_their_range() {
        let check = |values: &[f64], expected: &str| assert_eq!(sparkline(values, 8), expected);
        check(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], "▁▂▃▄▅▆▇█");
        check(&[5.0, 5.0], "▄▄");
        check(&[0.0, f64::NAN, 1.0], "▁ █");
        check(&[], "");
        let long: Vec<f64> = (0..800).map(f64::from).collect();
        check(&long, "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&long, 0), "");
    }
}
