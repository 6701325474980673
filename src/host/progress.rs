//! Long work as it goes on: counts, times, the figures that are watched and how they went.

use std::sync::Arc;
use std::time::Duration;

use super::context::Clock;
use super::sink::{Event, Sink};
use crate::report::{escape, format_number, polyline};

/// A step of long work.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Update {
    /// The same for every update of one piece of work.
    pub id: u64,
    pub label: String,
    pub done: u64,
    /// 0 if unknown.
    pub total: u64,
    /// Since the work began.
    pub elapsed: Duration,
    /// What is to be said besides the figures.
    pub message: String,
    /// The latest figures, the most important first.
    pub figures: Vec<Figure>,
    /// What is being written, for those who can see it grow.
    pub text: String,
    pub finished: bool,
    /// Work that comes again and again: once it is done, nothing of it need stay.
    pub passing: bool,
}

/// A number that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    /// How it went, the latest last: means of equal stretches of the work; empty for a rate.
    pub history: Vec<f64>,
}

impl Update {
    /// How long the rest takes at the pace so far; none before the first step, and where no end is known.
    pub fn left(&self) -> Option<Duration> {
        let rest = self.total.checked_sub(self.done).filter(|_| self.done > 0);
        let pace = self.elapsed.as_secs_f64() / self.done as f64;
        Duration::try_from_secs_f64(pace * rest? as f64).ok()
    }

    /// "3/5", or what is done where no end is known.
    pub fn count(&self) -> String {
        match self.total {
            0 => self.done.to_string(),
            total => format!("{}/{total}", self.done),
        }
    }

    /// All of it but the text in one line without control characters.
    pub fn line(&self) -> String {
        let mut parts = vec![format!("{} {}", self.label, self.count())];
        if !self.elapsed.is_zero() {
            parts.push(format!("in {}", clock(self.elapsed)));
        }
        let figures = self.figures.iter();
        parts.extend(figures.map(|figure| format!(" {}", figure.text())));
        if !self.message.is_empty() {
            parts.push(self.message.clone());
        }
        parts.join(" ")
    }

    /// A bar with times, and below it each figure with its curve.
    pub fn html(&self) -> String {
        let bar = match self.total {
            0 => String::new(),
            total => format!(
                "<progress value=\"{}\" max=\"{total}\"></progress> ",
                self.done
            ),
        };
        let left = self.left().filter(|_| !self.finished);
        let left = left.map_or(String::new(), |left| format!(", {} left", clock(left)));
        let mut html = format!(
            "<div>{} {bar}{} in {}{left} {}</div>",
            escape(&self.label),
            self.count(),
            clock(self.elapsed),
            escape(&self.message)
        );
        if !self.figures.is_empty() {
            let rows: String = self.figures.iter().map(Figure::row).collect();
            html.push_str(&format!("\n<table>\n{rows}</table>"));
        }
        if !self.text.is_empty() && !self.finished {
            let text = escape(&self.text);
            html.push_str(&format!(
                "\n<pre style=\"white-space:pre-wrap\">\n{text}</pre>"
            ));
        }
        html
    }
}

impl Figure {
    /// "loss 0.532", "3.1 steps/s".
    pub fn text(&self) -> String {
        let value = format_number(self.value, 4);
        match self.name.ends_with("/s") {
            true => format!("{value} {}", self.name),
            false => format!("{} {value}", self.name),
        }
    }

    fn row(&self) -> String {
        format!(
            "<tr><td style=\"text-align:left\">{}</td><td style=\"text-align:right\">{}</td><td>{}</td></tr>\n",
            escape(&self.name),
            format_number(self.value, 4),
            polyline(&self.history, 160, 24)
        )
    }
}

/// "0:07", "12:34", "1:02:03".
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// A progress display; dropping it ends it.
pub struct Progress {
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    began: Duration,
    update: Update,
    courses: Vec<(String, Course)>,
}

impl Progress {
    pub(super) fn new(sink: Arc<dyn Sink>, clock: Arc<dyn Clock>, update: Update) -> Self {
        sink.show(Event::Progress(update.clone()));
        Self {
            sink,
            began: clock.elapsed(),
            clock,
            update,
            courses: Vec::new(),
        }
    }

    /// `done` steps are done; `message` has the latest figures.
    pub fn set(&mut self, done: u64, message: impl Into<String>) {
        self.update.done = done;
        self.update.message = message.into();
        self.send();
    }

    /// `done` steps are done, and the text has grown to this.
    pub fn write(&mut self, done: u64, text: &str) {
        self.update.text = text.to_owned();
        self.set(done, "");
    }

    /// `done` steps are done: what was measured in the last one, and what has come together so far, of which
    /// the amount in a second is told.
    pub fn measure(&mut self, done: u64, measured: &[(&str, f64)], amounts: &[(&str, f64)]) {
        self.update.done = done;
        for (name, value) in measured {
            self.course(name).push(*value);
        }
        let curves = measured.iter().map(|(name, value)| Figure {
            name: (*name).to_owned(),
            value: *value,
            history: self.history(name),
        });
        let seconds = self
            .clock
            .elapsed()
            .saturating_sub(self.began)
            .as_secs_f64();
        let steps = ("steps", done as f64);
        let rates = amounts.iter().chain([&steps]).filter(|_| seconds > 0.0);
        let rates = rates.map(|(name, amount)| Figure {
            name: format!("{name}/s"),
            value: amount / seconds,
            history: Vec::new(),
        });
        self.update.figures = curves.chain(rates).collect();
        self.send();
    }

    fn course(&mut self, name: &str) -> &mut Course {
        let known = self.courses.iter().position(|(known, _)| known == name);
        let at = known.unwrap_or_else(|| {
            self.courses.push((name.to_owned(), Course::default()));
            self.courses.len() - 1
        });
        &mut self.courses[at].1
    }

    fn history(&self, name: &str) -> Vec<f64> {
        let course = self.courses.iter().find(|(known, _)| known == name);
        course.map_or_else(Vec::new, |(_, course)| course.values())
    }

    fn send(&mut self) {
        self.update.elapsed = self.clock.elapsed().saturating_sub(self.began);
        self.sink.show(Event::Progress(self.update.clone()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.update.finished = true;
        self.send();
    }
}

/// The most values that a course has.
const POINTS: usize = 128;

/// A long run of values as few: means of stretches of equal length, which doubles when there are too many.
struct Course {
    means: Vec<f64>,
    stretch: usize,
    /// Values that do not make up a stretch yet.
    rest: Vec<f64>,
}

impl Default for Course {
    fn default() -> Self {
        Self {
            means: Vec::new(),
            stretch: 1,
            rest: Vec::new(),
        }
    }
}

impl Course {
    fn push(&mut self, value: f64) {
        self.rest.push(value);
        if self.rest.len() == self.stretch {
            self.means.push(mean(&self.rest));
            self.rest.clear();
        }
        if self.means.len() == POINTS {
            self.means = self.means.chunks(2).map(mean).collect();
            self.stretch *= 2;
        }
    }

    fn values(&self) -> Vec<f64> {
        let last = Some(mean(&self.rest)).filter(|_| !self.rest.is_empty());
        self.means.iter().copied().chain(last).collect()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_course_stays_short_and_true() {
        let mut course = Course::default();
        for value in 0..1000 {
            course.push(f64::from(value));
        }
        let values = course.values();
        assert!((POINTS / 2..=POINTS).contains(&values.len()));
        assert_eq!(values[..2], [3.5, 11.5]);
        assert!(values.is_sorted());
        assert_eq!(*values.last().unwrap(), 995.5);
    }

    fn update() -> Update {
        Update {
            label: "train <a>".into(),
            done: 25,
            total: 100,
            elapsed: Duration::from_secs(61),
            figures: vec![
                Figure {
                    name: "loss".into(),
                    value: 0.53219,
                    history: vec![3.0, 2.0, 1.0],
                },
                Figure {
                    name: "steps/s".into(),
                    value: 25.0 / 61.0,
                    history: Vec::new(),
                },
            ],
            ..Update::default()
        }
    }

    #[test]
    fn the_rest_takes_as_long_as_the_pace_says() {
        assert_eq!(update().left(), Some(Duration::from_secs(183)));
        assert_eq!(Update::default().left(), None);
        let check = |seconds, expected: &str| {
            assert_eq!(clock(Duration::from_secs(seconds)), expected);
        };
        check(7, "0:07");
        check(754, "12:34");
        check(3723, "1:02:03");
    }

    #[test]
    fn one_line_or_a_panel() {
        assert_eq!(
            update().line(),
            "train <a> 25/100 in 1:01  loss 0.5322  0.4098 steps/s"
        );
        let html = update().html();
        for part in [
            "train &lt;a&gt; <progress value=\"25\" max=\"100\"></progress> 25/100 in 1:01, 3:03 left",
            ">loss</td><td style=\"text-align:right\">0.5322</td><td><svg",
            ">0.4098</td><td></td>",
        ] {
            assert!(html.contains(part), "{html}");
        }
    }
}
