//! `rlaif-repl lsp`: the language server on the standard streams.

use std::process::ExitCode;

use crate::diag::Result;
use crate::lsp;

/// Arguments of the command.
#[derive(clap::Args)]
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
