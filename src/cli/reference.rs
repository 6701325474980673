//! `rlaif-repl reference`: every script function as Markdown, out of the registry.

use std::process::ExitCode;

use crate::diag::Result;
use crate::host::{Registry, help};

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Only this function, type or topic.
    name: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    match &args.name {
        Some(name) => println!("{}", super::docs::session()?.inspect_fully(name)?),
        None => print!("{}", help::reference(&Registry::new())),
    }
    Ok(ExitCode::SUCCESS)
}
