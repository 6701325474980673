//! How output looks: plain in pipes, dumb terminals and without colours, with pictures where they are
//! wanted, with a panel while a student is trained.

use std::io::Write as _;
use std::process::{Output, Stdio};

use super::cli::program;

/// What scripts show, each kind of it.
const ALL: &str = r#"
print(plot(#{a: [1, 3, 2], b: [2, 1, 3]}, #{title: "lines"}));
print(scatter([[1, 2], [3, 4]]));
print(histogram([1, 2, 2, 3]));
print(bars([["a", 1.0], ["b", -2.0]]));
print(heatmap([[0.0, 1.0], [0.5, -1.0]]));
print(table([#{name: "x", value: 1.5}]));
print(load("embedded:student").forward("the soup was").heat());
print(load("embedded:student"));
"#;

fn run(code: &str, env: &[(&str, &str)]) -> Output {
    let mut command = program();
    command.args(["-e", code]).envs(env.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn pipes_get_the_same_plain_text_whatever_the_terminal_can_do() {
    let plain = text(run(ALL, &[]).stdout);
    assert!(plain.contains("lines") && plain.contains('┤') && plain.contains('█'));
    for env in [
        &[("NO_COLOR", "1")][..],
        &[("TERM", "xterm-kitty"), ("KITTY_WINDOW_ID", "1")],
        &[("RLAIF_IMAGES", "sixel"), ("COLORTERM", "truecolor")],
        &[("CLICOLOR_FORCE", "1"), ("TERM", "xterm-256color")],
    ] {
        let output = run(ALL, env);
        assert_eq!(text(output.stdout), plain, "{env:?}");
        assert!(!text(output.stderr).contains('\x1b'), "{env:?}");
    }
    assert!(!plain.contains('\x1b'), "{plain}");
}

#[test]
fn dumb_terminals_get_ascii() {
    let shown = text(run(ALL, &[("TERM", "dumb")]).stdout);
    let odd: String = shown.chars().filter(|c| !c.is_ascii()).collect();
    // Tokens have their own signs for what can't be seen, whatever the terminal.
    assert!(
        odd.chars().all(|c| matches!(c, '␣' | '⏎' | '→')),
        "{odd}\n{shown}"
    );
}

#[test]
fn training_in_a_log_is_one_line() {
    let code = r#"
        let s = student(load("embedded:student"), #{rank: 1});
        sft(s, ["the soup was good ."], #{batch: 1}).run(3, #{on_step: |m| print("step")});
    "#;
    let output = run(code, &[("TERM", "xterm-256color")]);
    let told = text(output.stderr);
    assert_eq!(text(output.stdout), "step\nstep\nstep\n");
    assert_eq!(told.lines().count(), 1, "{told}");
    for part in [
        "train 3/3 in 0:0",
        "  loss ",
        "  grad ",
        " tokens/s",
        " steps/s",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(told.is_ascii() && !told.contains('\x1b'), "{told}");
}

#[test]
fn an_unknown_way_to_show_pictures_is_told() {
    let mut command = program();
    command.env("RLAIF_IMAGES", "kity").stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"1 + 1").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(text(output.stdout), "2\n");
    let told = text(output.stderr);
    assert!(
        told.contains("RLAIF_IMAGES") && told.contains("\"kitty\""),
        "{told}"
    );
}

#[cfg(unix)]
mod terminal {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use crate::terminal::Prompt;

    /// The data of the first picture, and what stands before it.
    fn picture(written: &[u8]) -> (String, Vec<u8>) {
        let text = String::from_utf8_lossy(written);
        let pieces = text.split("\x1b_G").skip(1);
        let pieces = pieces.map(|piece| piece.split_once("\x1b\\").unwrap().0);
        let pieces: Vec<(&str, &str)> = pieces.map(|p| p.split_once(';').unwrap()).collect();
        let data: String = pieces.iter().map(|(_, data)| *data).collect();
        (pieces[0].0.to_owned(), STANDARD.decode(data).unwrap())
    }

    #[test]
    fn kitty_shows_plots_as_pictures() {
        let env = [("TERM", "xterm-kitty"), ("KITTY_WINDOW_ID", "1")];
        let mut prompt = Prompt::open(&env);
        prompt.enter("plot([1, 2, 3])", "In [2]: ");
        let (head, png) = picture(&prompt.written);
        assert_eq!(head, "a=T,f=100,q=2,c=80,r=25,m=1");
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!((side(16), side(20)), (1280, 800));
        assert!(!prompt.text().contains('┤'));
    }

    /// A terminal that nobody knows is asked, once, and keys that come meanwhile are not lost.
    #[test]
    fn terminals_tell_whether_they_show_pictures() {
        let mut prompt = Prompt::open(&[]);
        prompt.type_keys("plot([1, 2, 3])\r");
        prompt.wait_written("\x1b[>q\x1b[16t\x1b[c");
        prompt.type_keys("4 +\x1bP>|XTerm(379)\x1b\\ 5\x1b[6;18;9t\x1b[?63;1;2;4;22c");
        prompt.wait("In [2]: 4 + 5");
        let written = String::from_utf8_lossy(&prompt.written).into_owned();
        let sixel = &written[written.find("\x1bP").unwrap()..];
        let image = icy_sixel::SixelImage::decode(sixel.as_bytes()).unwrap();
        assert_eq!((image.width, image.height), (720, 450));
        prompt.enter("", "Out[2]: 9");
        prompt.enter("plot([1, 2, 3])", "In [4]: ");
        let written = String::from_utf8_lossy(&prompt.written);
        assert_eq!(written.matches("\x1b[c").count(), 1);
        // One that shows none gets letters.
        let mut prompt = Prompt::open(&[]);
        prompt.type_keys("plot([1, 2, 3])\r");
        prompt.wait_written("\x1b[c");
        prompt.type_keys("\x1b[?1;2c");
        prompt.wait("┤");
        prompt.enter("6 * 7", "Out[2]: 42");
    }

    #[test]
    fn pictures_are_off_where_asked_and_without_colours() {
        for env in [
            ("RLAIF_IMAGES", "off"),
            ("NO_COLOR", "1"),
            ("TMUX", "/tmp/x,1,0"),
        ] {
            let mut prompt = Prompt::open(&[("TERM", "xterm-kitty"), env]);
            prompt.enter("plot([1, 2, 3])", "┤");
            assert!(
                !String::from_utf8_lossy(&prompt.written).contains("\x1b_G"),
                "{env:?}"
            );
        }
    }

    /// The panel stands below what is printed meanwhile, and makes room for one line when the work is done.
    #[test]
    fn training_shows_a_panel_that_prints_do_not_tear() {
        let mut prompt = Prompt::open(&[]);
        prompt.enter("let m = load(\"embedded:student\");", "In [2]: ");
        prompt.enter("let s = student(m, #{rank: 1});", "In [3]: ");
        prompt.enter(
            "let t = sft(s, [\"the soup was good .\"], #{batch: 1});",
            "In [4]: ",
        );
        let run = "t.run(30, #{on_step: |m| { print(\"done\"); sleep(0.02) }});";
        prompt.enter(run, "  loss ");
        prompt.wait("  grad ");
        prompt.wait("train 30/30 in 0:0");
        prompt.wait("In [5]: ");
        let text = prompt.text();
        assert_eq!(text.matches("\ndone").count(), 30, "{text}");
        let panel = text
            .lines()
            .filter(|line| line.starts_with("  loss") || line.contains('━'));
        assert_eq!(panel.count(), 0, "{text}");
        let written = String::from_utf8_lossy(&prompt.written);
        assert!(
            written.contains('█') && written.contains('▁'),
            "a curve of the loss"
        );
    }

    #[test]
    fn a_long_table_fits_the_screen_and_print_shows_it_all() {
        let mut prompt = Prompt::open(&[]);
        prompt.enter(
            "fn rows() { let r = []; for i in 0..100 { r.push([i, i * i]) } r }",
            "In [2]: ",
        );
        prompt.enter("let t = table(rows()); t", "… 70 more rows");
        let first = prompt
            .text()
            .lines()
            .any(|line| line.starts_with("In [2]: "));
        assert!(first, "{}", prompt.text());
        prompt.enter("print(t)", "In [4]: ");
        assert!(String::from_utf8_lossy(&prompt.written).contains("│ 50 │ 2500 │"));
    }
}
