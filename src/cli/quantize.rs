//! `rlaif-repl quantize`: a language model with smaller weights, and what that cost.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::predict::Opening;
use super::verify::text;
use crate::convert::{Quantized, quantize};
use crate::diag::{Error, Result};
use crate::engine::device;
use crate::models::{CompressOptions, Compression, CoreMLModelWrapper};
use crate::repl::Terminal;
use crate::report::Display;

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model: .mlpackage, .mlmodelc or .mlmodel.
    model: PathBuf,

    /// Where to: a folder that ends in .mlpackage or .mlmodelc.
    #[arg(short, long)]
    output: PathBuf,

    #[command(flatten)]
    how: How,

    /// Replace what is there.
    #[arg(long)]
    force: bool,

    /// The text that perplexities are measured on; a page of English if absent.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,

    /// Measure no perplexities.
    #[arg(long, conflicts_with = "text")]
    no_text: bool,

    #[command(flatten)]
    opening: Opening,

    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

/// How weights become smaller.
#[derive(clap::Args)]
pub(super) struct How {
    /// 8 bits per channel, 4 bits in blocks, a table of values, or the largest elements alone.
    #[arg(long, value_enum, default_value_t)]
    scheme: SchemeName,

    /// Elements that share a scale of int4; a row where it does not divide it.
    #[arg(long, default_value_t = 32)]
    block: usize,

    /// Of a palette: 1, 2, 3, 4, 6 or 8.
    #[arg(long, default_value_t = 4)]
    bits: usize,

    /// Output channels that share a palette; all if absent.
    #[arg(long)]
    group: Option<usize>,

    /// The part of the elements that a sparse matrix keeps.
    #[arg(long, default_value_t = 0.5)]
    keep: f64,

    /// Smaller weights stay as they are.
    #[arg(long, value_name = "ELEMENTS", default_value_t = 2048)]
    min_elements: usize,

    /// A part of the names of the weights that are compressed; may be given several times.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum SchemeName {
    #[default]
    Int8,
    Int4,
    Palette,
    Sparse,
}

impl How {
    pub(super) fn options(&self) -> CompressOptions {
        let compression = match self.scheme {
            SchemeName::Int8 => Compression::Int8,
            SchemeName::Int4 => Compression::Int4 { block: self.block },
            SchemeName::Palette => Compression::Palette {
                bits: self.bits,
                group: self.group,
            },
            SchemeName::Sparse => Compression::Sparse { keep: self.keep },
        };
        CompressOptions {
            compression,
            targets: self.targets.clone(),
            elements_min: self.min_elements,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if !args.force && args.output.symlink_metadata().is_ok() {
        let exists = Error::new(format!("{} exists", args.output.display()));
        return Err(exists.hint("take another name, or let it be replaced with --force"));
    }
    let text = match args.no_text {
        true => None,
        false => Some(text(args.text.as_ref())?),
    };
    let done = device::scoped(|| {
        let load = args.opening.load_options()?;
        let model = Arc::new(CoreMLModelWrapper::load(&args.model, &load)?);
        let text = text.as_deref().map(|text| (text, &load));
        quantize(
            &model,
            &args.output,
            &args.how.options(),
            text,
            &mut |_, _| Ok(()),
        )
    })?;
    let terminal = Terminal::new();
    if args.json {
        terminal.line(&data(&done)?.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    terminal.display(&Display::Table(done.table()?));
    if let Some(found) = &done.comparison {
        terminal.display(&Display::Table(found.table()?));
    }
    Ok(ExitCode::SUCCESS)
}

fn data(done: &Quantized) -> Result<Value> {
    Ok(json!({ "weights": done.table()?.to_json(), "comparison": done.comparison }))
}
