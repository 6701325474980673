//! Magics that measure, wait or write documents.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, SystemTime};

use nbformat::{Notebook, v4};

use super::Bench;
use crate::host::{Clock, Event, Sink};
use crate::report::Display;

/// Each look at it is a millisecond later.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn wait(&self, _: Duration) {
        std::thread::yield_now();
    }

    fn now(&self) -> String {
        "2026-01-01T00:00:00Z".into()
    }
}

#[test]
fn timeit_runs_code_again_and_again() {
    let mut bench = Bench::new();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    bench.session.engine.register_fn("called", move || {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    bench.check("let k = 1; random();", "");
    let next = bench.shows("random()");
    bench.submits("%back");
    let told = bench.submits("%timeit -n 3 -r 2 called(); k += random()");
    assert!(
        told.ends_with("(mean ± std of 2 runs of 3 loops), best 0.000ns"),
        "{told}"
    );
    // The first is to warm up.
    assert_eq!(count.load(Ordering::Relaxed), 1 + 2 * 3);
    bench.check("k", "1");
    bench.check("random()", &next);
    let next = bench.session.next_cell();
    bench.submits("%%timeit -n 1 -r 1\nfn g() { called() }\ng()");
    assert_eq!(count.load(Ordering::Relaxed), 7 + 2);
    assert_eq!(bench.session.next_cell(), next, "no cell of its own");
    assert!(bench.shows("g()").contains("unknown function g"));
    let check = |bench: &mut Bench, input: &str, expected: &str| {
        let told = bench.submits(input);
        assert!(told.contains(expected), "{input}: {told}");
    };
    check(&mut bench, "%timeit", "%timeit needs code");
    check(&mut bench, "%timeit -n 0 called()", "-n needs a count");
    check(&mut bench, "%timeit throw \"no\"", "no");
    check(&mut bench, "%timeit called(", "error");
}

/// Hands on what is told.
struct Teller(Sender<String>);

impl Sink for Teller {
    fn show(&self, event: Event) {
        if let Event::Show(Display::Text(text)) = event {
            // Nobody listens any more when the script has ended.
            let _ = self.0.send(text);
        }
    }
}

/// Writes the script at once, with a time of its own.
fn save(file: &Path, code: &str, later: u64) {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, code).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(later);
    let open = std::fs::File::options().write(true).open(&fresh).unwrap();
    open.set_modified(time).unwrap();
    std::fs::rename(&fresh, file).unwrap();
}

#[test]
fn watch_runs_a_script_each_time_it_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("step.rhai");
    let (seen, told) = channel();
    let interrupt = Arc::new(AtomicBool::new(false));
    let mut bench = Bench::with(|setup| {
        setup.base = folder.path().into();
        setup.clock = Arc::new(Ticks::default());
        setup.interrupt = interrupt.clone();
        setup.sink = Arc::new(Teller(seen));
    });
    save(&file, "let n = param(\"n\", 1); print(`one ${n}`);", 0);
    let user = std::thread::spawn(move || {
        let mut lines = Vec::new();
        let mut runs = 0;
        while let Ok(line) = told.recv_timeout(Duration::from_secs(20)) {
            let waits = line.contains("waiting until it is saved");
            lines.push(line);
            runs += u64::from(waits);
            match (waits, runs) {
                (false, _) => {}
                (true, 1) => save(&file, "print(\"two\"); throw \"broken\";", 10),
                (true, 2) => save(&file, "print(n + 40);", 20),
                (true, _) => {
                    interrupt.store(true, Ordering::Relaxed);
                    return lines;
                }
            }
        }
        panic!("it does not go on: {lines:?}");
    });
    let reply = bench.session.submit("%watch step.rhai --n 2");
    let lines = user.join().unwrap();
    let mut lines = lines.iter().filter(|line| !line.contains("waiting"));
    assert_eq!(lines.next().unwrap(), "one 2");
    assert_eq!(lines.next().unwrap(), "two");
    let problem = lines.next().unwrap();
    assert!(problem.starts_with("error: broken"), "{problem}");
    assert_eq!(lines.next().unwrap(), "42");
    assert!(reply.outcome.is_ok());
    assert_eq!(bench.session.host.args(), [""; 0]);
}

/// A session that shows one of each.
fn shown() -> Bench {
    let mut bench = Bench::new();
    bench.submits("// <numbers>\nlet rows = [#{name: \"a & b\", n: 1}, #{name: \"c\", n: 2}];");
    bench.submits("print(\"x < y\"); table(rows)");
    bench.submits("plot([1, 4, 9])");
    bench.submits("1 + nowhere");
    bench
}

#[test]
fn notebooks_have_the_outputs() {
    let mut bench = shown();
    assert_eq!(
        bench.submits("%export session.ipynb"),
        "session.ipynb: 4 cells"
    );
    let text = std::fs::read_to_string(bench.folder.path().join("session.ipynb")).unwrap();
    let Notebook::V4(notebook) = nbformat::parse_notebook(&text).unwrap() else {
        panic!("not of format 4.5, or odd: {text}");
    };
    let kernel = notebook.metadata.kernelspec.unwrap();
    assert_eq!(kernel.name, "rlaif-repl");
    let language = notebook.metadata.language_info.unwrap();
    assert_eq!(language.name, "rhai");
    let cells: Vec<(String, Vec<v4::Output>)> = notebook
        .cells
        .into_iter()
        .map(|cell| match cell {
            v4::Cell::Code {
                source, outputs, ..
            } => (source.concat(), outputs),
            _ => panic!("not code"),
        })
        .collect();
    assert_eq!(cells[1].0, "print(\"x < y\"); table(rows)");
    assert!(cells[0].1.is_empty());
    let told = serde_json::to_value(cells.iter().map(|cell| &cell.1).collect::<Vec<_>>()).unwrap();
    let field = |cell: usize, output: usize, path: &str| {
        let value = &told[cell][output];
        let value = value
            .pointer(path)
            .unwrap_or_else(|| panic!("{path}\n{told:#}"));
        match value.as_array() {
            Some(lines) => lines.iter().filter_map(|line| line.as_str()).collect(),
            None => value.as_str().unwrap_or("").to_string(),
        }
    };
    assert_eq!(field(1, 0, "/text"), "x < y\n");
    assert_eq!(field(1, 1, "/output_type"), "execute_result");
    assert!(field(1, 1, "/data/text~1html").contains("a &amp; b"));
    assert!(field(1, 1, "/data/text~1plain").contains("a & b"));
    assert!(field(2, 0, "/data/image~1svg+xml").contains("<svg"));
    assert_eq!(field(3, 0, "/output_type"), "error");
    assert!(field(3, 0, "/evalue").contains("nowhere"));
}

#[test]
fn pages_have_the_outputs() {
    let mut bench = shown();
    assert_eq!(
        bench.submits("%export session.html"),
        "session.html: 4 cells"
    );
    let text = std::fs::read_to_string(bench.folder.path().join("session.html")).unwrap();
    let check = |part: &str| assert!(text.contains(part), "{part}\n{text}");
    check("<title>session</title>");
    check("<span class=\"c\">// &lt;numbers&gt;</span>");
    check("<pre>x &lt; y</pre>");
    check("<table");
    check("a &amp; b</td>");
    check("<svg ");
    check("<pre class=\"error\">error: unknown variable");
    assert!(!text.contains("src="), "it stands alone");
}
