//! Heat maps in characters: coloured cells, half a character high where there are many; without colours
//! shades of grey.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::super::Terminal;
use super::super::number::format_number;
use super::super::text::{cut, harmless, pad};
use super::Plot;
use super::colours::{Rgb, Scale, palette};
use super::heat::Heat;

/// The most lines that a heat map takes.
const LINES: usize = 40;
/// The widest names of rows, and the highest of columns.
const NAME: usize = 14;
const NAME_BELOW: usize = 8;
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
const ASCII_SHADES: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];
/// Of a number that is none.
const NOTHING: Rgb = [128, 128, 128];

/// How cells are drawn.
#[derive(Clone, Copy, PartialEq)]
enum Cells {
    /// Two columns and a line each.
    Wide,
    /// One column and a line each.
    Narrow,
    /// One column and half a line each.
    Half,
}

impl Plot {
    pub(super) fn heat_lines(&self, heat: &Heat, terminal: &Terminal) -> Vec<String> {
        let names = names(heat);
        let margin = names.iter().map(|name| name.width() + 1).max().unwrap_or(0);
        let room = terminal.width.saturating_sub(margin).max(1);
        let coloured = terminal.colour && terminal.utf8;
        let (height, width) = (heat.values().len(), heat.width());
        let cells = match (height <= LINES, 2 * width <= room) {
            (true, true) => Cells::Wide,
            (false, _) | (_, false) if coloured => Cells::Half,
            _ => Cells::Narrow,
        };
        let (shown, margin) = match cells {
            Cells::Wide => (heat.clone(), margin),
            Cells::Narrow => (heat.reduced(LINES, room), margin),
            Cells::Half => (heat.reduced(2 * LINES, terminal.width.max(1)), 0),
        };
        let scale = heat.scale();
        let named = cells != Cells::Half && !shown.row_names().is_empty();
        let row = |(at, cells): (usize, String)| match named {
            true => format!("{} {cells}", pad(&names[at], margin - 1))
                .trim_end()
                .to_owned(),
            false => cells,
        };
        let rows = match (coloured, cells) {
            (true, Cells::Half) => half_rows(&shown, &scale, terminal),
            (true, _) => colour_rows(&shown, &scale, cells == Cells::Wide, terminal),
            (false, _) => shade_rows(&shown, &scale, cells == Cells::Wide, terminal),
        };
        let mut lines: Vec<String> = rows.into_iter().enumerate().map(row).collect();
        let margin = if named { margin } else { 0 };
        lines.extend(below(&shown, margin, cells == Cells::Wide));
        lines.push(legend(&scale, coloured, terminal));
        if (shown.values().len(), shown.width()) != (height, width) {
            let (rows, columns) = (shown.values().len(), shown.width());
            lines.push(format!(
                "{height} × {width} as means of {rows} × {columns} blocks"
            ));
        }
        lines
    }
}

fn names(heat: &Heat) -> Vec<String> {
    let name = |name: &String| cut(&harmless(name).replace('\n', " "), NAME, "…");
    heat.row_names().iter().map(name).collect()
}

fn colour(scale: &Scale, value: f64) -> Rgb {
    scale.fraction(value).map_or(NOTHING, |f| scale.colour(f))
}

/// As ANSI writes a foreground (38) or background (48).
fn ansi(which: u8, colour: Rgb, terminal: &Terminal) -> String {
    let [red, green, blue] = colour;
    match terminal.true_colour {
        true => format!("\x1b[{which};2;{red};{green};{blue}m"),
        false => format!("\x1b[{which};5;{}m", palette(colour)),
    }
}

/// Each run of equal colours in one piece.
fn painted(cells: impl Iterator<Item = (String, &'static str)>) -> String {
    let mut line = String::new();
    let mut last = String::new();
    for (style, text) in cells {
        if style != last {
            line.push_str(&style);
            last = style;
        }
        line.push_str(text);
    }
    format!("{line}\x1b[0m")
}

fn colour_rows(heat: &Heat, scale: &Scale, wide: bool, terminal: &Terminal) -> Vec<String> {
    let blank = if wide { "  " } else { " " };
    let row = |row: &Vec<f64>| {
        let cells = row.iter().map(|value| colour(scale, *value));
        painted(cells.map(|colour| (ansi(48, colour, terminal), blank)))
    };
    heat.values().iter().map(row).collect()
}

/// Two rows of the matrix a line: the upper one is the foreground of an upper half block.
fn half_rows(heat: &Heat, scale: &Scale, terminal: &Terminal) -> Vec<String> {
    let line = |rows: &[Vec<f64>]| {
        let cell = |at: usize| {
            let above = ansi(38, colour(scale, rows[0][at]), terminal);
            let below = rows
                .get(1)
                .map(|row| ansi(48, colour(scale, row[at]), terminal));
            (format!("{above}{}", below.unwrap_or_default()), "▀")
        };
        painted((0..heat.width()).map(cell))
    };
    heat.values().chunks(2).map(line).collect()
}

fn shade(scale: &Scale, value: f64, utf8: bool) -> char {
    let of = |shades: &[char], fraction: f64| {
        shades[((fraction * shades.len() as f64) as usize).min(shades.len() - 1)]
    };
    match (scale.fraction(value), utf8) {
        (None, _) => '?',
        (Some(fraction), true) => of(&SHADES, fraction),
        (Some(fraction), false) => of(&ASCII_SHADES, fraction),
    }
}

fn shade_rows(heat: &Heat, scale: &Scale, wide: bool, terminal: &Terminal) -> Vec<String> {
    let row = |row: &Vec<f64>| -> String {
        let shades = row.iter().map(|value| shade(scale, *value, terminal.utf8));
        let line: String = shades
            .flat_map(|shade| std::iter::repeat_n(shade, 1 + usize::from(wide)))
            .collect();
        line.trim_end().to_owned()
    };
    heat.values().iter().map(row).collect()
}

/// The names of the columns, downwards.
fn below(heat: &Heat, margin: usize, wide: bool) -> Vec<String> {
    let column = 1 + usize::from(wide);
    let names: Vec<Vec<char>> = heat
        .column_names()
        .iter()
        .map(|name| harmless(name).chars().take(NAME_BELOW).collect())
        .collect();
    let highest = names.iter().map(Vec::len).max().unwrap_or(0);
    let line = |at: usize| {
        let letters = names.iter().map(|name| {
            let letter = name.get(at).copied().filter(|c| *c != '\n').unwrap_or(' ');
            match letter.width().unwrap_or(0) <= column {
                true => pad(&letter.to_string(), column),
                false => " ".repeat(column),
            }
        });
        format!("{}{}", " ".repeat(margin), letters.collect::<String>())
    };
    (0..highest)
        .map(|at| line(at).trim_end().to_owned())
        .collect()
}

/// The range with its colours.
fn legend(scale: &Scale, coloured: bool, terminal: &Terminal) -> String {
    const STEPS: usize = 20;
    let at =
        |step: usize| scale.low + (step as f64 + 0.5) / STEPS as f64 * (scale.high - scale.low);
    let colours: String = match coloured {
        true => painted((0..STEPS).map(|step| {
            let colour = colour(scale, at(step));
            (ansi(48, colour, terminal), " ")
        })),
        false => (0..STEPS)
            .map(|step| shade(scale, at(step), terminal.utf8))
            .collect(),
    };
    let number = |value| format_number(value, 3);
    format!("{} {colours} {}", number(scale.low), number(scale.high))
}

#[cfg(test)]
mod tests {
    use super::super::Drawing;
    use super::*;

    fn drawn(heat: Heat, width: usize, utf8: bool, colour: bool) -> String {
        let terminal = Terminal {
            width,
            utf8,
            colour,
            ..Terminal::default()
        };
        Plot::new("t")
            .drawing(Drawing::Heat(heat))
            .render(&terminal)
    }

    fn named() -> Heat {
        let names = || vec!["a".to_owned(), "你".to_owned()];
        let values = vec![vec![0.0, 1.0], vec![f64::NAN, 0.5]];
        Heat::new(values).unwrap().names(names(), names()).unwrap()
    }

    #[test]
    fn shades_without_colour() {
        assert_eq!(
            drawn(named(), 40, true, false),
            "t\na    ██\n你 ??▒▒\n   a 你\n0     ░░░░▒▒▒▒▓▓▓▓████ 1"
        );
        assert_eq!(
            drawn(named(), 40, false, false),
            "t\na    @@\n你 ??++\n   a 你\n0   ..::--==++**##%%@@ 1"
        );
    }

    #[test]
    fn cells_have_the_colour_of_their_number() {
        let text = drawn(named(), 40, true, true);
        let first = text.lines().nth(1).unwrap();
        assert_eq!(first, "a  \x1b[48;5;53m  \x1b[48;5;220m  \x1b[0m");
    }

    #[test]
    fn large_matrices_are_reduced_to_the_screen() {
        let values = (0..100).map(|i| (0..200).map(|j| f64::from(i * j)).collect());
        let heat = Heat::new(values.collect()).unwrap();
        for (colour, rows) in [(true, 80), (false, 40)] {
            let text = drawn(heat.clone(), 30, true, colour);
            let plain = console_free(&text);
            assert!(plain.lines().all(|line| line.width() <= 50), "{plain}");
            let told = format!("100 × 200 as means of {rows} × 30 blocks");
            assert!(text.ends_with(&told), "{text}");
            assert_eq!(text.lines().count(), 1 + 40 + 2);
        }
    }

    fn console_free(text: &str) -> String {
        let mut parts = text.split('\x1b');
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |all, part| all + part.split_once('m').unwrap().1)
    }
}
