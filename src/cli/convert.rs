//! `rlaif-repl convert`: a Core ML model of a Hugging Face folder or a GGUF file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;

use super::compile::card;
use super::interrupts::Interrupts;
use super::shared;
use crate::convert::{ConvertOptions, Job, Precision, stored_weights};
use crate::diag::Result;
use crate::engine::device;
use crate::files::refuse_existing;
use crate::hub::or_fetch;
use crate::models::{Compression, LoadOptions};
use crate::package::{Bundle, Format, Model};
use crate::repl::Terminal;
use crate::report::Display;

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model: a folder with config.json and *.safetensors, or a GGUF file.
    source: PathBuf,

    /// Where to: a folder that ends in .mlpackage or .mlmodelc.
    #[arg(short, long)]
    output: PathBuf,

    #[arg(long, value_enum, default_value_t, help = shared::help("convert", "precision"))]
    precision: PrecisionName,

    #[arg(long, value_name = "TOKENS", help = shared::help("convert", "context"))]
    context: Option<usize>,

    #[arg(long, value_name = "ROWS", help = shared::help("convert", "batch"))]
    batch: Option<usize>,

    /// Take rows of just --context tokens, --batch of them: shapes that are fixed suit the Neural Engine.
    #[arg(long, conflicts_with = "stateful")]
    fixed: bool,

    #[arg(long, conflicts_with = "batch", help = shared::help("convert", "stateful"))]
    stateful: bool,

    #[arg(long, value_name = "SCHEME", value_parser = Compression::named, help = shared::help("convert", "quantize"))]
    quantize: Option<Compression>,

    /// Do not hold the result against the source's own forward pass.
    #[arg(long)]
    no_check: bool,

    #[arg(long, help = shared::help("convert", "force"))]
    force: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum PrecisionName {
    #[default]
    Fp16,
    Fp32,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    Format::of(&args.output)?;
    refuse_existing(&args.output, args.force, "--force")?;
    let load = LoadOptions {
        interrupt: Interrupts::install(false)?.into(),
        ..LoadOptions::default()
    };
    let made = device::scoped(|| args.job().run(&args.source, &load));
    let words = args.source.display().to_string();
    let made = made.map_err(|error| or_fetch(error, &words, &args.source))?;
    load.interrupt.check()?;
    made.save(&args.output)?;
    let terminal = Terminal::new();
    if !made.stored.is_empty() {
        terminal.display(&Display::Table(stored_weights(&made.stored, "")?));
    }
    if let Some(found) = &made.found {
        terminal.display(&Display::Table(found.table()?));
    }
    let model = Model::Program(Bundle::clone(made.model.bundle()?));
    terminal.display(&Display::Table(card(&model, &args.output)?));
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn job(&self) -> Job {
        let options = ConvertOptions {
            precision: match self.precision {
                PrecisionName::Fp16 => Precision::Fp16,
                PrecisionName::Fp32 => Precision::Fp32,
            },
            context: self.context,
            batch: self.batch,
            fixed: self.fixed,
            stateful: self.stateful,
        };
        Job {
            options,
            compression: self.quantize.map(Into::into),
            check: !self.no_check,
        }
    }
}
