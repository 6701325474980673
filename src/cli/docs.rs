//! `rlaif-repl docs` and `rlaif-repl definitions`: the manual as pages, and as files for editors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::diag::{Context as _, Result};
use crate::host::Setup;
use crate::session::{Page, Session};

/// Arguments of `docs`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder to write to; what is there under the same names is replaced.
    #[arg(short, long, default_value = "manual")]
    output: PathBuf,
}

/// Arguments of `definitions`.
#[derive(clap::Args)]
pub(super) struct Definitions {
    /// The folder to write to; what is there under the same names is replaced.
    #[arg(short, long, default_value = ".rhai/definitions")]
    output: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    write(&args.output, &session()?.manual())?;
    println!("{}", args.output.join("index.html").display());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn run_definitions(args: &Definitions) -> Result<ExitCode> {
    let pages = session()?.definitions();
    write(&args.output, &pages)?;
    for page in pages {
        println!("{}", args.output.join(page.name).display());
    }
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, pages: &[Page]) -> Result<()> {
    let failed = |path: &Path| format!("can't write {}", path.display());
    fs::create_dir_all(folder).with_context(|| failed(folder))?;
    for page in pages {
        let path = folder.join(&page.name);
        fs::write(&path, &page.text).with_context(|| failed(&path))?;
    }
    Ok(())
}

/// A session that shows nothing and runs nothing.
pub(super) fn session() -> Result<Session> {
    Ok(Session::new(Setup::still(std::env::current_dir()?)))
}
