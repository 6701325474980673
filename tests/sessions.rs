//! The sessions of `tests/sessions/*.md`: documents that show what cells show, held against the program.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rlaif_repl::host::{Event, Recorder, Setup};
use rlaif_repl::report::Terminal;
use rlaif_repl::session::Session;

/// Each document, written again with what the program shows, is the same document.
#[test]
fn documents_show_what_the_program_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "md"));
    files.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let folder = tempfile::tempdir().unwrap();
        let document = std::fs::read_to_string(&file).unwrap();
        let shown = played(&document, folder.path());
        if std::env::var_os("RLAIF_BLESS").is_some() {
            std::fs::write(&file, &shown).unwrap();
            continue;
        }
        assert_eq!(
            shown,
            document,
            "{} (RLAIF_BLESS=1 writes it again)",
            file.display()
        );
    }
}

/// The document with the outputs of its cells as they come; what they write goes to the folder.
fn played(document: &str, folder: &Path) -> String {
    let recorder = Arc::new(Recorder::default());
    let mut session = Session::new(Setup {
        sink: recorder.clone(),
        ..Setup::still(folder.into())
    });
    let mut text = String::new();
    let mut lines = document.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(code) = line.strip_prefix("In: ") else {
            text += &format!("{line}\n");
            continue;
        };
        let mut code = code.to_string();
        while let Some(more) = lines.next_if(|line| line.starts_with("    ")) {
            code += &format!("\n{}", &more[4..]);
        }
        // The old output, up to the end of the block or the next cell.
        while lines
            .next_if(|line| !line.starts_with("In: ") && *line != "```")
            .is_some()
        {}
        text += &format!("In: {}\n", code.replace('\n', "\n    "));
        let shown = shows(&mut session, &recorder, &code);
        if !shown.is_empty() {
            text += &format!("{}\n", shown.trim_end());
        }
        if lines.peek().is_some_and(|line| *line != "```") {
            text.push('\n');
        }
    }
    text
}

fn shows(session: &mut Session, recorder: &Recorder, code: &str) -> String {
    let reply = session.submit(code);
    let outcome = reply.outcome;
    let screen = Terminal::default();
    let mut parts: Vec<String> = Vec::new();
    let mut written = String::new();
    for event in recorder.take() {
        match event {
            Event::Show(display) => parts.push(display.render(&screen)),
            Event::Write(text) => written.push_str(&text),
            Event::Note(text) => parts.push(text),
            Event::Progress(_) | Event::Clear => {}
        }
    }
    parts.extend(written.lines().map(str::to_owned));
    parts.extend(reply.page);
    if let Some(display) = session.show(&outcome.value, 80) {
        let text = display.render(&screen);
        let gap = if text.contains('\n') { '\n' } else { ' ' };
        parts.push(format!("Out:{gap}{text}"));
    }
    parts.extend(outcome.problem.map(|problem| problem.render(false)));
    parts.join("\n")
}
