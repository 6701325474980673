//! `rlaif-repl fetch`: a model of the Hugging Face hub, into its cache.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::interrupts::{self, Interrupts};
use super::shared;
use crate::diag::{Error, Interrupt, Result};
use crate::host::{Event, Sink as _, Update};
use crate::hub::{self, Settings, Step, Wanted};
use crate::repl::Terminal;

const VARIABLES: &str = "\
The cache is the one of huggingface_hub: HF_HUB_CACHE, or HF_HOME/hub, or ~/.cache/huggingface/hub.
HF_ENDPOINT names another hub, HF_TOKEN opens what is private, HF_HUB_OFFLINE=1 keeps off the network.";

/// Arguments of the command.
#[derive(clap::Args)]
#[command(after_help = VARIABLES)]
pub(super) struct Args {
    /// The model: org/name.
    name: String,

    #[arg(long, default_value = "main", help = shared::help("fetch", "revision"))]
    revision: String,

    /// Fetch files that match this, `*` standing for any characters, instead of what a model needs; may be
    /// given again.
    #[arg(long = "file", value_name = "PATTERN")]
    files: Vec<String>,

    #[arg(long, help = shared::help("fetch", "offline"))]
    offline: bool,

    /// Keep what is fetched in this folder.
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
}

/// Where the environment says that the hub and its cache are.
pub(super) fn settings() -> Option<Settings> {
    let variable = |name: &str| std::env::var(name).ok();
    Settings::read(&variable, std::env::home_dir().as_deref())
}

/// Prints the folder that the files are in.
pub(super) fn run(args: Args) -> Result<ExitCode> {
    let Some(mut settings) = settings() else {
        return Err(Error::new("there is no home for the cache").hint("set HF_HOME to a folder"));
    };
    settings.offline |= args.offline;
    settings.cache = args.cache.unwrap_or(settings.cache);
    let wanted = Wanted {
        name: args.name,
        revision: args.revision,
        files: args.files,
    };
    let interrupt = Interrupt::from(Interrupts::install(false)?);
    let terminal = Terminal::new();
    let mut update = Update {
        label: "fetch".to_owned(),
        total: 100,
        ..Update::default()
    };
    let began = Instant::now();
    let fetched = hub::fetch(&wanted, &settings, &interrupt, &mut |step: &Step| {
        update.done = step.percent();
        update.message = step.message();
        update.elapsed = began.elapsed();
        terminal.show(Event::Progress(update.clone()));
    });
    if !update.message.is_empty() {
        update.finished = true;
        terminal.show(Event::Progress(update));
    }
    match fetched {
        Ok(folder) => terminal.line(&folder.display().to_string()),
        Err(error) if error.is_interrupt() => return Ok(ExitCode::from(interrupts::CODE)),
        Err(error) => return Err(error),
    }
    Ok(ExitCode::SUCCESS)
}
