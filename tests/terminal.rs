//! The prompt in a real terminal: keys in, screen out.
#![cfg(unix)]

use std::io::{Read as _, Write};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

pub const SIZE: PtySize = PtySize {
    rows: 40,
    cols: 100,
    pixel_width: 0,
    pixel_height: 0,
};
/// How long a busy machine may stay silent.
const PATIENCE: Duration = Duration::from_secs(20);
const PROGRAM: &str = env!("CARGO_BIN_EXE_rlaif-repl");
const UP: &str = "\x1b[A";

/// The program on a terminal of its own.
pub struct Prompt {
    pub screen: vt100::Parser,
    /// All that the program has written.
    pub written: Vec<u8>,
    bytes: Receiver<Vec<u8>>,
    keys: Box<dyn Write + Send>,
    pub child: Box<dyn Child + Send + Sync>,
    pub master: Box<dyn MasterPty + Send>,
    home: tempfile::TempDir,
}

impl Prompt {
    pub fn open(env: &[(&str, &str)]) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), env)
    }

    /// The program with arguments.
    pub fn open_with(args: &[&str]) -> Self {
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(args);
        Self::start(tempfile::tempdir().unwrap(), command, &[])
    }

    /// The program, and then what a shell runs.
    pub fn open_before(then: &str) -> Self {
        let mut shell = CommandBuilder::new("sh");
        // Signals of the keyboard are the program's alone.
        shell.args(["-c", &format!("set -m; {PROGRAM}; {then}")]);
        Self::start(tempfile::tempdir().unwrap(), shell, &[])
    }

    fn open_in(home: tempfile::TempDir, env: &[(&str, &str)]) -> Self {
        Self::start(home, CommandBuilder::new(PROGRAM), env)
    }

    fn start(home: tempfile::TempDir, mut command: CommandBuilder, env: &[(&str, &str)]) -> Self {
        let pair = native_pty_system().openpty(SIZE).unwrap();
        command.cwd(home.path());
        command.env("RLAIF_HISTORY", home.path().join("history"));
        command.env("TERM", "xterm-256color");
        for name in [
            "NO_COLOR",
            "COLORTERM",
            "TMUX",
            "STY",
            "KITTY_WINDOW_ID",
            "TERM_PROGRAM",
            "RLAIF_IMAGES",
        ] {
            command.env_remove(name);
        }
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, bytes) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        let size = |n| NonZero::new(n).unwrap();
        let screen = vt100::Parser::new(size(SIZE.rows), size(SIZE.cols), 0);
        let mut prompt = Self {
            screen,
            written: Vec::new(),
            bytes,
            keys,
            child,
            master: pair.master,
            home,
        };
        prompt.wait("In [1]: ");
        prompt
    }

    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    pub fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Types a line, Enter, and waits until the screen shows the words.
    pub fn enter(&mut self, line: &str, shown: &str) {
        self.type_keys(&format!("{line}\r"));
        self.wait(shown);
    }

    /// Waits until the screen shows the words.
    pub fn wait(&mut self, words: &str) {
        self.wait_for(words, |prompt| prompt.text().contains(words));
    }

    /// Waits until the program has written the words, seen or unseen.
    pub fn wait_written(&mut self, words: &str) {
        let written = |prompt: &Self| String::from_utf8_lossy(&prompt.written).contains(words);
        self.wait_for(words, written);
    }

    fn wait_for(&mut self, words: &str, came: impl Fn(&Self) -> bool) {
        while !came(self) {
            match self.bytes.recv_timeout(PATIENCE) {
                Ok(bytes) => {
                    self.screen.process(&bytes);
                    self.written.extend(bytes);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{words:?} did not appear:\n{}", self.text())
                }
            }
        }
    }

    /// Gives the window other columns; what is typed is written anew.
    fn resize(&mut self, cols: u16) {
        let before = self.written.len();
        self.master.resize(PtySize { cols, ..SIZE }).unwrap();
        let size = |n| NonZero::new(n).unwrap();
        self.screen
            .screen_mut()
            .set_size(size(SIZE.rows), size(cols));
        self.wait_for("the line", |prompt| prompt.written.len() > before);
    }

    /// Waits until the program has left.
    fn leaves(mut self) -> (u32, tempfile::TempDir) {
        let code = self.child.wait().unwrap().exit_code();
        (code, self.home)
    }
}

#[test]
fn cells_are_numbered_and_ctrl_d_leaves() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter("1 + 1", "Out[1]: 2");
    prompt.wait("In [2]: ");
    prompt.enter("_ * 21", "Out[2]: 42");
    prompt.enter("foo(1)", "unknown function foo(int)");
    prompt.wait("In [4]: ");
    prompt.type_keys("\x04");
    assert_eq!(prompt.leaves().0, 0);
}

#[test]
fn unfinished_input_goes_on_and_is_indented() {
    let mut prompt = Prompt::open(&[]);
    prompt.type_keys("fn double(x) {\r");
    prompt.type_keys("x * 2\r}\r");
    prompt.wait("In [2]: ");
    let text = prompt.text();
    assert!(text.contains("\n    x * 2\n}\n"), "{text}");
    prompt.enter("double(\"(\".len())", "Out[2]: 2");
}

#[test]
fn pasted_lines_are_one_cell() {
    let mut prompt = Prompt::open(&[]);
    prompt.type_keys("\x1b[200~let a = 1;\nlet b = 2;\na + b\x1b[201~\r");
    prompt.wait("Out[1]: 3");
}

#[test]
fn tab_completes_and_lists() {
    let mut prompt = Prompt::open(&[]);
    prompt.type_keys("elap\t");
    prompt.enter(" >= 0.0", "elapsed() >= 0.0");
    prompt.wait("Out[1]: true");
    prompt.type_keys("rng(1).\t");
    prompt.wait("A whole number from 0 up to, but not with, `n`.");
    prompt.type_keys("bel\t");
    prompt.enter("1)", "Out[2]: 0");
    prompt.type_keys("json(1, #{\t");
    prompt.wait("#{pretty: ");
}

#[test]
fn the_signature_is_hinted() {
    let mut prompt = Prompt::open(&[]);
    prompt.type_keys("format(");
    prompt.wait("format(x: float, digits: int)");
}

#[test]
fn history_lasts_beyond_the_session() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter("let kept = 17;", "In [2]: ");
    prompt.type_keys("\x04");
    let (_, home) = prompt.leaves();
    let mut prompt = Prompt::open_in(home, &[]);
    prompt.type_keys(UP);
    prompt.wait("In [1]: let kept = 17;");
    prompt.enter(" kept", "Out[1]: 17");
}

#[test]
fn arrows_recall_what_began_so() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter("let apple = 1;", "In [2]: ");
    prompt.enter("fn add(x) {\rx + 1\r}", "In [3]: ");
    prompt.enter("let bear = 2; bear", "Out[3]: 2");
    prompt.wait("In [4]: ");
    prompt.type_keys(&format!("let a{UP}\x05"));
    prompt.enter(" apple * 10", "Out[4]: 10");
    prompt.wait("In [5]: ");
    // A recalled cell of several lines runs as it is.
    prompt.enter(&format!("fn{UP}"), "In [6]: ");
    // From an empty line the arrows walk through all cells, line by line.
    prompt.enter(&format!("{UP}{UP}{UP}{UP}"), "Out[6]: 10");
}

/// An empty line ends what stands below `%%time`, as the prompt says; recalled, it runs at once.
#[test]
fn cells_of_magics_run_at_an_empty_line_and_as_recalled() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter("%%time\rlet a = 1;\ra + 40", "a + 40\nEnter runs the cell");
    prompt.enter("", "Out[1]: 41");
    prompt.wait("In [2]: ");
    assert!(!prompt.text().contains("Enter runs"), "{}", prompt.text());
    prompt.enter(UP, "Out[2]: 41");
    prompt.wait("In [3]: ");
    prompt.type_keys("\x12a + 4");
    prompt.wait("`a + 4': ");
    prompt.enter("", "Out[3]: 41");
    // Typed again, it is not yet at its end.
    prompt.wait("In [4]: ");
    prompt.type_keys("%%time\rlet a = 1;\ra + 40\r- 1\r\r");
    prompt.wait("Out[4]: 40");
}

#[test]
fn alt_enter_opens_a_line() {
    let mut prompt = Prompt::open(&[]);
    prompt.type_keys("let a = 20;\x1b\r");
    prompt.enter("a + 1", "Out[1]: 21");
}

/// The line is written anew, whichever thread hears of it.
#[test]
fn a_window_may_change_while_a_line_is_typed() {
    let mut prompt = Prompt::open(&[]);
    prompt.type_keys(&format!("\"{}last", "words and 长 ".repeat(10)));
    prompt.wait("last");
    prompt.resize(60);
    prompt.type_keys(" end\".len()");
    prompt.wait("end\".len()");
    let text = prompt.text();
    assert_eq!(text.matches("In [1]: ").count(), 1, "{text}");
    prompt.enter("", "Out[1]: 128");
}

#[test]
fn keys_of_vi() {
    let mut prompt = Prompt::open(&[("RLAIF_EDIT_MODE", "vi")]);
    prompt.type_keys("let a = 1; a\x1b");
    prompt.enter("0f1r7", "Out[1]: 7");
}

#[test]
fn ctrl_c_stops_the_evaluation_and_keeps_the_session() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter("let kept = 5;", "In [2]: ");
    prompt.enter("print(\"begun\"); loop { }", "\nbegun");
    prompt.type_keys("\x03");
    prompt.wait("stopped: interrupted");
    prompt.wait("In [3]: ");
    prompt.enter("print(\"asleep\"); sleep(1000)", "\nasleep");
    prompt.type_keys("\x03");
    prompt.wait("In [4]: ");
    prompt.enter("kept", "Out[4]: 5");
}

/// The text stands below its bar while it grows, goes when it is done, and what came by Ctrl-C is kept.
#[test]
fn text_grows_below_its_bar_and_ctrl_c_keeps_it() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter("let m = load(\"embedded:student\");", "In [2]: ");
    let slowly = "m.generate(\"the soup\", #{seed: 2, on_text: |text, row| sleep(0.1)})";
    prompt.enter(slowly, "\n at the c");
    prompt.type_keys("\x03");
    prompt.wait("finish: \"unfinished\"");
    prompt.wait("stopped: interrupted");
    prompt.enter("_.completion.starts_with(\" at the c\")", "Out[3]: true");
    let streamed = "m.generate(\"the soup\", #{seed: 2, max_new_tokens: 8, stream: true});";
    prompt.enter(streamed, "\n at the city museu\nIn [5]: ");
}

#[test]
fn ctrl_c_clears_the_line() {
    let mut prompt = Prompt::open(&[]);
    prompt.type_keys("let unwanted");
    prompt.wait("let unwanted");
    prompt.type_keys("\x03");
    prompt.wait("let unwanted\nIn [1]:");
    prompt.enter("2 + 2", "Out[1]: 4");
}

#[test]
fn help_and_magics() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter("rng?", "rng(seed: int | string) -> Stream");
    prompt.enter("%whoo", "did you mean \"who\"?");
    prompt.enter("let x = [1, 2];", "In [2]: ");
    prompt.enter("%who", "│ x    │ array │ [1, 2] │");
    prompt.enter("!echo shell", "\nshell");
    std::fs::write(prompt.home.path().join("s.rhai"), "let from_file = 9;").unwrap();
    prompt.type_keys("%run s.rhai\r");
    prompt.enter("from_file", "Out[2]: 9");
    prompt.enter("%time 1", "took ");
    prompt.type_keys("exit(4)\r");
    assert_eq!(prompt.leaves().0, 4);
}

#[test]
fn colours_are_off_when_asked() {
    let coloured = |env: &[(&str, &str)]| {
        let mut prompt = Prompt::open(env);
        prompt.enter("\"text\"", "Out[1]: \"text\"");
        let screen = prompt.screen.screen();
        (0..SIZE.rows).any(|row| {
            (0..SIZE.cols).any(|column| {
                screen
                    .cell(row, column)
                    .is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
            })
        })
    };
    assert!(coloured(&[]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
}

#[test]
fn a_dumb_terminal_has_a_plain_prompt() {
    let mut prompt = Prompt::open(&[("TERM", "dumb")]);
    prompt.type_keys("fn f() {\r");
    prompt.wait("   ...: ");
    prompt.type_keys("3 }\r");
    prompt.wait("In [2]: ");
    prompt.enter("f() + 4", "Out[2]: 7");
    prompt.type_keys("%%time\rlet k = 40;\rk + 8\r\r");
    prompt.wait("Out[3]: 48");
    prompt.type_keys("%quit\r");
    assert_eq!(prompt.leaves().0, 0);
}

// What operations are counted is the whole process' affair, so this one has its own.
#[test]
fn profiles_tell_lines_and_operations() {
    let mut prompt = Prompt::open(&[("TERM", "dumb")]);
    prompt.type_keys("fn square(x) {\rx * x\r}\r");
    prompt.wait("In [2]: ");
    prompt.type_keys("%%prof\rlet sum = 0;\rfor i in 0..5 {\rsum += square(i);\r}\rsum\r\r");
    prompt.wait("Out[2]: 30");
    prompt.wait("|     5 | In [1]:2 | x * x ");
    prompt.wait("|     5 | In [2]:3 | sum += square(i); |");
    prompt.wait("|     1 | In [2]:1 | let sum = 0; ");
    assert!(!prompt.text().contains("Operations"), "{}", prompt.text());
    prompt.enter("let m = load(\"embedded:student\");", "In [4]: ");
    prompt.enter("%prof m.forward(\"the soup\");", "Operations of models");
    prompt.wait("| operation");
    prompt.wait("| packed_linear ");
    prompt.enter("square(3)", "Out[5]: 9");
}

#[test]
fn breakpoints_open_the_prompt_in_their_frame() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter(
        "fn twice(x) { let y = x * 2; breakpoint(); y + 1 }",
        "In [2]: ",
    );
    prompt.enter("twice(4) * 10", "(debug) ");
    prompt.enter("y + 100", "108");
    prompt.enter("where", "twice called from In [2]:1:1");
    prompt.enter("locals", "│ y    │ int  │ 8 ");
    prompt.enter("y = 1", "(debug) y = 1");
    prompt.enter("c", "Out[2]: 20");
    // At the top level, also as the first thing that a cell does.
    prompt.enter("breakpoint(); 1 + 30", "In [3]:1:1");
    prompt.enter("6 * 111", "666");
    prompt.enter("c", "Out[3]: 31");
    prompt.enter("let k = 5; breakpoint(); k + 40", "In [4]:1:12");
    prompt.enter("k = 6", "(debug) k = 6");
    prompt.enter("c", "Out[4]: 46");
}

#[test]
fn a_breakpoint_sees_the_calls_that_led_to_it() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter("fn low(x) { breakpoint(); x + 1 }", "In [2]: ");
    prompt.enter(
        "fn high(xs) { let k = 30; xs.map(|x| { let z = x * k; low(z) }) }",
        "In [3]: ",
    );
    prompt.enter("let all = [7]; high(all)", "(debug) ");
    prompt.enter("x", "210");
    prompt.enter("up", "In [2]:1:55 in closure");
    prompt.enter("z + k + 1", "241");
    prompt.enter("u", "In [2]:1:30 in high");
    prompt.enter("k * 11", "330");
    prompt.enter("u", "In [3]:1:16");
    prompt.enter("all[0] * 11", "77");
    prompt.enter("u", "this is the outermost call");
    prompt.enter("d", "In [2]:1:30 in high");
    prompt.enter("c", "Out[3]: [211]");
}

#[test]
fn the_last_error_is_looked_into() {
    let mut prompt = Prompt::open(&[]);
    prompt.enter("fn part(n) { let left = n - 3; 10 / left }", "In [2]: ");
    prompt.enter("[1, 3].map(|n| part(n))", "division by zero");
    prompt.wait("In [3]: ");
    prompt.enter("%debug", "(error) ");
    prompt.enter("left + 1000", "1000");
    prompt.enter("n * 11", "33");
    prompt.enter("up", "(error) up\nIn [2]:1:16 in closure");
    prompt.enter("n + 900", "903");
    prompt.enter("q", "(error) q\nIn [3]:");
    prompt.enter("%debug part(5)", "(debug) ");
    prompt.enter("s", "In [1]:1:12 in part");
    prompt.enter("c", "Out[3]: 5");
}

#[test]
fn a_cell_is_edited_and_runs() {
    let home = tempfile::tempdir().unwrap();
    let editor = home.path().join("editor.sh");
    std::fs::write(&editor, "#!/bin/sh\nsed -i s/40/41/ \"$1\"\n").unwrap();
    let command = format!("sh {}", editor.display());
    let mut prompt = Prompt::open_in(home, &[("EDITOR", command.as_str()), ("VISUAL", "")]);
    prompt.enter("40 + 1", "Out[1]: 41");
    prompt.enter("%edit 1", "Out[2]: 42");
    prompt.type_keys("1 + 40 + 1\x18\x05");
    prompt.wait("In [3]: 1 + 41 + 1");
    prompt.enter("", "Out[3]: 43");
    prompt.enter("%save cells.rhai", "In [4]: ");
    prompt.enter("%load cells.rhai", "In [4]: 40 + 1;");
}
