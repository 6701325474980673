//! Tells magic from script, and finished magic from unfinished.

use super::{Args, named};
use crate::session::completeness::{Checker, Completeness};

/// What the user typed.
pub(super) enum Input<'a> {
    Nothing,
    Code(&'a str),
    /// A magic, and what stands below it.
    Magic(Call<'a>, &'a str),
}

/// A magic as typed.
pub(super) enum Call<'a> {
    /// `name?`
    Inspect(&'a str),
    /// `name??`
    InspectFully(&'a str),
    /// `%name?`
    About(&'a str),
    /// `help` as a word
    Help,
    /// `!command`
    Shell(&'a str),
    /// `!!command`
    Capture(&'a str),
    /// `%name rest`, or `%%name rest` and the lines below
    Named(&'a str, Args<'a>),
}

/// Reads the first magic of the input, or all of it as script.
pub(super) fn parse(text: &str) -> Input<'_> {
    let text = text.trim();
    if text.is_empty() {
        return Input::Nothing;
    }
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let first = first.trim();
    // `!x` is also "not x" in the language; as a whole input it is rarely meant.
    if let Some(command) = first.strip_prefix("!!") {
        return Input::Magic(Call::Capture(command.trim()), rest);
    }
    if let Some(command) = first.strip_prefix('!') {
        return Input::Magic(Call::Shell(command.trim()), rest);
    }
    if let Some(line) = first.strip_prefix("%%") {
        let (name, line) = split(line);
        let body = Some(rest.trim_end());
        return Input::Magic(Call::Named(name, Args { line, body }), "");
    }
    if first.starts_with('%') {
        return percent(text, first, rest);
    }
    match (first, rest.trim().is_empty()) {
        ("help" | "?", true) => return Input::Magic(Call::Help, ""),
        ("quit" | "exit", true) => return Input::Magic(Call::Named("quit", Args::none()), ""),
        _ => {}
    }
    let name = first.strip_suffix('?').or_else(|| first.strip_prefix('?'));
    let fully = first.starts_with("??") || first.ends_with("??");
    match name.map(|name| name.trim_matches('?').trim()) {
        Some(name) if is_path(name) && fully => Input::Magic(Call::InspectFully(name), rest),
        Some(name) if is_path(name) => Input::Magic(Call::Inspect(name), rest),
        _ => Input::Code(text),
    }
}

/// `%name rest`; the code of a magic that takes some goes on below its line.
fn percent<'a>(text: &'a str, first: &'a str, rest: &'a str) -> Input<'a> {
    let (name, line) = split(&first[1..]);
    if let Some(name) = name.strip_suffix('?') {
        return Input::Magic(Call::About(name.trim_end_matches('?')), rest);
    }
    let body = None;
    match named(name).is_ok_and(|magic| magic.code) {
        true => {
            let (_, line) = split(&text[1..]);
            Input::Magic(Call::Named(name, Args { line, body }), "")
        }
        false => Input::Magic(Call::Named(name, Args { line, body }), rest),
    }
}

impl Args<'_> {
    fn none() -> Self {
        Self {
            line: "",
            body: None,
        }
    }
}

/// The first word, and the rest.
fn split(text: &str) -> (&str, &str) {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (name, rest.trim())
}

fn is_path(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
}

/// The parts of `let name = !command`.
pub(super) fn assigned(text: &str) -> Option<(&str, &str)> {
    let (name, command) = text.trim().strip_prefix("let ")?.split_once('=')?;
    let name = name.trim();
    let command = command.trim().strip_prefix('!')?;
    let fits = is_path(name) && !name.contains('.') && !command.contains('\n');
    fits.then_some((name, command.trim_start_matches('!').trim()))
}

/// The verdict on input that may begin with magics. Code under `%%name` ends with an empty line.
pub(in crate::session) fn completeness(text: &str, checker: &Checker) -> Completeness {
    match parse(text) {
        Input::Nothing => Completeness::Complete,
        Input::Code(code) if assigned(code).is_some() => Completeness::Complete,
        Input::Code(_) => checker.check(text),
        Input::Magic(
            Call::Named(
                _,
                Args {
                    body: Some(body), ..
                },
            ),
            _,
        ) => {
            let blank = text
                .lines()
                .last()
                .is_some_and(|line| line.trim().is_empty());
            let ended = text.ends_with('\n') || blank;
            match body.trim().is_empty() || !ended {
                true => Completeness::Incomplete,
                false => checker.check(body),
            }
        }
        Input::Magic(Call::Named(name, args), rest) => {
            let code = named(name).is_ok_and(|magic| magic.code);
            checker.check_input(if code { args.line } else { rest })
        }
        Input::Magic(_, rest) => checker.check_input(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_and_code() {
        let check = |text: &str, expected: &str| {
            let told = match parse(text) {
                Input::Nothing => "nothing".to_string(),
                Input::Code(code) => format!("code {code}"),
                Input::Magic(call, rest) => format!("{} / {rest}", told(&call)),
            };
            assert_eq!(told.trim_end_matches(" / "), expected, "{text}");
        };
        check("  ", "nothing");
        check("1 + 1", "code 1 + 1");
        check("%time f(1)", "time(f(1))");
        check("%time f(1,\n 2)", "time(f(1,\n 2))");
        check("%%time\nf(1)\ng()\n\n", "time()[f(1)\ng()]");
        check("%who\nf(1)", "who() / f(1)");
        check("%time?", "about time");
        check("!ls -l", "sh ls -l");
        check("!!ls -l\n1", "lines ls -l / 1");
        check("load?", "tell load");
        check("Stream.below??", "tell all of Stream.below");
        check("?load", "tell load");
        check("a ? b", "code a ? b");
        check("exit", "quit()");
        check("exit\n1", "code exit\n1");
    }

    fn told(call: &Call) -> String {
        match call {
            Call::Inspect(name) => format!("tell {name}"),
            Call::InspectFully(name) => format!("tell all of {name}"),
            Call::About(name) => format!("about {name}"),
            Call::Help => "help".into(),
            Call::Shell(command) => format!("sh {command}"),
            Call::Capture(command) => format!("lines {command}"),
            Call::Named(name, args) => {
                let body = args.body.map_or(String::new(), |body| format!("[{body}]"));
                format!("{name}({}){body}", args.line)
            }
        }
    }

    #[test]
    fn commands_that_are_kept() {
        assert_eq!(assigned("let files = !ls -l"), Some(("files", "ls -l")));
        assert_eq!(assigned("let files = !!ls"), Some(("files", "ls")));
        assert_eq!(assigned("let a.b = !ls"), None);
        assert_eq!(assigned("let a = b"), None);
    }

    #[test]
    fn unfinished_magics() {
        let checker = Checker::new();
        let check = |text: &str, complete: bool| {
            let verdict = completeness(text, &checker);
            assert_eq!(verdict == Completeness::Complete, complete, "{text:?}");
        };
        check("%who", true);
        check("%time f(1)", true);
        check("%time f(1,", false);
        check("%time for i in 0..3 {\n}", true);
        check("%%time", false);
        check("%%time\n", false);
        check("%%time\n1 + 1", false);
        check("%%time\n1 + 1\n", true);
        check("%%time\nfn f() {\n", false);
        check("!ls (", true);
        check("load?", true);
        check("%who\nfn f() {", false);
        check("let files = !ls (", true);
    }
}
