//! `rlaif-repl lsp`: the language server on the standard streams.

use std::process::ExitCode;

use crate::diag::Result;
use crate::lsp;

/// What an editor has to be told.
const AFTER: &str = "An editor starts it: the command is `rlaif-repl lsp`, the language `rhai`, the files *.rhai. It \
    tells problems while you type, also of scripts that import a text before it is saved, completes by types and \
    options, helps at names and in calls, outlines a script and finds where its functions are defined. The README has \
    the lines for Neovim, Helix, Emacs and VS Code.";

/// Arguments of the command.
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Args {
    /// Speak over the standard streams, as is always done; editors say it.
    #[arg(long, hide = true)]
    stdio: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    // There is no other way to speak.
    let Args { stdio: _ } = args;
    let input = std::io::BufReader::new(std::io::stdin());
    let code = lsp::serve(input, std::io::stdout().lock(), std::env::current_dir()?)?;
    Ok(ExitCode::from(code as u8))
}
