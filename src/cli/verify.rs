//! `rlaif-repl verify`: how far one model is from another, on a text.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::predict::Opening;
use super::shared;
use crate::convert::{Subject, verify};
use crate::diag::Result;
use crate::engine::device;
use crate::files;
use crate::repl::Terminal;
use crate::report::Display;
use crate::verify::{Comparison, SAMPLE};

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model that is taken for right: .mlpackage, .mlmodelc or .mlmodel; a Hugging Face folder or a GGUF
    /// file; embedded:student, embedded:judge.
    a: PathBuf,

    /// The model that is held against it.
    b: PathBuf,

    /// The text to compare on; a page of English if absent.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,

    #[arg(long, value_name = "TOKENS", help = shared::help("verify", "window"))]
    window: Option<usize>,

    /// Fail (exit code 1) unless the largest difference of logits is below this part of the largest logit.
    #[arg(long, value_name = "PART")]
    within: Option<f64>,

    #[command(flatten)]
    opening: Opening,

    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let text = text(args.text.as_ref())?;
    let found = device::scoped(|| {
        let options = args.opening.load_options()?;
        let (a, b) = (
            Subject::open(&args.a, &options)?,
            Subject::open(&args.b, &options)?,
        );
        verify([&a, &b], &text, args.window, &mut |_, _| Ok(()))
    })?;
    show(&found, args.json)?;
    let fails = args.within.is_some_and(|part| found.relative() >= part);
    Ok(ExitCode::from(u8::from(fails)))
}

/// The content of a file, or the sample.
pub(super) fn text(path: Option<&PathBuf>) -> Result<String> {
    match path {
        Some(path) => files::read_text(path),
        None => Ok(SAMPLE.to_owned()),
    }
}

fn show(found: &Comparison, as_json: bool) -> Result<()> {
    let terminal = Terminal::new();
    match as_json {
        true => terminal.line(&json!(found).to_string()),
        false => terminal.display(&Display::Table(found.table()?)),
    }
    Ok(())
}
