//! Plots as SVG: the frame with its axes, lines, dots, histograms.

use std::fmt::Write as _;

use super::super::text::cut;
use super::canvas::{Anchor, Canvas, FONT, Look, text_width};
use super::colours::{SERIES, hex};
use super::histogram::Histogram;
use super::{Axis, Drawing, Mark, Plot, Series, axes, has_legend};

/// The rectangle of the plot in pixels, and its axes.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: Axis,
    y: Axis,
}

impl Plot {
    /// The plot as an SVG document of `width` × `height` pixels on white.
    pub fn to_svg(&self, width: u32, height: u32) -> String {
        self.drawn(width, height, Look::Paper)
    }

    pub(in crate::report) fn drawn(&self, width: u32, height: u32, look: Look) -> String {
        let mut canvas = Canvas::new(width, height, look, &self.told());
        let size = (f64::from(width), f64::from(height));
        let down = canvas.title((size.0 / 2.0, 18.0), size.0 - 16.0, &self.title);
        let size = (size.0, size.1 - down);
        canvas.down(down);
        match &self.drawing {
            Drawing::Series(all) => self.draw_series(&mut canvas, size, all),
            Drawing::Histogram(histogram) => self.draw_histogram(&mut canvas, size, histogram),
            Drawing::Bars(bars) => self.draw_bars(&mut canvas, size, bars),
            Drawing::Heat(heat) => self.draw_heat(&mut canvas, size, heat),
        }
        canvas.back();
        canvas.finish()
    }

    fn draw_series(&self, canvas: &mut Canvas, size: (f64, f64), all: &[Series]) {
        let Some((x, y)) = axes(all) else {
            let middle = (size.0 / 2.0, size.1 / 2.0);
            return canvas.text(middle, Anchor::Middle, "no finite points");
        };
        let rows = if has_legend(all) {
            legend(all, size.0)
        } else {
            Vec::new()
        };
        let top = match rows.len() {
            0 => 38.0,
            rows => 42.0 + rows as f64 * LEGEND,
        };
        let frame = self.frame(canvas, size, top, (x, y, usize::MAX));
        for (at, entries) in rows.iter().enumerate() {
            draw_legend(canvas, size.0, 40.0 + at as f64 * LEGEND, entries);
        }
        for (series, colour) in all.iter().zip(SERIES.iter().cycle()) {
            frame.draw(canvas, series, &hex(*colour));
        }
    }

    fn draw_histogram(&self, canvas: &mut Canvas, size: (f64, f64), histogram: &Histogram) {
        let top = if histogram.outside > 0 { 54.0 } else { 38.0 };
        if let Some(remark) = histogram.remark() {
            canvas.text((size.0 / 2.0, 38.0), Anchor::Middle, &remark);
        }
        let axes = (histogram.x_axis(), histogram.y_axis(), histogram.ticks());
        let frame = self.frame(canvas, size, top, axes);
        let step = (frame.right - frame.left) / histogram.counts.len() as f64;
        let gap = (0.1 * step).min(1.0);
        for (at, count) in histogram.counts.iter().enumerate() {
            let (_, y) = frame.place((frame.x.low, *count as f64));
            let corner = (frame.left + at as f64 * step + gap / 2.0, y);
            canvas.rect(corner, (step - gap, frame.bottom - y), &hex(SERIES[0]));
        }
    }

    /// Grid, at most so many ticks of y, labels and the two axis lines; gives the place that is left.
    fn frame(
        &self,
        canvas: &mut Canvas,
        size: (f64, f64),
        top: f64,
        (x, y, ticks): (Axis, Axis, usize),
    ) -> Frame {
        let y_ticks = y.ticks(ticks.min((size.1 / 45.0).max(2.0) as usize));
        let labels = y_ticks.iter().map(|(_, label)| text_width(label));
        let label = if self.y_label.is_empty() { 0.0 } else { 22.0 };
        let below = if self.x_label.is_empty() { 30.0 } else { 50.0 };
        let frame = Frame {
            left: 16.0 + label + labels.fold(0.0, f64::max),
            right: size.0 - 20.0,
            top,
            bottom: size.1 - below,
            x,
            y,
        };
        for (tick, label) in &y_ticks {
            let (_, y) = frame.place((frame.x.low, *tick));
            canvas.grid((frame.left, y), (frame.right, y));
            canvas.text((frame.left - 6.0, y), Anchor::End, label);
        }
        let columns = ((frame.right - frame.left) / 60.0).max(2.0) as usize;
        for (tick, label) in frame.x.ticks(columns) {
            let (x, _) = frame.place((tick, frame.y.low));
            canvas.line((x, frame.bottom), (x, frame.bottom + 4.0));
            canvas.text((x, frame.bottom + 14.0), Anchor::Middle, &label);
        }
        canvas.line((frame.left, frame.bottom), (frame.right, frame.bottom));
        canvas.line((frame.left, frame.top), (frame.left, frame.bottom));
        let middle = ((frame.left + frame.right) / 2.0, size.1 - 14.0);
        canvas.text(middle, Anchor::Middle, &self.x_label);
        let middle = (14.0, (frame.top + frame.bottom) / 2.0);
        canvas.upwards(middle, Anchor::Middle, &self.y_label);
        frame
    }
}

/// The most letters of a name in the legend.
const NAME: usize = 40;
/// A legend's mark, the gap between its entries, the distance of its lines.
const MARK: f64 = 18.0;
const GAP: f64 = 16.0;
const LEGEND: f64 = 18.0;

/// A name in the legend, its colour, and its width with the mark.
struct Entry {
    name: String,
    colour: [u8; 3],
    width: f64,
}

/// Coloured marks and names, in lines of that width.
fn legend(all: &[Series], width: f64) -> Vec<Vec<Entry>> {
    let mut rows: Vec<Vec<Entry>> = Vec::new();
    let mut used = f64::INFINITY;
    for (series, colour) in all.iter().zip(SERIES.iter().cycle()) {
        let name = cut(&series.name, NAME, "…");
        let entry = Entry {
            width: MARK + 6.0 + text_width(&name),
            colour: *colour,
            name,
        };
        if used + GAP + entry.width > width - 16.0 {
            rows.push(Vec::new());
            used = -GAP;
        }
        used += GAP + entry.width;
        if let Some(row) = rows.last_mut() {
            row.push(entry);
        }
    }
    rows
}

fn draw_legend(canvas: &mut Canvas, width: f64, middle: f64, entries: &[Entry]) {
    let total: f64 = entries.iter().map(|entry| entry.width + GAP).sum();
    let mut left = ((width - total + GAP) / 2.0).max(8.0);
    for entry in entries {
        canvas.rect((left, middle - 1.5), (MARK, 3.0), &hex(entry.colour));
        canvas.text((left + MARK + 6.0, middle), Anchor::Start, &entry.name);
        left += entry.width + GAP;
    }
}

impl Frame {
    fn draw(&self, canvas: &mut Canvas, series: &Series, colour: &str) {
        for run in series.runs() {
            match series.mark {
                Mark::Line if run.len() > 1 => self.draw_line(canvas, run, colour),
                _ => self.draw_dots(canvas, run, colour),
            }
        }
    }

    fn draw_line(&self, canvas: &mut Canvas, run: &[(f64, f64)], colour: &str) {
        let mut path = String::new();
        for (at, point) in run.iter().enumerate() {
            let (x, y) = self.place(*point);
            let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
        }
        canvas.add(&format!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" \
             stroke-linejoin=\"round\"/>"
        ));
    }

    /// One path of round dots, small and see-through where there are many.
    fn draw_dots(&self, canvas: &mut Canvas, run: &[(f64, f64)], colour: &str) {
        let many = run.len() > 500;
        let (size, opacity) = if many { (3.0, 0.5) } else { (FONT / 2.0, 0.8) };
        let mut path = String::new();
        for point in run {
            let (x, y) = self.place(*point);
            let _ = write!(path, "M{x:.1} {y:.1}h0");
        }
        canvas.add(&format!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-opacity=\"{opacity}\" \
             stroke-width=\"{size}\" stroke-linecap=\"round\"/>"
        ));
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            self.left + self.x.fraction(x) * (self.right - self.left),
            self.bottom - self.y.fraction(y) * (self.bottom - self.top),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_every_series_is_drawn() {
        let plot = Plot::new("a < b & c")
            .labels("step", "reward")
            .values("one", &[0.0, 1.0, f64::NAN, 2.0])
            .dots("two", vec![(0.0, 2.0), (1.0, 1.0)]);
        let svg = plot.to_svg(640, 400);
        assert!(svg.contains("a &lt; b &amp; c"), "{svg}");
        for (word, count) in [("stroke=\"#2486c9\"", 2), ("h0M", 1), ("#ffffff", 1)] {
            assert_eq!(svg.matches(word).count(), count, "{word} in {svg}");
        }
        assert!(svg.ends_with("</svg>\n"));
        let page = plot.drawn(640, 400, Look::Page);
        assert!(!page.contains("#ffffff") && page.contains("currentColor"));
    }

    #[test]
    fn long_titles_and_legends_take_more_lines() {
        let names = [
            "one of some length",
            "another of some length",
            "a third of some length",
        ];
        let plot = |title: &str| {
            let plot = Plot::new(title);
            names
                .iter()
                .fold(plot, |plot, name| plot.values(*name, &[0.0, 1.0]))
        };
        let heights = |plot: Plot, word: &str| -> Vec<f64> {
            let svg = plot.to_svg(400, 300);
            let lines = svg
                .lines()
                .filter(|l| l.starts_with("<text") && l.contains(word));
            let y = |line: &str| line.split("y=\"").nth(1)?.split('"').next()?.parse().ok();
            lines.filter_map(y).collect()
        };
        assert_eq!(heights(plot("t"), "some length"), [44.2, 44.2, 62.2]);
        let title = "word ".repeat(15);
        assert_eq!(heights(plot(&title), "word word"), [23.2, 42.2]);
        let title = "word ".repeat(90);
        assert_eq!(heights(plot(&title), "word word").len(), 3);
        assert!(plot(&title).to_svg(400, 300).contains("…"));
    }

    #[test]
    fn small_or_empty_plots_still_draw() {
        let empty = Plot::new("t").values("", &[f64::NAN]);
        assert!(empty.to_svg(300, 200).contains("no finite points"));
        let plots = [
            Plot::new("").values("", &[1.0]),
            Plot::new("").drawing(Drawing::Bars(Vec::new())),
        ];
        for plot in plots {
            let svg = plot.to_svg(1, 1);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn the_bars_of_a_histogram_stand_on_its_axis() {
        let histogram = Histogram::new(&[0.0, 0.0, 1.0, f64::NAN], Some(2), None).unwrap();
        let svg = Plot::new("")
            .drawing(Drawing::Histogram(histogram))
            .to_svg(300, 200);
        let bars: Vec<&str> = svg.lines().filter(|l| l.contains("#2486c9")).collect();
        assert_eq!(bars.len(), 2, "{svg}");
        assert!(svg.contains("1 value is not shown"));
    }
}
