//! Whole evaluations: what cells show, what lives on between them, how they fail.

use std::sync::Arc;

use super::*;
use crate::host::{Event, Recorder};
use crate::report::Terminal;

mod cells;
mod check;
mod completion;
mod errors;
mod magics;
mod speed;
mod state;
mod table;
mod warnings;

pub(super) struct Bench {
    pub(super) session: Session,
    recorder: Arc<Recorder>,
    /// Where relative paths start; goes away with the bench.
    folder: tempfile::TempDir,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_args(&[])
    }

    fn with_args(args: &[&str]) -> Self {
        Self::with(|setup| setup.args = args.iter().map(ToString::to_string).collect())
    }

    /// With something else in its setup.
    fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let recorder = Arc::new(Recorder::default());
        let folder = tempfile::tempdir().unwrap();
        let mut setup = Setup {
            sink: recorder.clone(),
            ..Setup::still(folder.path().into())
        };
        change(&mut setup);
        Self {
            session: Session::new(setup),
            recorder,
            folder,
        }
    }

    /// What a cell prints and shows, or its error.
    fn shows(&mut self, code: &str) -> String {
        let outcome = self.session.eval(code);
        self.told(outcome)
    }

    /// What an input prints and shows, a magic too.
    fn submits(&mut self, input: &str) -> String {
        let reply = self.session.submit(input);
        self.told(reply.outcome)
    }

    fn told(&mut self, outcome: Outcome) -> String {
        let mut lines: Vec<String> = self.recorder.take().iter().filter_map(printed).collect();
        lines.extend(
            self.session
                .show(&outcome.value, 80)
                .map(|display| display.render(&Terminal::default())),
        );
        lines.extend(outcome.problem.map(|problem| problem.render(false)));
        lines.join("\n")
    }

    fn check(&mut self, code: &str, expected: &str) {
        assert_eq!(self.shows(code), expected, "{code}");
    }
}

fn printed(event: &Event) -> Option<String> {
    match event {
        Event::Show(rich) => Some(rich.render(&Terminal::default())),
        Event::Write(text) | Event::Note(text) => Some(text.clone()),
        Event::Progress(_) | Event::Clear => None,
    }
}
