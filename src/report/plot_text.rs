//! Line plots drawn with characters: braille dots, or one sign per series where lines must be told
//! apart without colour.

use unicode_width::UnicodeWidthStr;

use super::Terminal;
use super::axis::Axis;
use super::plot::{Plot, Series};
use super::text::harmless;

/// Rows of the drawing area.
const ROWS: usize = 14;
const UTF8_SIGNS: [char; 6] = ['●', '×', '▲', '□', '◆', '+'];
const ASCII_SIGNS: [char; 6] = ['*', 'x', 'o', '+', '#', '@'];
/// ANSI foreground colours: blue, red, green, magenta, yellow, cyan.
const COLOURS: [u8; 6] = [34, 31, 32, 35, 33, 36];

impl Plot {
    /// The plot in characters, `terminal.width` wide.
    pub fn render(&self, terminal: &Terminal) -> String {
        let Some((x, y)) = self.axes() else {
            return format!("{}\n(no finite points)", harmless(&self.title));
        };
        let y_ticks = y.ticks(ROWS / 2);
        let margin = y_ticks.iter().map(|(_, l)| l.len()).max().unwrap_or(0);
        let width = terminal.width.saturating_sub(margin + 3).max(10);
        let mut grid = Grid::new(width, self.ink(terminal));
        for (index, series) in self.series.iter().enumerate() {
            grid.draw(series, index, &x, &y);
        }
        let mut lines = self.heading(terminal, margin);
        lines.extend(grid.lines(terminal, &y, &y_ticks, margin));
        lines.extend(x_axis(&x, width, margin, terminal.utf8));
        if !self.x_label.is_empty() {
            let label = harmless(&self.x_label);
            let pad = margin + 2 + width.saturating_sub(label.width()) / 2;
            lines.push(format!("{}{label}", " ".repeat(pad)));
        }
        lines.join("\n")
    }

    fn ink(&self, terminal: &Terminal) -> Ink {
        if !terminal.utf8 {
            Ink::Signs(ASCII_SIGNS)
        } else if self.series.len() > 1 && !terminal.colour {
            Ink::Signs(UTF8_SIGNS)
        } else {
            Ink::Braille
        }
    }

    fn heading(&self, terminal: &Terminal, margin: usize) -> Vec<String> {
        let indent = " ".repeat(margin + 2);
        let mut lines = Vec::new();
        if !self.title.is_empty() {
            lines.push(format!("{indent}{}", harmless(&self.title)));
        }
        if self.has_legend() {
            let ink = self.ink(terminal);
            let entry = |(index, series): (usize, &Series)| {
                let sign = paint(&ink.sign(index).to_string(), index, terminal.colour);
                format!("{sign} {}", harmless(&series.name))
            };
            let entries: Vec<String> = self.series.iter().enumerate().map(entry).collect();
            lines.push(format!("{indent}{}", entries.join("   ")));
        }
        if !self.y_label.is_empty() {
            lines.push(harmless(&self.y_label));
        }
        lines
    }
}

#[derive(Clone, Copy)]
enum Ink {
    /// Two by four dots a character.
    Braille,
    /// One sign a character, by series.
    Signs([char; 6]),
}

impl Ink {
    fn sign(&self, series: usize) -> char {
        match self {
            Self::Braille => '━',
            Self::Signs(signs) => signs[series % signs.len()],
        }
    }

    fn dots(&self) -> (usize, usize) {
        match self {
            Self::Braille => (2, 4),
            Self::Signs(_) => (1, 1),
        }
    }
}

/// The drawing area: for each character its braille dots and the series drawn last.
struct Grid {
    width: usize,
    ink: Ink,
    cells: Vec<(u8, usize)>,
}

impl Grid {
    fn new(width: usize, ink: Ink) -> Self {
        let cells = vec![(0, 0); width * ROWS];
        Self { width, ink, cells }
    }

    fn draw(&mut self, series: &Series, index: usize, x: &Axis, y: &Axis) {
        let (across, down) = self.ink.dots();
        let last = ((self.width * across - 1) as f64, (ROWS * down - 1) as f64);
        let place = |point: &(f64, f64)| {
            (
                (x.fraction(point.0) * last.0).round() as i64,
                ((1.0 - y.fraction(point.1)) * last.1).round() as i64,
            )
        };
        for run in series.runs() {
            let mut from = place(&run[0]);
            for point in run {
                let to = place(point);
                self.line(from, to, index);
                from = to;
            }
        }
    }

    /// A straight line between two dots, both included.
    fn line(&mut self, from: (i64, i64), to: (i64, i64), series: usize) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).max(1);
        for step in 0..=steps {
            let between = |a: i64, b: i64| a + ((b - a) * step * 2 + steps).div_euclid(2 * steps);
            self.dot(between(from.0, to.0), between(from.1, to.1), series);
        }
    }

    fn dot(&mut self, x: i64, y: i64, series: usize) {
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let (across, down) = self.ink.dots();
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return;
        };
        if x / across < self.width
            && let Some(cell) = self.cells.get_mut(y / down * self.width + x / across)
        {
            *cell = (cell.0 | BITS[y % down][x % across], series);
        }
    }

    fn lines(
        &self,
        terminal: &Terminal,
        y: &Axis,
        ticks: &[(f64, String)],
        margin: usize,
    ) -> Vec<String> {
        let row_of = |tick: f64| ((1.0 - y.fraction(tick)) * (ROWS - 1) as f64).round() as usize;
        let (tick_mark, plain_mark) = if terminal.utf8 {
            ('┤', '│')
        } else {
            ('+', '|')
        };
        let line = |row: usize| {
            let label = ticks.iter().find(|(tick, _)| row_of(*tick) == row);
            let mark = if label.is_some() {
                tick_mark
            } else {
                plain_mark
            };
            let label = label.map_or("", |(_, label)| label);
            let cells = &self.cells[row * self.width..(row + 1) * self.width];
            let drawn = self.row(cells, terminal.colour);
            format!("{label:>margin$} {mark}{drawn}")
        };
        (0..ROWS).map(line).collect()
    }

    fn row(&self, cells: &[(u8, usize)], colour: bool) -> String {
        let used = cells.iter().rposition(|c| c.0 != 0).map_or(0, |i| i + 1);
        let sign = |(dots, series): &(u8, usize)| match (dots, self.ink) {
            (0, _) => ' ',
            (_, Ink::Signs(_)) => self.ink.sign(*series),
            (dots, Ink::Braille) => char::from_u32(0x2800 + u32::from(*dots)).unwrap_or('?'),
        };
        let same = |a: &(u8, usize), b: &(u8, usize)| (a.0 == 0) == (b.0 == 0) && a.1 == b.1;
        let draw = |run: &[(u8, usize)]| {
            let text: String = run.iter().map(sign).collect();
            paint(&text, run[0].1, colour && run[0].0 != 0)
        };
        cells[..used].chunk_by(same).map(draw).collect()
    }
}

fn paint(text: &str, series: usize, colour: bool) -> String {
    if colour {
        format!("\x1b[{}m{text}\x1b[39m", COLOURS[series % COLOURS.len()])
    } else {
        text.to_owned()
    }
}

/// The axis line with its marks, and the labels centred below them.
fn x_axis(x: &Axis, width: usize, margin: usize, utf8: bool) -> [String; 2] {
    let (corner, dash, mark) = if utf8 {
        ('└', '─', '┬')
    } else {
        ('+', '-', '+')
    };
    let mut line: Vec<char> = vec![dash; width];
    let mut labels: Vec<char> = vec![' '; margin + 2 + width];
    let mut free = 0;
    for (tick, label) in x.ticks((width / 9).max(2)) {
        let column = (x.fraction(tick) * (width - 1) as f64).round() as usize;
        let centre = margin + 2 + column;
        let start = centre.saturating_sub(label.len() / 2);
        let start = start.min(labels.len().saturating_sub(label.len()));
        if start < free || column >= width {
            continue;
        }
        line[column] = mark;
        for (place, c) in labels[start..].iter_mut().zip(label.chars()) {
            *place = c;
        }
        free = start + label.len() + 1;
    }
    let line: String = line.into_iter().collect();
    let labels: String = labels.into_iter().collect();
    [
        format!("{} {corner}{line}", " ".repeat(margin)),
        labels.trim_end().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(width: usize, utf8: bool) -> Terminal {
        Terminal {
            width,
            utf8,
            colour: false,
        }
    }

    #[test]
    fn a_falling_line_in_ascii() {
        let plot = Plot::new("loss")
            .labels("step", "")
            .values("", &[3.0, 2.0, 1.0, 0.0]);
        let expected = r"     loss
    |
3.0 +*
    | **
2.5 +   **
    |     **
2.0 +       ***
    |          **
1.5 +            **
1.0 +              **
    |                **
0.5 +                  **
    |                    **
0.0 +                      **
    |
    ++--------------+--------
     0              2
               step";
        assert_eq!(plot.render(&terminal(30, false)), expected);
    }

    #[test]
    fn series_are_told_apart_without_colour() {
        let plot = Plot::new("")
            .values("chosen", &[0.0, 1.0])
            .values("rejected", &[0.0, -1.0]);
        let drawn = plot.render(&terminal(40, true));
        assert!(drawn.contains("● chosen   × rejected"), "{drawn}");
        assert!(drawn.lines().all(|l| l.width() <= 40), "{drawn}");
    }

    #[test]
    fn gaps_and_emptiness_are_no_trouble() {
        let nan = f64::NAN;
        let drawn = |values: &[f64]| Plot::new("t").values("", values).render(&terminal(5, true));
        assert_eq!(drawn(&[nan]), "t\n(no finite points)");
        assert_eq!(drawn(&[]), "t\n(no finite points)");
        assert!(drawn(&[1.0, nan, 2.0]).contains('│'));
        assert!(drawn(&[1.0]).contains('┤'));
    }
}
