//! `rlaif-repl --check`: what is wrong with scripts, without running them.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::diag::{Context as _, Result};
use crate::repl::Terminal;
use crate::session::Session;

/// Checks code of the command line, or every file (`-` or none: the standard input).
pub(super) fn run(
    session: &Session,
    terminal: &Terminal,
    code: Option<String>,
    files: &[PathBuf],
) -> Result<ExitCode> {
    let mut texts = Vec::new();
    texts.extend(code.map(|code| ("-e".to_string(), code)));
    for file in files {
        texts.push(match file.as_os_str() == "-" {
            true => input()?,
            false => (
                file.to_string_lossy().into_owned(),
                session.read_script(file)?,
            ),
        });
    }
    if texts.is_empty() {
        texts.push(input()?);
    }
    let mut exit = ExitCode::SUCCESS;
    for (name, text) in &texts {
        let problems = session.check(name, text);
        if !problems.is_empty() {
            exit = ExitCode::FAILURE;
        }
        for problem in problems.iter().chain(&session.warnings(name, text)) {
            terminal.message(&problem.render(terminal.colour_errors()));
        }
    }
    Ok(exit)
}

fn input() -> Result<(String, String)> {
    let mut code = String::new();
    std::io::stdin()
        .read_to_string(&mut code)
        .context("can't read the standard input")?;
    Ok(("stdin".into(), code))
}
