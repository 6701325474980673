//! Line plots as data; [`plot_text`](super::plot_text) and [`plot_svg`](super::plot_svg) draw them.

use serde_json::{Value, json};

use super::axis::Axis;
use crate::numeric::to_json;

/// Lines through points, on shared axes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plot {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub series: Vec<Series>,
}

/// One line; a point that is not finite interrupts it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
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

    pub fn series(mut self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.series.push(Series {
            name: name.into(),
            points,
        });
        self
    }

    /// A series over 0, 1, 2, …
    pub fn values(self, name: impl Into<String>, values: &[f64]) -> Self {
        let points = values.iter().enumerate().map(|(x, y)| (x as f64, *y));
        self.series(name, points.collect())
    }

    /// `{"title", "x_label", "y_label", "series": [{"name", "points": [[x, y]]}]}`.
    pub fn to_json(&self) -> Value {
        let points = |s: &Series| -> Vec<Value> {
            let point = |(x, y): &(f64, f64)| json!([to_json(*x), to_json(*y)]);
            s.points.iter().map(point).collect()
        };
        let series = |s: &Series| json!({ "name": s.name, "points": points(s) });
        json!({
            "title": self.title,
            "x_label": self.x_label,
            "y_label": self.y_label,
            "series": self.series.iter().map(series).collect::<Vec<_>>(),
        })
    }

    /// The x and y axes; `None` when no point is finite.
    pub(super) fn axes(&self) -> Option<(Axis, Axis)> {
        let finite = || {
            let points = self.series.iter().flat_map(|s| &s.points);
            points.filter(|(x, y)| x.is_finite() && y.is_finite())
        };
        Some((
            Axis::around(finite().map(|p| p.0), 0.0)?,
            Axis::around(finite().map(|p| p.1), 0.05)?,
        ))
    }

    /// Whether a legend says more than the title does.
    pub(super) fn has_legend(&self) -> bool {
        self.series.len() > 1 || self.series.iter().any(|s| !s.name.is_empty())
    }
}

impl Series {
    /// The runs of consecutive finite points.
    pub(super) fn runs(&self) -> impl Iterator<Item = &[(f64, f64)]> {
        self.points
            .split(|(x, y)| !x.is_finite() || !y.is_finite())
            .filter(|run| !run.is_empty())
    }
}
