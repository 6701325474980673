//! Line plots as SVG. Text uses the reader's sans-serif font; nothing is looked up on this machine.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axis::Axis;
use super::plot::{Plot, Series};
use super::text::harmless;
use crate::diag::{Error, Result};

/// Okabe–Ito colours without yellow: told apart by colour-blind readers, dark enough on white.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
const INK: RGBColor = RGBColor(51, 51, 51);
const GRID: RGBColor = RGBColor(226, 226, 226);
/// plotters writes 81 % of it as the font size in pixels.
const FONT: f64 = 15.0;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The rectangle of the plot in pixels.
struct Frame {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
    x: Axis,
    y: Axis,
}

impl Plot {
    /// The plot as an SVG document of `width` × `height` pixels.
    pub fn to_svg(&self, width: u32, height: u32) -> Result<String> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
            self.draw(&area, width as i32, height as i32)
                .and_then(|()| area.present())
                .map_err(|error| Error::new(format!("can't draw the plot: {error}")))?;
        }
        Ok(svg)
    }

    fn draw(&self, area: &Area<'_>, width: i32, height: i32) -> DrawResult {
        area.fill(&WHITE)?;
        text(
            area,
            &self.title,
            (width / 2, 12),
            (HPos::Center, VPos::Top),
            FONT * 1.25,
        )?;
        let Some((x, y)) = self.axes() else {
            let middle = (width / 2, height / 2);
            return text(
                area,
                "no finite points",
                middle,
                (HPos::Center, VPos::Center),
                FONT,
            );
        };
        let y_ticks = y.ticks((height / 45).max(2) as usize);
        let longest = y_ticks.iter().map(|(_, l)| l.len()).max().unwrap_or(0);
        let below = if self.x_label.is_empty() { 34 } else { 54 };
        let label = if self.y_label.is_empty() { 0 } else { 24 };
        let frame = Frame {
            left: 20 + label + text_width(longest),
            right: width - 24,
            top: if self.has_legend() { 64 } else { 42 },
            bottom: height - below,
            x,
            y,
        };
        frame.draw(area, &y_ticks)?;
        for (index, series) in self.series.iter().enumerate() {
            frame.draw_series(area, series, COLOURS[index % COLOURS.len()])?;
        }
        if self.has_legend() {
            self.draw_legend(area, width)?;
        }
        let middle = (frame.left + frame.right) / 2;
        text(
            area,
            &self.x_label,
            (middle, height - 14),
            (HPos::Center, VPos::Bottom),
            FONT,
        )?;
        let style = text_style(FONT, (HPos::Center, VPos::Top)).transform(FontTransform::Rotate270);
        let middle = (frame.top + frame.bottom) / 2;
        area.draw_text(&harmless(&self.y_label), &style, (12, middle))
    }

    /// One line of coloured strokes and names, centred below the title.
    fn draw_legend(&self, area: &Area<'_>, width: i32) -> DrawResult {
        const STROKE: i32 = 22;
        const GAP: i32 = 18;
        let length = |series: &Series| STROKE + 6 + text_width(series.name.chars().count());
        let total: i32 = self.series.iter().map(|s| length(s) + GAP).sum();
        let mut left = ((width - total + GAP) / 2).max(8);
        for (index, series) in self.series.iter().enumerate() {
            let style = COLOURS[index % COLOURS.len()].stroke_width(3);
            area.draw(&PathElement::new(
                vec![(left, 46), (left + STROKE, 46)],
                style,
            ))?;
            let place = (left + STROKE + 6, 46);
            text(area, &series.name, place, (HPos::Left, VPos::Center), FONT)?;
            left += length(series) + GAP;
        }
        Ok(())
    }
}

type DrawResult = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

impl Frame {
    /// Grid, ticks, labels and the two axis lines.
    fn draw(&self, area: &Area<'_>, y_ticks: &[(f64, String)]) -> DrawResult {
        let line = |from, to, colour: RGBColor| {
            area.draw(&PathElement::new(vec![from, to], colour.stroke_width(1)))
        };
        for (tick, label) in y_ticks {
            let (_, y) = self.place((self.x.low, *tick));
            line((self.left, y), (self.right, y), GRID)?;
            text(
                area,
                label,
                (self.left - 8, y),
                (HPos::Right, VPos::Center),
                FONT,
            )?;
        }
        let columns = ((self.right - self.left) / 60).max(2) as usize;
        for (tick, label) in self.x.ticks(columns) {
            let (x, _) = self.place((tick, self.y.low));
            line((x, self.bottom), (x, self.bottom + 5), INK)?;
            text(
                area,
                &label,
                (x, self.bottom + 9),
                (HPos::Center, VPos::Top),
                FONT,
            )?;
        }
        line((self.left, self.bottom), (self.right, self.bottom), INK)?;
        line((self.left, self.top), (self.left, self.bottom), INK)
    }

    fn draw_series(&self, area: &Area<'_>, series: &Series, colour: RGBColor) -> DrawResult {
        for run in series.runs() {
            let points: Vec<(i32, i32)> = run.iter().map(|p| self.place(*p)).collect();
            if points.len() == 1 {
                area.draw(&Circle::new(points[0], 3, colour.filled()))?;
            }
            area.draw(&PathElement::new(points, colour.stroke_width(2)))?;
        }
        Ok(())
    }

    fn place(&self, (x, y): (f64, f64)) -> (i32, i32) {
        let across = self.x.fraction(x) * f64::from(self.right - self.left);
        let up = self.y.fraction(y) * f64::from(self.bottom - self.top);
        (
            self.left + across.round() as i32,
            self.bottom - up.round() as i32,
        )
    }
}

/// About as wide as `characters` of sans-serif text are.
fn text_width(characters: usize) -> i32 {
    (characters as f64 * FONT * 0.48).ceil() as i32
}

fn text_style(size: f64, (h, v): (HPos, VPos)) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size))
        .color(&INK)
        .pos(Pos::new(h, v))
}

fn text(
    area: &Area<'_>,
    content: &str,
    place: (i32, i32),
    anchor: (HPos, VPos),
    size: f64,
) -> DrawResult {
    area.draw_text(&harmless(content), &text_style(size, anchor), place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_every_series_is_drawn() {
        let plot = Plot::new("a < b & c")
            .labels("step", "reward")
            .values("one", &[0.0, 1.0, f64::NAN, 2.0])
            .values("two", &[2.0, 1.0]);
        let svg = plot.to_svg(640, 400).unwrap();
        assert!(svg.contains("a &lt; b &amp; c"), "{svg}");
        for colour in ["#0072B2", "#D55E00"] {
            assert!(svg.contains(colour), "{svg}");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn small_or_empty_plots_still_draw() {
        let empty = Plot::new("t").values("", &[f64::NAN]);
        assert!(empty.to_svg(300, 200).unwrap().contains("no finite points"));
        assert!(Plot::new("").values("", &[1.0]).to_svg(1, 1).is_ok());
    }
}
