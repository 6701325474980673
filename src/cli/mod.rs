//! The command line: the prompt, scripts, `-e`, pipes, and the subcommands.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a shell prints and hands time, place and environment down as arguments"
)]

mod batch;
mod bench;
mod check;
mod compile;
mod convert;
mod docs;
mod drawing;
mod fetch;
mod git;
mod inspect;
mod interrupts;
mod kernel;
mod limits;
mod lsp;
mod new;
mod predict;
mod quantize;
mod reference;
mod serve;
mod shared;
mod statement;
mod verify;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::diag::{Error, Result, nearest};
use crate::host::{Clock, Nobody, Provenance, Recorder, Setup};
use crate::repl::{self, Terminal};
use crate::session::{self, Session};
use interrupts::Interrupts;

/// Script recursion needs room: the engine calls itself for every script call.
const STACK: usize = 256 << 20;

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the script failed; 2 wrong usage; 124 a limit is reached; 130 interrupted; n after exit(n) in the script.
Without a script the prompt opens; if the input is a pipe or a file, it is read and run as a script.";

/// A REPL and scripting host for RLAIF on Core ML language models.
#[derive(Parser)]
#[command(name = "rlaif-repl", version, after_help = EXIT_CODES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// Script to run; `-` is the standard input.
    script: Option<PathBuf>,

    /// Arguments of the script: `--name value` sets what the script asks for with param("name", default).
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,

    /// Run this code.
    #[arg(
        short = 'e',
        long = "eval",
        value_name = "CODE",
        conflicts_with = "script"
    )]
    code: Option<String>,

    /// Tell what is wrong with the script, the code or all files given, without running them.
    #[arg(long, conflicts_with = "interactive")]
    check: bool,

    /// Open the prompt after the script or code.
    #[arg(short, long)]
    interactive: bool,

    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Print one JSON object a statement: what it showed, its value, its error.
    #[arg(long, conflicts_with_all = ["interactive", "check"])]
    json: bool,

    #[command(flatten)]
    bounds: limits::Bounds,
}

/// One file of `cli/` each: `Args` from clap, and `run(args) -> Result<ExitCode>`.
#[derive(Subcommand)]
enum Command {
    /// Make the folder of a new experiment.
    New(new::Args),
    /// Print the reference of all script functions.
    Reference(reference::Args),
    /// Write the manual as pages for a browser.
    Docs(docs::Args),
    /// Write .d.rhai files of all functions, for editors.
    Definitions(docs::Definitions),
    /// Tell what a Core ML model takes, gives and is made of.
    Inspect(inspect::Args),
    /// Predict once with a Core ML model.
    Predict(predict::Args),
    /// Measure how fast a Core ML model loads, predicts and decodes.
    Bench(bench::Args),
    /// Predict for another program: a request a line, an answer a line.
    Serve(serve::Args),
    /// Fetch a model of the Hugging Face hub into its cache.
    Fetch(fetch::Args),
    /// Compile a Core ML model: .mlmodelc from .mlpackage or .mlmodel.
    Compile(compile::Args),
    /// Make a Core ML model of a Hugging Face folder or a GGUF file.
    Convert(convert::Args),
    /// Make a language model's weights smaller, and tell what that costs.
    Quantize(quantize::Args),
    /// Install and run the Jupyter kernel.
    Kernel(kernel::Args),
    /// Serve editors: diagnostics, completion, help.
    Lsp(lsp::Args),
    /// Tell how far one language model is from another, on a text.
    Verify(verify::Args),
}

impl Command {
    fn run(self) -> Result<ExitCode> {
        match self {
            Self::New(args) => new::run(&args),
            Self::Reference(args) => reference::run(&args),
            Self::Docs(args) => docs::run(&args),
            Self::Definitions(args) => docs::run_definitions(&args),
            Self::Inspect(args) => inspect::run(&args),
            Self::Predict(args) => predict::run(&args),
            Self::Bench(args) => bench::run(&args),
            Self::Serve(args) => serve::run(args),
            Self::Fetch(args) => fetch::run(args),
            Self::Compile(args) => compile::run(&args),
            Self::Convert(args) => convert::run(&args),
            Self::Quantize(args) => quantize::run(&args),
            Self::Kernel(args) => kernel::run(args),
            Self::Lsp(args) => lsp::run(&args),
            Self::Verify(args) => verify::run(&args),
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let worker = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(|| run(Cli::parse_from(arguments())));
    let result = worker
        .map_err(Error::from)
        .map(std::thread::JoinHandle::join);
    match result {
        Ok(Ok(Ok(code))) => code,
        Ok(Ok(Err(error))) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        Ok(Err(_)) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    if let Some(command) = cli.command {
        return command.run();
    }
    session::silence_panics();
    let prompt = cli.interactive
        || (!cli.check
            && cli.script.is_none()
            && cli.code.is_none()
            && std::io::stdin().is_terminal());
    let terminal = Arc::new(Terminal::new());
    let recorder = Arc::new(Recorder::default());
    let mut session = Session::new(Setup {
        base: std::env::current_dir()?,
        seed: cli.seed,
        args: cli.args,
        sink: match cli.json {
            true => recorder.clone(),
            false => terminal.clone(),
        },
        front: match prompt {
            true => terminal.clone(),
            false => Arc::new(Nobody),
        },
        interrupt: Interrupts::install(prompt)?,
        clock: Arc::new(Stopwatch(Instant::now())),
        provenance: Provenance {
            script: cli.script.clone().filter(|path| path.as_os_str() != "-"),
            git: Some(git::commit),
        },
        limits: cli.bounds.into(),
        hub: fetch::settings(),
        variable: |name| std::env::var(name).ok(),
    });
    if cli.check {
        let more = session.host().args().into_iter().map(PathBuf::from);
        let files: Vec<PathBuf> = cli.script.into_iter().chain(more).collect();
        return check::run(&session, &terminal, cli.code, &files);
    }
    let task = match (cli.code, cli.script) {
        (Some(code), _) => Some(batch::Task::Code(code)),
        (None, Some(path)) if path.as_os_str() == "-" => Some(batch::Task::Input),
        (None, Some(path)) => {
            not_a_command(&path)?;
            Some(batch::Task::File(path))
        }
        (None, None) if prompt => None,
        (None, None) => Some(batch::Task::Input),
    };
    let out = match cli.json {
        true => batch::Out::Json(&recorder),
        false => batch::Out::Terminal(&terminal),
    };
    let code = match task {
        Some(task) => batch::run(&mut session, &out, task)?,
        None => ExitCode::SUCCESS,
    };
    if !prompt {
        return Ok(code);
    }
    let code = repl::run(session, &terminal)?;
    Ok(ExitCode::from(code.clamp(0, 255) as u8))
}

/// Fails if there is no such script, and its name is nearly that of a command.
fn not_a_command(script: &Path) -> Result<()> {
    let cli = Cli::command();
    let commands: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
    let meant = script.to_str().and_then(|name| nearest(name, &commands));
    match meant.filter(|_| !script.exists()) {
        Some(meant) => Err(
            Error::new(format!("there is no script {}", script.display()))
                .hint(format!("did you mean the command {meant}?")),
        ),
        None => Ok(()),
    }
}

/// The program's arguments, with `--` after the script, so that what follows is the script's own.
fn arguments() -> Vec<OsString> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let cli = Cli::command();
    let takes_value = |arg: &str| {
        cli.get_arguments().any(|known| {
            let long = known
                .get_long()
                .is_some_and(|long| arg.strip_prefix("--") == Some(long));
            let short = known
                .get_short()
                .is_some_and(|short| arg == format!("-{short}"));
            (long || short) && known.get_action().takes_values()
        })
    };
    let mut at = 1;
    while let Some(arg) = args.get(at).and_then(|arg| arg.to_str()) {
        let option = arg.starts_with('-') && arg != "-";
        if !option {
            if !cli.get_subcommands().any(|known| known.get_name() == arg) && arg != "help" {
                args.insert(at + 1, "--".into());
            }
            break;
        }
        at += if takes_value(arg) { 2 } else { 1 };
    }
    args
}

/// Time since the start of the program.
struct Stopwatch(Instant);

impl Clock for Stopwatch {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn now(&self) -> String {
        humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
    }
}
