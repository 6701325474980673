//! `rlaif-repl compile`: the `.mlmodelc` of a model, on any system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::diag::{Context, Result};
use crate::engine::apple;
use crate::package::{Model, compile, compile_by};
use crate::repl::Terminal;
use crate::report::{Cell, Display, Table};

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The model: .mlpackage or .mlmodel.
    model: PathBuf,

    /// Where to: a folder that ends in .mlmodelc.
    #[arg(short, long)]
    output: PathBuf,

    /// Replace what is there.
    #[arg(long)]
    force: bool,

    /// Let Apple's compiler do it, on a Mac.
    #[arg(long)]
    apple: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let model = match args.apple {
        false => compile(&args.model, &args.output, args.force)?,
        true => compile_by(&args.model, &args.output, args.force, |_, folder| {
            // Apple's compiler wants to make the folder itself.
            fs::remove_dir(folder)?;
            apple::compile(&args.model, folder)
        })?,
    };
    Terminal::new().display(&Display::Table(card(&model, &args.output)?));
    Ok(ExitCode::SUCCESS)
}

/// What was written: what it is, and its files.
pub(super) fn card(model: &Model, written: &Path) -> Result<Table> {
    let title = format!("{}: {}", written.display(), told(model));
    let mut table = Table::new(title, ["file", "bytes"]);
    let mut files = Vec::new();
    collect(written, &mut files).with_context(|| written.display().to_string())?;
    for (file, bytes) in files {
        let name = file.strip_prefix(written).unwrap_or(&file);
        table.push([
            Cell::from(name.display().to_string()),
            (bytes as usize).into(),
        ])?;
    }
    Ok(table)
}

fn told(model: &Model) -> String {
    let version = model.description().specification_version;
    let what = match model {
        Model::Pipeline(pipeline) => format!("a pipeline of {} stages", pipeline.stages.len()),
        Model::Program(bundle) => match bundle.program.functions.len() {
            1 => "an ML Program".to_owned(),
            several => format!("an ML Program of {several} functions"),
        },
    };
    format!("{what}, specification version {version}")
}

/// The files below `folder` with their sizes, in order of path.
fn collect(folder: &Path, files: &mut Vec<(PathBuf, u64)>) -> std::io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        match entry.file_type()?.is_dir() {
            true => collect(&entry.path(), files)?,
            false => files.push((entry.path(), entry.metadata()?.len())),
        }
    }
    Ok(())
}
