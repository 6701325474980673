//! `%export`: the session as a document, or the script that makes one of its values.

use std::path::Path;
use std::sync::Arc;

use rhai::{Dynamic, FnPtr};

use super::{Args, Magic, line};
use crate::diag::{Context as _, Error, Result};
use crate::host::{Recorder, Setup, show};
use crate::session::export::{notebook, page};
use crate::session::slice::{arguments, ended, script, slice};
use crate::session::{Reply, Session};

pub(super) const EXPORT: Magic = line(
    "export",
    "[name] file",
    "Writes the session as .rhai, .ipynb or .html; with a name, the script that makes that value.",
    "%export result result.rhai keeps only the cells that result needs, runs them in a fresh session with the same\n\
     seed, and says whether the same value came of it. Notebooks and pages show what the cells showed.",
    export,
);

fn export(session: &mut Session, args: &Args) -> Result<Reply> {
    let words: Vec<&str> = args.line.split_whitespace().collect();
    match words[..] {
        [file] => document(session, file.trim_matches('"')),
        [name, file] => value(session, name, file.trim_matches('"')),
        _ => Err(Error::new("%export needs a file")
            .hint("%export session.html, %export result result.rhai")),
    }
}

fn document(session: &mut Session, file: &str) -> Result<Reply> {
    let path = session.host.resolve(file);
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let text = match &*ending {
        "rhai" => {
            let cells = session.cells();
            let script = cells.iter().filter(|(_, code)| !code.starts_with("!!"));
            script.map(|(_, code)| ended(code)).collect()
        }
        "ipynb" => format!("{:#}\n", notebook(&session.document())),
        "html" => page(&session.document(), &stem),
        _ => {
            return Err(Error::new(format!("can't export a session as \"{file}\""))
                .hint("the name ends in .rhai, .ipynb or .html"));
        }
    };
    write(session, &path, &text)?;
    let cells = session.cells().len();
    session.host.print(format!("{file}: {cells} cells"));
    Ok(Reply::nothing())
}

fn write(session: &Session, path: &Path, text: &str) -> Result<()> {
    session.host.may_write(path)?;
    std::fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

fn value(session: &mut Session, name: &str, file: &str) -> Result<Reply> {
    let Some(wanted) = session.scope.get(name).cloned() else {
        let known = session.variables().map(|(name, _)| name);
        return Err(Error::unknown("variable", name, known));
    };
    let entries = &session.journal;
    let parts = slice(entries, name)?;
    let count = format!("{} of {} cells", parts.len(), entries.len());
    let body = script(entries, &parts)?;
    let seed = session.seed;
    let args = arguments(entries, &parts)?.to_vec();
    let with = match args.is_empty() {
        true => String::new(),
        false => format!(" and the arguments {}", args.join(" ")),
    };
    let text = format!("// Makes `{name}`; run it with --seed {seed}{with}.\n{body}{name}\n");
    let path = session.host.resolve(file);
    write(session, &path, &text)?;
    let verdict = checked(session, &wanted, (&path, args))
        .with_context(|| format!("{file} was written ({count}), but run afresh it fails"))?;
    session.host.print(format!("{file}: {count}; {verdict}"));
    Ok(Reply::nothing())
}

/// Runs the script in a fresh session and compares what comes of it.
fn checked(
    session: &Session,
    wanted: &Dynamic,
    (path, args): (&Path, Vec<String>),
) -> Result<String> {
    let sink = Arc::new(Recorder::default());
    let again = session.host.again(session.seed, sink);
    let mut fresh = Session::new(Setup { args, ..again });
    let outcome = fresh.run_file(path)?;
    if let Some(problem) = outcome.problem {
        return Err(Error::new(problem.message));
    }
    let registry = session.host.registry();
    let found = &outcome.value;
    let (line, made) = (show::line(registry, wanted), show::line(registry, found));
    let same = (wanted.type_id(), &line) == (found.type_id(), &made);
    match session.digest(wanted).zip(fresh.digest(found)) {
        Some((wanted, found)) if wanted == found => Ok(format!(
            "checked: run afresh it makes the same value (sha256 {})",
            &wanted[..12]
        )),
        // The script may call a function by a name that tells it from its later version.
        Some(_) if !wanted.is::<FnPtr>() => Err(different(&line, &made)),
        _ if same => Ok(format!(
            "run afresh it makes a {} that looks the same; its content can't be compared",
            show::type_name(wanted)
        )),
        _ => Err(different(&line, &made)),
    }
}

fn different(wanted: &str, found: &str) -> Error {
    let cut = |text: &str| text.chars().take(80).collect::<String>();
    Error::new(format!("it makes {}, not {}", cut(found), cut(wanted)))
        .hint("time, files that changed, or a failed cell that trained a model can do that")
}
