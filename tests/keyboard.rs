//! Keys that are typed while code runs: unseen, kept for the next prompt, and the terminal as it was after all.
#![cfg(unix)]

use std::time::Duration;

use super::terminal::Prompt;

/// Whether the terminal shows what is typed, once it does or does not as expected.
fn waits_until_echo(prompt: &Prompt, expected: bool) {
    let echo = || {
        let mode = prompt.master.get_termios().unwrap();
        format!("{:?}", mode.local_flags).contains("ECHO ")
    };
    // 20 s.
    for _ in 0..2000 {
        if echo() == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("echo: {}", echo());
}

/// Begins work that lasts in the cell of that number, and waits until it has begun.
fn busy(prompt: &mut Prompt, cell: usize, seconds: f32) {
    let code = format!("print(`begun ${{{cell}}}`); sleep({seconds})");
    prompt.enter(&code, &format!("\nbegun {cell}"));
}

#[test]
fn keys_are_unseen_while_code_runs_and_come_next() {
    let mut prompt = Prompt::open(&[]);
    busy(&mut prompt, 1, 0.5);
    prompt.type_keys("20 + 3\r\"half");
    prompt.wait("Out[2]: 23");
    prompt.wait("In [3]: \"half");
    let text = prompt.text();
    assert_eq!(text.matches("20 + 3").count(), 1, "{text}");
    prompt.enter(" done\"", "Out[3]: \"half done\"");
    // Ctrl-C forgets what was typed, as it does in a shell.
    busy(&mut prompt, 4, 60.0);
    prompt.type_keys("4321\r\x03");
    prompt.wait("stopped: interrupted");
    prompt.enter("5 + 5", "In [5]: 5 + 5\nOut[5]: 10");
    assert!(!prompt.text().contains("4321"), "{}", prompt.text());
}

#[test]
fn commands_and_questions_have_the_keyboard() {
    let mut prompt = Prompt::open(&[]);
    prompt.type_keys("!echo asks; read word; echo got $word\r");
    prompt.wait("\nasks");
    prompt.enter("apple", "\ngot apple\nIn [1]: ");
    prompt.type_keys("let lines = !echo more >&2; read word; echo $word.$word\r");
    prompt.wait("\nmore");
    prompt.enter("fig", "fig\nIn [1]: ");
    prompt.enter("lines", "Out[1]: [\"fig.fig\"]");
    prompt.enter("breakpoint(); print(\"on\"); sleep(0.5); 1", "(debug) ");
    prompt.enter("1 + 1\rc", "\non");
    prompt.type_keys("17\r");
    prompt.wait("Out[3]: 17");
}

/// The shell dies at once, but it is `sleep` that keeps the line waiting.
#[test]
fn commands_end_with_their_time() {
    let mut prompt = Prompt::open_with(&["--time-limit", "200ms"]);
    prompt.enter("!sleep 600; echo on", "time limit of 200ms is over");
    prompt.enter("6 * 7", "Out[1]: 42");
    prompt.enter("let lines = !sleep 600; echo on", "is over");
    prompt.enter("6 * 8", "Out[2]: 48");
}

/// Tells whether the terminal shows what is typed.
const TELL: &str = "stty -a | tr -s ' ;' '\\n' | grep '^-*echo$'";

#[test]
fn ctrl_z_gives_the_terminal_back() {
    let mut prompt = Prompt::open_before(&format!("{TELL}; fg; {TELL}; fg; {TELL}; echo end"));
    busy(&mut prompt, 1, 0.5);
    waits_until_echo(&prompt, false);
    prompt.type_keys("\x1a");
    prompt.wait("\necho\n");
    waits_until_echo(&prompt, false);
    prompt.type_keys("40 + 2\r");
    prompt.wait("Out[2]: 42");
    // At the prompt, too: what is typed afterwards is the editor's again.
    prompt.wait("In [3]: ");
    prompt.type_keys("11 +\x1a");
    prompt.wait("In [3]: 11 +echo\n");
    prompt.wait("\nIn [3]: 11 +");
    waits_until_echo(&prompt, false);
    prompt.enter(" 22", "Out[3]: 33");
    prompt.type_keys("\x04");
    prompt.wait("\necho\nend");
}

/// Where no shell would take the program up again.
#[test]
fn ctrl_z_does_nothing_alone() {
    let mut prompt = Prompt::open(&[]);
    busy(&mut prompt, 1, 0.3);
    prompt.type_keys("\x1a");
    prompt.enter("5 + 6", "Out[2]: 11");
    prompt.type_keys("\x1a");
    prompt.enter("6 + 6", "Out[3]: 12");
}

#[test]
fn every_way_out_restores_the_terminal() {
    for (keys, wait) in [
        ("exit(3)\r", false),
        ("\x04", false),
        ("foo()\r\x04", false),
        ("print(\"begun\"); sleep(60)\r", true),
    ] {
        let mut prompt = Prompt::open_before(&format!("{TELL}; echo end"));
        prompt.type_keys(keys);
        if wait {
            prompt.wait("\nbegun");
            prompt.type_keys("\x1c");
        }
        prompt.wait("\necho\nend");
    }
}
