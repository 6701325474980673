//! Bars: a value for each name, from zero to the right or to the left.

use unicode_width::UnicodeWidthStr as _;

use super::super::Terminal;
use super::super::number::format_column;
use super::super::text::{bar, cut, harmless, pad};
use super::canvas::{Anchor, Canvas, FONT, text_width};
use super::colours::{SERIES, hex};
use super::{Axis, Plot};

/// The widest that a name may be, in columns.
const NAME: usize = 24;

/// From the least to the largest value, with 0.
fn axis(bars: &[(String, f64)]) -> Axis {
    let finite = bars
        .iter()
        .map(|(_, value)| *value)
        .filter(|v| v.is_finite());
    let (low, high) = finite.fold((0.0, 0.0), |(low, high): (f64, f64), value| {
        (low.min(value), high.max(value))
    });
    let high = if low == high { 1.0 } else { high };
    Axis { low, high }
}

fn names(bars: &[(String, f64)]) -> Vec<String> {
    let name = |(name, _): &(String, f64)| cut(&harmless(name).replace('\n', " "), NAME, "…");
    bars.iter().map(name).collect()
}

fn values(bars: &[(String, f64)]) -> Vec<String> {
    let values: Vec<f64> = bars.iter().map(|(_, value)| *value).collect();
    format_column(&values, 4)
}

impl Plot {
    pub(super) fn draw_bars(&self, canvas: &mut Canvas, size: (f64, f64), bars: &[(String, f64)]) {
        let (axis, names, texts) = (axis(bars), names(bars), values(bars));
        let widest = |texts: &[String]| texts.iter().map(|t| text_width(t)).fold(0.0, f64::max);
        let (left, right) = (20.0 + widest(&names), size.0 - 20.0 - widest(&texts));
        let (top, bottom) = (38.0, size.1 - 30.0);
        let step = (bottom - top) / bars.len().max(1) as f64;
        let place = |value: f64| left + axis.fraction(value) * (right - left);
        for (at, (_, value)) in bars.iter().enumerate() {
            let middle = top + (at as f64 + 0.5) * step;
            canvas.text((left - 8.0, middle), Anchor::End, &names[at]);
            let (from, to) = (place(value.min(0.0)), place(value.max(0.0)));
            if value.is_finite() {
                let high = (0.75 * step).min(2.0 * FONT);
                let corner = (from, middle - high / 2.0);
                canvas.rect(corner, (to - from, high), &hex(SERIES[0]));
            }
            let end = if value.is_finite() { to } else { place(0.0) };
            canvas.text((end + 6.0, middle), Anchor::Start, &texts[at]);
        }
        let zero = place(0.0);
        canvas.line((zero, top), (zero, bottom));
        let middle = ((left + right) / 2.0, size.1 - 14.0);
        canvas.text(middle, Anchor::Middle, &self.x_label);
    }

    /// A line for each bar: its name, the bar, its value.
    pub(super) fn bar_lines(&self, bars: &[(String, f64)], terminal: &Terminal) -> Vec<String> {
        let (axis, names, texts) = (axis(bars), names(bars), values(bars));
        let widest = |texts: &[String]| texts.iter().map(|t| t.width()).max().unwrap_or(0);
        let (name, value) = (widest(&names), widest(&texts));
        let room = terminal.width.saturating_sub(name + value + 4).max(4);
        let zero = (axis.fraction(0.0) * room as f64).round() as usize;
        let mark = if terminal.utf8 { "│" } else { "|" };
        let line = |(at, (_, number)): (usize, &(String, f64))| {
            let left = axis.fraction(0.0) - axis.fraction(number.min(0.0));
            let right = axis.fraction(number.max(0.0)) - axis.fraction(0.0);
            let left = blocks(left, room, true, terminal);
            let right = blocks(right, room, false, terminal);
            let text = &texts[at];
            let name = pad(&names[at], name);
            let left = format!("{}{left}", " ".repeat(zero.saturating_sub(left.width())));
            let right = paint(&right, terminal);
            format!("{name} {}{mark}{right} {text}", paint(&left, terminal))
        };
        let lines = bars.iter().enumerate().map(line);
        lines.map(|line| line.trim_end().to_owned()).collect()
    }
}

/// A bar that starts at zero, as long as `share` of `room`; blocks in eighths to the right, whole to the left.
fn blocks(share: f64, room: usize, left: bool, terminal: &Terminal) -> String {
    let share = if share.is_finite() { share } else { 0.0 };
    let whole = (share * room as f64).round() as usize;
    match (terminal.utf8, left) {
        (false, _) => "#".repeat(whole),
        (true, true) => "█".repeat(whole),
        (true, false) => {
            let bar = bar(share, room);
            bar.trim_end().to_owned()
        }
    }
}

fn paint(text: &str, terminal: &Terminal) -> String {
    match terminal.colour && !text.trim().is_empty() {
        true => format!("\x1b[34m{text}\x1b[39m"),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Drawing;
    use super::*;

    #[test]
    fn bars_in_text() {
        let bars = [("你好", 4.0), ("b", -2.0), ("c", f64::NAN)];
        let bars = bars.map(|(name, value)| (name.to_owned(), value));
        let plot = Plot::new("t").drawing(Drawing::Bars(bars.into()));
        let check = |utf8, expected: &str| {
            let terminal = Terminal {
                width: 24,
                utf8,
                ..Terminal::default()
            };
            assert_eq!(plot.render(&terminal), expected);
        };
        check(
            true,
            "t\n你好     │████████▋ 4\nb    ████│ -2\nc        │ nan",
        );
        check(
            false,
            "t\n你好     |######### 4\nb    ####| -2\nc        | nan",
        );
    }
}
