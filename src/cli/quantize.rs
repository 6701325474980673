//! `rlaif-repl quantize`: a language model with smaller weights, and what that cost.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use super::predict::Opening;
use super::shared;
use super::verify::text;
use crate::convert::{Quantized, quantize};
use crate::diag::{Error, Result};
use crate::engine::device;
use crate::files::refuse_existing;
use crate::models::{CompressOptions, Compression, CoreMLModelWrapper, ELEMENTS_MIN};
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
struct How {
    /// 8 bits per channel or in blocks, 4 bits in blocks, 4 or 8 by what is lost, a table of 2^n values, or
    /// the largest elements alone: int8, int8-blocks, int4, mixed, palette4, palette6, palette8, sparse.
    #[arg(long, default_value = "int8", value_parser = Compression::named)]
    scheme: Compression,

    #[arg(long, help = shared::help("quantize", "block"))]
    block: Option<usize>,

    #[arg(long, help = shared::help_and_default("quantize", "loss"))]
    loss: Option<f64>,

    #[arg(long, help = shared::help("quantize", "group"))]
    group: Option<usize>,

    #[arg(long, help = shared::help_and_default("quantize", "keep"))]
    keep: Option<f64>,

    #[arg(long, value_name = "ELEMENTS", default_value_t = ELEMENTS_MIN, help = shared::help("quantize", "min_elements"))]
    min_elements: usize,

    /// A part of the names of the weights that are compressed; may be given several times.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
}

impl How {
    fn options(&self) -> Result<CompressOptions> {
        let mut compression = self.scheme;
        let (mut block, mut group) = (self.block, self.group);
        let (mut keep, mut loss) = (self.keep, self.loss);
        match &mut compression {
            Compression::Int4 { block: size } => *size = block.take().unwrap_or(*size),
            Compression::Mixed { block: size, lost } => {
                *size = block.take().unwrap_or(*size);
                *lost = loss.take().unwrap_or(*lost);
            }
            Compression::Palette { group: size, .. } => *size = group.take(),
            Compression::Sparse { keep: part } => *part = keep.take().unwrap_or(*part),
            Compression::Int8 { block: size } => *size = block.take(),
        }
        let left = [
            ("--block", block.is_some()),
            ("--group", group.is_some()),
            ("--keep", keep.is_some()),
            ("--loss", loss.is_some()),
        ];
        if let Some((name, _)) = left.iter().find(|(_, given)| *given) {
            return Err(Error::new(format!("{name} says nothing to this scheme"))
                .hint("--block is of int8, int4 and mixed, --loss of mixed, --group of palettes, --keep of sparse"));
        }
        Ok(CompressOptions {
            compression,
            targets: self.targets.clone(),
            elements_min: self.min_elements,
        })
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    refuse_existing(&args.output, args.force, "--force")?;
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
            &args.how.options()?,
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
