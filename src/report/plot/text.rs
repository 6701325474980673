//! Plots drawn with characters: lines and points of braille dots, or one sign per series where series must
//! be told apart without colour; histograms of blocks.

use unicode_width::UnicodeWidthStr;

use super::super::Terminal;
use super::super::text::harmless;
use super::histogram::Histogram;
use super::{Axis, Drawing, Mark, Plot, Series, axes, has_legend};

/// Rows of the drawing area.
const ROWS: usize = 14;
const UTF8_SIGNS: [char; 6] = ['●', '×', '▲', '□', '◆', '+'];
const ASCII_SIGNS: [char; 6] = ['*', 'x', 'o', '+', '#', '@'];
/// ANSI foreground colours: blue, red, green, magenta, yellow, cyan.
const COLOURS: [u8; 6] = [34, 31, 32, 35, 33, 36];

impl Plot {
    /// The plot in characters, `terminal.width` wide.
    pub(in crate::report) fn in_text(&self, terminal: &Terminal) -> String {
        let lines = match &self.drawing {
            Drawing::Series(all) => self.series_lines(all, terminal),
            Drawing::Histogram(histogram) => self.histogram_lines(histogram, terminal),
            Drawing::Bars(bars) => self.under_title(self.bar_lines(bars, terminal)),
            Drawing::Heat(heat) => self.under_title(self.heat_lines(heat, terminal)),
        };
        lines.join("\n")
    }

    /// The lines below the title, with the labels of both axes around them.
    fn under_title(&self, lines: Vec<String>) -> Vec<String> {
        let one = |text: &str| Some(harmless(text)).filter(|text| !text.is_empty());
        let head = [one(&self.title), one(&self.y_label)];
        let head = head.into_iter().flatten();
        head.chain(lines).chain(one(&self.x_label)).collect()
    }

    fn series_lines(&self, all: &[Series], terminal: &Terminal) -> Vec<String> {
        let Some((x, y)) = axes(all) else {
            return vec![harmless(&self.title), "(no finite points)".to_owned()];
        };
        let paper = Paper::new(x, y, ROWS, terminal);
        let mut grid = Grid::new(paper.width, ink(all, terminal));
        for (index, series) in all.iter().enumerate() {
            grid.draw(series, index, &paper.x, &paper.y);
        }
        let mut legend = Vec::new();
        if has_legend(all) {
            let entry = |(index, series): (usize, &Series)| {
                let sign = paint(&grid.ink.sign(index).to_string(), index, terminal.colour);
                format!("{sign} {}", harmless(&series.name))
            };
            legend.extend(all.iter().enumerate().map(entry));
        }
        self.framed(&paper, legend.join("   "), grid.rows(terminal.colour))
    }

    fn histogram_lines(&self, histogram: &Histogram, terminal: &Terminal) -> Vec<String> {
        let paper = Paper::new(
            histogram.x_axis(),
            histogram.y_axis(),
            histogram.ticks(),
            terminal,
        );
        let count = |column: usize| {
            let bins = histogram.counts.len();
            // Where there are more bins than columns, a column shows the highest of its own.
            let first = column * bins / paper.width;
            let last = ((column + 1) * bins / paper.width).max(first + 1);
            histogram.counts[first..last]
                .iter()
                .copied()
                .max()
                .unwrap_or(0)
        };
        let heights: Vec<f64> = (0..paper.width)
            .map(|column| paper.y.fraction(count(column) as f64) * ROWS as f64)
            .collect();
        let rows = (0..ROWS).map(|row| {
            let below = (ROWS - 1 - row) as f64;
            let block =
                |height: &f64| block(height - below, *height > 0.0 && below == 0.0, terminal);
            let text: String = heights.iter().map(block).collect();
            paint(text.trim_end(), 0, terminal.colour)
        });
        let remark = histogram.remark().unwrap_or_default();
        self.framed(&paper, remark, rows.collect())
    }

    /// Title, a line below it, the rows between the axes, labels.
    fn framed(&self, paper: &Paper, below: String, rows: Vec<String>) -> Vec<String> {
        let indent = " ".repeat(paper.margin + 2);
        let mut lines = Vec::new();
        let heads = [harmless(&self.title), below];
        let heads = heads.into_iter().filter(|head| !head.is_empty());
        lines.extend(heads.map(|head| format!("{indent}{head}")));
        if !self.y_label.is_empty() {
            lines.push(harmless(&self.y_label));
        }
        lines.extend(paper.rows(rows));
        lines.extend(paper.x_axis());
        if !self.x_label.is_empty() {
            let label = harmless(&self.x_label);
            let before = paper.margin + 2 + paper.width.saturating_sub(label.width()) / 2;
            lines.push(format!("{}{label}", " ".repeat(before)));
        }
        lines
    }
}

/// A block as high as `height` (in rows) says; at least a trace of it where there is something.
fn block(height: f64, something: bool, terminal: &Terminal) -> char {
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if !terminal.utf8 {
        return if height >= 0.5 || something { '#' } else { ' ' };
    }
    let eighths = (height.clamp(0.0, 1.0) * 8.0).round() as usize;
    EIGHTHS[eighths.max(usize::from(something))]
}

fn ink(all: &[Series], terminal: &Terminal) -> Ink {
    if !terminal.utf8 {
        Ink::Signs(ASCII_SIGNS)
    } else if (all.len() > 1 && !terminal.colour) || few_dots(all) {
        Ink::Signs(UTF8_SIGNS)
    } else {
        Ink::Braille
    }
}

/// Whether there are so few dots that braille would hardly be seen.
fn few_dots(all: &[Series]) -> bool {
    const FEW: usize = 100;
    let dots = all.iter().all(|series| series.mark == Mark::Dots);
    dots && all.iter().map(|series| series.points.len()).sum::<usize>() < FEW
}

/// The room for a drawing, its axes and what stands left of them.
struct Paper {
    x: Axis,
    y: Axis,
    y_ticks: Vec<(f64, String)>,
    /// Columns of the labels on the left.
    margin: usize,
    width: usize,
    utf8: bool,
}

impl Paper {
    fn new(x: Axis, y: Axis, ticks: usize, terminal: &Terminal) -> Self {
        let y_ticks = y.ticks(ticks.min(ROWS / 2));
        let margin = y_ticks.iter().map(|(_, l)| l.len()).max().unwrap_or(0);
        Self {
            x,
            y,
            y_ticks,
            margin,
            width: terminal.width.saturating_sub(margin + 3).max(10),
            utf8: terminal.utf8,
        }
    }

    /// Each row behind its label.
    fn rows(&self, rows: Vec<String>) -> Vec<String> {
        let last = (ROWS - 1) as f64;
        let row_of = |tick: f64| ((1.0 - self.y.fraction(tick)) * last).round() as usize;
        let (tick_mark, plain_mark) = if self.utf8 {
            ('┤', '│')
        } else {
            ('+', '|')
        };
        let line = |(row, drawn): (usize, String)| {
            let label = self.y_ticks.iter().find(|(tick, _)| row_of(*tick) == row);
            let mark = if label.is_some() {
                tick_mark
            } else {
                plain_mark
            };
            let label = label.map_or("", |(_, label)| label);
            let margin = self.margin;
            format!("{label:>margin$} {mark}{drawn}")
        };
        rows.into_iter().enumerate().map(line).collect()
    }

    /// The axis line with its marks, and the labels centred below them.
    fn x_axis(&self) -> [String; 2] {
        let (width, margin) = (self.width, self.margin);
        let (corner, dash, mark) = if self.utf8 {
            ('└', '─', '┬')
        } else {
            ('+', '-', '+')
        };
        let mut line: Vec<char> = vec![dash; width];
        let mut labels: Vec<char> = vec![' '; margin + 2 + width];
        let mut free = 0;
        for (tick, label) in self.x.ticks((width / 9).max(2)) {
            let column = (self.x.fraction(tick) * (width - 1) as f64).round() as usize;
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
                match series.mark {
                    Mark::Line => self.line(from, to, index),
                    Mark::Dots => self.dot(to.0, to.1, index),
                }
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

    fn rows(&self, colour: bool) -> Vec<String> {
        let rows = self.cells.chunks(self.width);
        rows.map(|cells| self.row(cells, colour)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(width: usize, utf8: bool) -> Terminal {
        Terminal {
            width,
            utf8,
            ..Terminal::default()
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
    fn dots_are_not_joined() {
        let plot = Plot::new("").dots("", vec![(0.0, 0.0), (1.0, 1.0)]);
        let drawn = plot.render(&terminal(30, false));
        assert_eq!(drawn.matches('*').count(), 2, "{drawn}");
    }

    #[test]
    fn a_histogram_has_as_much_ink_as_values() {
        let values = [0.0, 1.0, 1.0, f64::NAN];
        let histogram = Histogram::new(&values, Some(2), None).unwrap();
        let plot = Plot::new("t").drawing(Drawing::Histogram(histogram));
        let drawn = plot.render(&terminal(16, false));
        let row = |row: usize| drawn.lines().nth(row).unwrap();
        assert_eq!(row(1).trim(), "1 value is not shown");
        // The upper half of the rows holds the second bar alone.
        assert_eq!(row(4), "  |      ######", "{drawn}");
        assert_eq!(row(14), "  |############", "{drawn}");
        let drawn = plot.render(&terminal(16, true));
        assert!(drawn.contains("│██████"), "{drawn}");
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
