//! What a plot shows, in a sentence, for those who can't see it.

use super::super::number::format_number;
use super::super::text::harmless;
use super::{Drawing, Mark, Plot, Series, axes};

/// Names that are told one by one.
const NAMES: usize = 12;

impl Plot {
    /// `Line plot "reward by step": eval (20 points), train (200 points); step from 0 to 199, reward from 0.1 to 0.9.`
    pub(in crate::report) fn told(&self) -> String {
        let (kind, what) = match &self.drawing {
            Drawing::Series(all) => (kind(all), self.series_told(all)),
            Drawing::Histogram(histogram) => {
                let values: usize = histogram.counts.iter().sum();
                let bins = counted(histogram.counts.len(), "interval");
                let what = format!("{} in {bins}", counted(values, "value"));
                let range = range(("", "value"), (histogram.low, histogram.high));
                ("Histogram", format!("{what}; {range}"))
            }
            Drawing::Bars(bars) => {
                let bar = |(name, value): &(String, f64)| format!("{name} {}", short(*value));
                ("Bar chart", listed(bars.iter().map(bar).collect()))
            }
            Drawing::Heat(heat) => {
                let (rows, columns) = (heat.values().len(), heat.width());
                let size = format!("{} by {}", counted(rows, "row"), counted(columns, "column"));
                let colours = range(("", "colours"), heat.range());
                ("Heat map", format!("{size}; {colours}"))
            }
        };
        let title = match self.title.as_str() {
            "" => String::new(),
            title => format!(" \"{title}\""),
        };
        harmless(&format!("{kind}{title}: {what}.")).replace('\n', " ")
    }

    fn series_told(&self, all: &[Series]) -> String {
        let one = |series: &Series| {
            let points = counted(series.points.len(), "point");
            match series.name.as_str() {
                "" => points,
                name => format!("{name} ({points})"),
            }
        };
        let series = listed(all.iter().map(one).collect());
        match axes(all) {
            None => format!("{series}, none of them finite"),
            Some(_) => {
                let [x, y] = [finite(all, |p| p.0), finite(all, |p| p.1)];
                let (x, y) = (
                    range((&self.x_label, "x"), x),
                    range((&self.y_label, "y"), y),
                );
                format!("{series}; {x}, {y}")
            }
        }
    }
}

fn kind(all: &[Series]) -> &'static str {
    match all.iter().all(|series| series.mark == Mark::Dots) {
        true if !all.is_empty() => "Scatter plot",
        _ => "Line plot",
    }
}

/// The least and the largest coordinate of the points that are drawn.
fn finite(all: &[Series], side: fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let points = all.iter().flat_map(|series| &series.points);
    let points = points.filter(|(x, y)| x.is_finite() && y.is_finite());
    points
        .map(side)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
}

fn range((label, otherwise): (&str, &str), (low, high): (f64, f64)) -> String {
    let name = if label.is_empty() { otherwise } else { label };
    format!("{name} from {} to {}", short(low), short(high))
}

fn short(value: f64) -> String {
    format_number(value, 4)
}

fn counted(count: usize, name: &str) -> String {
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

fn listed(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::{Heat, Histogram};
    use super::*;

    #[test]
    fn plots_are_told() {
        let check = |plot: Plot, expected: &str| assert_eq!(plot.told(), expected);
        let lines = Plot::new("by \"step\"")
            .labels("step", "")
            .values("a", &[1.0, f64::NAN, 3.5])
            .dots("b", vec![(7.0, 0.0)]);
        check(
            lines,
            "Line plot \"by \"step\"\": a (3 points), b (1 point); step from 0 to 7, y from 0 to 3.5.",
        );
        check(
            Plot::new("").dots("", vec![(1.0, f64::NAN)]),
            "Scatter plot: 1 point, none of them finite.",
        );
        let bars = (0..14)
            .map(|at| (format!("n{at}"), f64::from(at)))
            .collect();
        let bars = Plot::new("t\nu").drawing(Drawing::Bars(bars));
        assert!(bars.told().starts_with("Bar chart \"t u\": n0 0, n1 1,"));
        assert!(bars.told().ends_with("n11 11, 2 more."), "{}", bars.told());
        let values = Histogram::new(&[0.0, 1.0, 1.0], Some(2), None).unwrap();
        check(
            Plot::new("").drawing(Drawing::Histogram(values)),
            "Histogram: 3 values in 2 intervals; value from 0 to 1.",
        );
        let heat = Heat::new(vec![vec![-1.0, 2.0]]).unwrap();
        check(
            Plot::new("h").drawing(Drawing::Heat(heat)),
            "Heat map \"h\": 1 row by 2 columns; colours from -1 to 2.",
        );
    }
}
