//! Plots as data; the files beside draw them with characters, as SVG and as PNG.

mod axis;
mod bars;
mod canvas;
mod colours;
mod fonts;
mod heat;
mod heat_svg;
mod heat_text;
mod histogram;
mod png;
mod svg;
mod text;
mod words;

use serde_json::{Value, json};

pub(in crate::report) use axis::Axis;
pub(in crate::report) use canvas::Look;
pub use heat::Heat;
pub use histogram::Histogram;
pub(in crate::report) use png::png;

use super::Terminal;
use crate::numeric::to_json;

/// A drawing with a title and labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plot {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub drawing: Drawing,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub enum Drawing {
    /// Lines and dots on shared axes.
    Series(Vec<Series>),
    Histogram(Histogram),
    /// A value for each name, from 0.
    Bars(Vec<(String, f64)>),
    Heat(Heat),
}

impl Default for Drawing {
    fn default() -> Self {
        Self::Series(Vec::new())
    }
}

/// A line through points, or the points alone; one that is not finite interrupts a line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    pub mark: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    #[default]
    Line,
    Dots,
}

impl Plot {
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    pub fn labels(mut self, x: impl Into<String>, y: impl Into<String>) -> Self {
        self.x_label = x.into();
        self.y_label = y.into();
        self
    }

    /// The same title and labels over another drawing.
    pub fn drawing(mut self, drawing: Drawing) -> Self {
        self.drawing = drawing;
        self
    }

    /// With one more line.
    pub fn series(self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.with(Mark::Line, name.into(), points)
    }

    /// With more points.
    pub fn dots(self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.with(Mark::Dots, name.into(), points)
    }

    /// With one more line, over 0, 1, 2, …
    pub fn values(self, name: impl Into<String>, values: &[f64]) -> Self {
        let points = values.iter().enumerate().map(|(x, y)| (x as f64, *y));
        self.series(name, points.collect())
    }

    fn with(mut self, mark: Mark, name: String, points: Vec<(f64, f64)>) -> Self {
        let series = Series { name, points, mark };
        match &mut self.drawing {
            Drawing::Series(all) => all.push(series),
            _ => self.drawing = Drawing::Series(vec![series]),
        }
        self
    }

    /// As a picture where the terminal takes one, else in characters.
    pub fn render(&self, terminal: &Terminal) -> String {
        match terminal.images.show(self, terminal) {
            Ok(Some(picture)) => picture,
            Ok(None) => self.in_text(terminal),
            Err(error) => format!("{}\n({error})", self.in_text(terminal)),
        }
    }

    /// `{"title", "x_label", "y_label", "series" | "histogram" | "bars" | "heat": …}`.
    pub fn to_json(&self) -> Value {
        let (kind, drawing) = match &self.drawing {
            Drawing::Series(all) => ("series", all.iter().map(Series::to_json).collect()),
            Drawing::Histogram(histogram) => ("histogram", histogram.to_json()),
            Drawing::Bars(bars) => {
                let bar = |(name, value): &(String, f64)| json!([name, to_json(*value)]);
                ("bars", bars.iter().map(bar).collect())
            }
            Drawing::Heat(heat) => ("heat", heat.to_json()),
        };
        json!({
            "title": self.title,
            "x_label": self.x_label,
            "y_label": self.y_label,
            kind: drawing,
        })
    }
}

/// The x and y axes of points; `None` when none is finite.
fn axes(series: &[Series]) -> Option<(Axis, Axis)> {
    let finite = || {
        let points = series.iter().flat_map(|s| &s.points);
        points.filter(|(x, y)| x.is_finite() && y.is_finite())
    };
    let around = if series.iter().any(|s| s.mark == Mark::Dots) {
        0.03
    } else {
        0.0
    };
    Some((
        Axis::around(finite().map(|p| p.0), around)?,
        Axis::around(finite().map(|p| p.1), 0.05)?,
    ))
}

/// Whether a legend says more than the title does.
fn has_legend(series: &[Series]) -> bool {
    series.len() > 1 || series.iter().any(|s| !s.name.is_empty())
}

impl Series {
    /// The runs of consecutive finite points.
    fn runs(&self) -> impl Iterator<Item = &[(f64, f64)]> {
        self.points
            .split(|(x, y)| !x.is_finite() || !y.is_finite())
            .filter(|run| !run.is_empty())
    }

    fn to_json(&self) -> Value {
        let point = |(x, y): &(f64, f64)| json!([to_json(*x), to_json(*y)]);
        json!({
            "name": self.name,
            "mark": match self.mark {
                Mark::Line => "line",
                Mark::Dots => "dots",
            },
            "points": self.points.iter().map(point).collect::<Vec<_>>(),
        })
    }
}
