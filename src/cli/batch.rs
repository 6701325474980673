//! Runs without a prompt: a script file, code of the command line, the standard input.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{interrupts, statement};
use crate::diag::{Context as _, Result};
use crate::host::Recorder;
use crate::repl::Terminal;
use crate::session::{Checker, Completeness, Outcome, Problem, Session, lexer, lines_left_open};

/// The exit code at the end of the time or the operations that were allowed, as of `timeout`.
const LIMIT_CODE: u8 = 124;

/// What to run.
pub(super) enum Task {
    File(PathBuf),
    Code(String),
    Input,
}

/// Where what runs is told.
pub(super) enum Out<'a> {
    Terminal(&'a Terminal),
    /// One object a statement; the recorder has what it showed.
    Json(&'a Recorder),
}

/// Runs the task; the first failure ends it.
pub(super) fn run(session: &mut Session, out: &Out, task: Task) -> Result<ExitCode> {
    match task {
        Task::File(path) => {
            let params = session.params_of(&path)?;
            let help = params.help();
            if session.host().args().iter().any(|arg| arg == "--help") && !help.is_empty() {
                println!("{help}");
                return Ok(ExitCode::SUCCESS);
            }
            params.check(&session.host().args())?;
            let outcome = session.run_file(&path)?;
            tell(session, out, "", &outcome, false);
            Ok(exit_code(&outcome))
        }
        Task::Code(code) => {
            let outcome = session.eval_named("-e", &code);
            tell(session, out, &code, &outcome, !lexer::ends_quietly(&code));
            Ok(exit_code(&outcome))
        }
        Task::Input => {
            let mut code = String::new();
            std::io::stdin()
                .read_to_string(&mut code)
                .context("can't read the standard input")?;
            Ok(input(session, out, &code))
        }
    }
}

fn exit_code(outcome: &Outcome) -> ExitCode {
    if let Some(code) = outcome.exit {
        return ExitCode::from(code.clamp(0, 255) as u8);
    }
    match outcome.problem.as_ref().map(|problem| problem.problem) {
        None => ExitCode::SUCCESS,
        Some(Problem::Interrupted) => ExitCode::from(interrupts::CODE),
        Some(Problem::Limit) => ExitCode::from(LIMIT_CODE),
        Some(_) => ExitCode::FAILURE,
    }
}

/// Tells of a statement's failure on the standard error, and of its value if it is `shown`; or all of it as JSON.
fn tell(session: &Session, out: &Out, code: &str, outcome: &Outcome, shown: bool) {
    let terminal = match out {
        Out::Terminal(terminal) => terminal,
        Out::Json(recorder) => {
            let told = statement::to_json(session, recorder, code, outcome, shown);
            return println!("{told}");
        }
    };
    if shown && let Some(display) = session.show(&outcome.value, terminal.width()) {
        terminal.display(&display);
    }
    if let Some(problem) = outcome.problem.as_ref().filter(|_| outcome.exit.is_none()) {
        terminal.message(&problem.render(terminal.colour_errors()));
    }
}

/// Runs piped code statement by statement, so that values show as they come.
fn input(session: &mut Session, out: &Out, code: &str) -> ExitCode {
    for piece in pieces(code) {
        let outcome = session.eval_named("stdin", &piece);
        tell(session, out, &piece, &outcome, !lexer::ends_quietly(&piece));
        if !outcome.is_ok() {
            return exit_code(&outcome);
        }
    }
    ExitCode::SUCCESS
}

/// Splits code where it is complete, so that lines need no `;` just as at the prompt. Each piece keeps its place
/// by empty lines before it. Of code with a syntax error only that piece is left: nothing runs before it is told.
fn pieces(code: &str) -> Vec<String> {
    let checker = Checker::new();
    let lines: Vec<&str> = code.split_inclusive('\n').collect();
    let mut pieces = Vec::new();
    let (mut start, mut piece) = (0, String::new());
    let open = lines_left_open(code);
    for (at, line) in lines.iter().enumerate() {
        piece.push_str(line);
        // Compiling what can't be complete would take ever longer in a long block.
        if open.get(at) == Some(&true) {
            continue;
        }
        let verdict = checker.check(&piece);
        if verdict == Completeness::Invalid {
            return vec![format!("{}{piece}", "\n".repeat(start))];
        }
        let mut rest = lines[at + 1..]
            .iter()
            .filter(|line| !line.trim().is_empty());
        let goes_on = rest.next().is_some_and(|line| continues(line));
        if verdict == Completeness::Complete && !goes_on && !piece.trim().is_empty() {
            pieces.push(format!("{}{piece}", "\n".repeat(start)));
            (start, piece) = (at + 1, String::new());
        }
    }
    if !piece.trim().is_empty() {
        return vec![format!("{}{piece}", "\n".repeat(start))];
    }
    pieces
}

/// Whether a line continues the statement before it.
fn continues(line: &str) -> bool {
    let line = line.trim_start();
    let word = line
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or("");
    let comment = line.starts_with("//") || line.starts_with("/*");
    matches!(word, "else" | "catch")
        || (line.starts_with([
            '.', '?', '+', '*', '/', '%', '&', '|', '=', '<', '>', ')', ']', '}', ',',
        ]) && !comment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_statements_at_their_lines() {
        let check = |code: &str, expected: &[&str]| assert_eq!(pieces(code), expected, "{code:?}");
        check("1;\n2;\n", &["1;\n", "\n2;\n"]);
        check(
            "if a {\n1\n}\nelse { 2 }\n3",
            &["if a {\n1\n}\nelse { 2 }\n", "\n\n\n\n3"],
        );
        check(
            "let x = [1]\n  .len();\n\nx",
            &["let x = [1]\n  .len();\n", "\n\n\nx"],
        );
        check("let x = 1\nx\n", &["let x = 1\n", "\nx\n"]);
        check("1;\nlet 3 = 4", &["\nlet 3 = 4"]);
        check("do { 1 }\nwhile x", &["do { 1 }\nwhile x"]);
        check("1;\nf(", &["\nf("]);
        check("", &[]);
    }
}
