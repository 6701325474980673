//! `rlaif-repl bench`: how fast a model loads, predicts and decodes on this machine; two models or sets of
//! options in turns, as a ratio.

mod inputs;
mod machine;
mod report;
mod times;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::predict::Opening;
use crate::diag::{Context, Error, Result};
use crate::engine::{Features, device};
use crate::fail;
use crate::generate::Sampling;
use crate::models::{CoreMLModelWrapper, LoadOptions, embedded};
use crate::repl::Terminal;
use crate::report::Display;
use inputs::Shapes;
use times::Times;

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The bundle: .mlpackage, .mlmodelc or .mlmodel; embedded:student, embedded:judge.
    model: PathBuf,

    /// Function of a model that has several.
    #[arg(long)]
    function: Option<String>,

    /// Shape of an input, as in `input_ids=1x128`; what is not said has its default shape.
    #[arg(long = "shape", value_name = "INPUT=AxB")]
    shapes: Vec<String>,

    /// Examples in one call: the first extent of inputs that allow it, else so many examples together.
    #[arg(long)]
    batch: Option<usize>,

    /// Positions: the last extent of integer inputs that allow it.
    #[arg(long)]
    length: Option<usize>,

    /// Predictions that are measured.
    #[arg(long, default_value_t = 10)]
    runs: usize,

    /// Predictions before those.
    #[arg(long, default_value_t = 2)]
    warmup: usize,

    /// Times that the model is opened; the first calls are those after each opening.
    #[arg(long, default_value_t = 3)]
    loads: usize,

    /// Tokens to decode from a prompt of 16, where the model is a language model; 0 for none.
    #[arg(long, default_value_t = 16)]
    tokens: usize,

    /// Threads to compute with; all cores if absent.
    #[arg(long)]
    threads: Option<usize>,

    /// Measure in turns with what differs: `model=PATH`, `precision=NAME`, `passes=NAME+NAME`.
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    compare: Vec<String>,

    #[command(flatten)]
    opening: Opening,

    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// What is measured: a model with its options.
struct Side {
    model: PathBuf,
    options: LoadOptions,
}

/// What was measured of a side.
#[derive(Default)]
struct Measured {
    name: String,
    load: Times,
    first: Times,
    forward: Times,
    /// Seconds of all cores in the measured predictions, where the system tells.
    busy: Option<f64>,
    /// Tokens in one prediction, if the model takes tokens.
    tokens: Option<usize>,
    decode: Times,
    shapes: Vec<String>,
    remarks: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if args.runs == 0 || args.loads == 0 {
        fail!("--runs and --loads must be 1 or more");
    }
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let made = pool.build_global();
        made.map_err(|e| Error::new(format!("{threads} threads: {e}")))?;
    }
    let measured = device::scoped(|| measure(args, &sides(args)?))?;
    let terminal = Terminal::new();
    if args.json {
        terminal.line(&format!("{:#}", report::json(&measured)));
        return Ok(ExitCode::SUCCESS);
    }
    for table in report::tables(&measured)? {
        terminal.display(&Display::Table(table));
    }
    for remark in measured.iter().flat_map(|side| &side.remarks) {
        terminal.line(remark);
    }
    Ok(ExitCode::SUCCESS)
}

fn sides(args: &Args) -> Result<Vec<Side>> {
    let options = LoadOptions {
        function: args.function.clone(),
        ..args.opening.load_options()?
    };
    let mut sides = vec![Side {
        model: args.model.clone(),
        options: options.clone(),
    }];
    if args.compare.is_empty() {
        return Ok(sides);
    }
    let mut other = Side {
        model: args.model.clone(),
        options,
    };
    for setting in &args.compare {
        match setting.split_once('=') {
            Some(("model", path)) => other.model = path.into(),
            Some(("precision", name)) => other.options.precision = name.parse()?,
            Some(("passes", names)) => other.options.passes = names.parse()?,
            Some((key, _)) => {
                return Err(Error::unknown(
                    "setting",
                    key,
                    ["model", "precision", "passes"],
                ));
            }
            None => fail!("--compare takes KEY=VALUE, got \"{setting}\""),
        }
    }
    sides.push(other);
    Ok(sides)
}

/// Rounds in which each side has its turn, so that what else the machine does falls on all alike.
fn measure(args: &Args, sides: &[Side]) -> Result<Vec<Measured>> {
    let mut measured: Vec<Measured> = Vec::new();
    let mut ready = Vec::new();
    for side in sides {
        let mut found = Measured {
            name: side.name(sides),
            ..Measured::default()
        };
        ready.push(side.open(args, &mut found)?);
        measured.push(found);
    }
    for round in 0..args.warmup + args.runs {
        for (ready, found) in ready.iter().zip(&mut measured) {
            let busy = machine::busy_seconds();
            let seconds = ready.predict()?;
            if round >= args.warmup {
                found.forward.push(seconds);
                let spent = machine::busy_seconds()
                    .zip(busy)
                    .map(|(end, start)| end - start);
                found.busy = spent.map(|spent| spent + found.busy.unwrap_or(0.0));
            }
        }
    }
    for _ in 0..args.runs.min(3) {
        for (ready, found) in ready.iter().zip(&mut measured) {
            if let Some(rate) = ready.decode(args.tokens)? {
                found.decode.push(rate);
            }
        }
    }
    for (ready, found) in ready.iter().zip(&mut measured) {
        found.remarks = ready.model.engine().remarks();
    }
    Ok(measured)
}

impl Side {
    /// What it is called beside the others.
    fn name(&self, all: &[Side]) -> String {
        let mut parts = vec![
            self.model
                .file_name()
                .unwrap_or_default()
                .display()
                .to_string(),
        ];
        if all
            .iter()
            .any(|side| side.options.precision != self.options.precision)
        {
            parts.push(format!("{:?}", self.options.precision).to_lowercase());
        }
        if all
            .iter()
            .any(|side| side.options.passes != self.options.passes)
        {
            parts.push(format!("passes: {}", self.options.passes));
        }
        parts.join(", ")
    }

    fn load(&self) -> Result<CoreMLModelWrapper> {
        match self
            .model
            .to_str()
            .and_then(|name| name.strip_prefix("embedded:"))
        {
            Some(name) => embedded(name, &self.options),
            None => CoreMLModelWrapper::load(&self.model, &self.options),
        }
    }

    /// Opens the model as often as asked, with a first call each time.
    fn open(&self, args: &Args, found: &mut Measured) -> Result<Ready> {
        let mut last = None;
        for _ in 0..args.loads {
            drop(last.take());
            let start = Instant::now();
            let model = self.load()?;
            found.load.push(start.elapsed().as_secs_f64());
            let described = model.description().function(model.function())?;
            let shapes = Shapes::new(described, &args.shapes, args.batch, args.length)?;
            found.tokens = shapes.tokens(model.convention().ok().map(|c| &**c));
            found.shapes = shapes.told();
            let ready = Ready {
                examples: shapes.examples()?,
                model,
            };
            let first = ready.predict();
            found
                .first
                .push(first.with_context(|| self.model.display().to_string())?);
            last = Some(ready);
        }
        match last {
            Some(ready) => Ok(ready),
            None => fail!("the model was not opened"),
        }
    }
}

/// A model with its inputs.
struct Ready {
    model: CoreMLModelWrapper,
    examples: Vec<Features>,
}

impl Ready {
    /// Seconds of one prediction.
    fn predict(&self) -> Result<f64> {
        let (engine, function) = (self.model.engine(), self.model.function());
        let start = Instant::now();
        match self.examples.as_slice() {
            [one] => _ = engine.predict(function, one, None)?,
            several => _ = engine.predict_batch(function, several)?,
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// Tokens per second of decoding `count` of them, greedily; `None` if the model can't or `count` is 0.
    fn decode(&self, count: usize) -> Result<Option<f64>> {
        let can = self.model.convention();
        if count == 0 || !can.is_ok_and(|c| c.length_max() >= inputs::PROMPT + count) {
            return Ok(None);
        }
        let prompt: Vec<u32> = (0..inputs::PROMPT).map(inputs::token).collect();
        let sampling = Sampling {
            temperature: 0.0,
            max_new_tokens: count,
            ..Sampling::default()
        };
        let start = Instant::now();
        let made = self.model.generate(&[prompt], &sampling, &mut |_| ())?;
        let made: usize = made.iter().map(|rollout| rollout.completion.len()).sum();
        Ok(Some(made as f64 / start.elapsed().as_secs_f64()))
    }
}
