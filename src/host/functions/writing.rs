//! A model writes while the user looks on: live text, output as it comes, Ctrl-C that keeps what came.

use rhai::Dynamic;

use crate::diag::{Error, Result};
use crate::generate::{Generation, NextLogits, Rollout, Sampling, Way};
use crate::host::{Call, Callback, Event, Host, IntoScript, Key, Kind, Progress};

/// What happens with text as it comes.
pub(super) const WRITING: &[Key] = &[
    Key::bool(
        "stream",
        false,
        "Writes the text to the output as it comes; of several prompts, one after the other.",
    ),
    Key::optional(
        "on_text",
        Kind::Function,
        "Called with each piece of text as it comes, and the number of its prompt.",
    ),
];

/// What was written.
pub(super) struct Written {
    pub rollouts: Vec<Rollout>,
    /// What decoding kept of the past.
    pub way: Way,
    /// Why it ended early.
    stopped: Option<Error>,
}

impl Written {
    /// The call's result: `value`, or, if the user stopped it, the interruption; `value` is then kept as
    /// the result of the cell.
    pub fn give(self, host: &Host, value: impl IntoScript) -> Result<Dynamic> {
        let value = value.into_script();
        match self.stopped {
            None => Ok(value),
            Some(error) => {
                host.keep_unfinished(value);
                Err(error)
            }
        }
    }
}

/// Continues `prompts` by the options of `call`.
///
/// # Errors
/// As [`Generation`]; the user's interruption is in what comes back instead.
pub(super) fn write(
    call: &Call,
    model: &dyn NextLogits,
    prompts: &[Vec<u32>],
    sampling: &Sampling,
) -> Result<Written> {
    let mut view = View::new(call, prompts.len(), sampling.max_new_tokens)?;
    let mut generation = Generation::start(model, prompts, sampling)?;
    let stopped = loop {
        match step(&mut view, &mut generation) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) if error.is_interrupt() => break Some(error),
            Err(error) => return Err(error),
        }
    };
    view.end();
    Ok(Written {
        way: generation.way(),
        rollouts: generation.finish(),
        stopped,
    })
}

/// Shows what is there, and goes on; false at the end.
fn step(view: &mut View, generation: &mut Generation) -> Result<bool> {
    view.look(generation)?;
    if generation.open() == 0 {
        return Ok(false);
    }
    view.call.host.check()?;
    generation.step()?;
    Ok(true)
}

/// Where the text shows.
struct View<'a> {
    call: &'a Call<'a>,
    stream: bool,
    on_text: Option<Callback>,
    /// A display that comes down at the end; none while text goes to the output.
    progress: Option<Progress>,
    /// The text of each prompt so far.
    texts: Vec<String>,
    steps: usize,
    /// The prompt whose text is being written to the output, and how much of it is there.
    writing: (usize, usize),
}

impl<'a> View<'a> {
    fn new(call: &'a Call, prompts: usize, most: usize) -> Result<Self> {
        let stream: bool = call.options.get("stream")?;
        let total = if prompts == 1 { most } else { prompts };
        Ok(Self {
            call,
            stream,
            on_text: call.options.get("on_text")?,
            progress: (!stream).then(|| call.host.progress("generate", total as u64)),
            texts: vec![String::new(); prompts],
            steps: 0,
            writing: (0, 0),
        })
    }

    /// Shows what is new.
    fn look(&mut self, generation: &mut Generation) -> Result<()> {
        for row in 0..self.texts.len() {
            let news = generation.news(row);
            if news.is_empty() {
                continue;
            }
            self.texts[row].push_str(&news);
            if let Some(on_text) = &self.on_text {
                let args = [news.into_script(), row.into_script()];
                let _: Dynamic = self.call.call(on_text, args)?;
            }
        }
        if self.stream {
            self.pour(|row| generation.is_open(row));
        }
        if let Some(progress) = &mut self.progress {
            let rows = self.texts.len();
            let open = (0..rows).find(|row| generation.is_open(*row));
            let text = open.map_or("", |row| self.texts[row].as_str());
            match rows {
                1 => progress.write(self.steps as u64, text),
                _ => progress.write((rows - generation.open()) as u64, text),
            }
        }
        self.steps += 1;
        Ok(())
    }

    /// Writes what is new of the first prompt that is not done, and of those after it that are.
    fn pour(&mut self, is_open: impl Fn(usize) -> bool) {
        while let Some(text) = self.texts.get(self.writing.0) {
            let (row, written) = self.writing;
            if text.len() > written {
                self.call
                    .host
                    .send(Event::Write(text[written..].to_owned()));
                self.writing.1 = text.len();
            }
            if is_open(row) {
                return;
            }
            self.call.host.send(Event::Write("\n".to_owned()));
            self.writing = (row + 1, 0);
        }
    }

    /// What was begun ends with its line.
    fn end(&mut self) {
        if self.stream {
            self.pour(|_| false);
        }
    }
}
