//! The language server as an editor meets it: the real program over pipes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::cli::program;

struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
    next: i64,
}

impl Client {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = program()
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut client = Self {
            child,
            input,
            output,
            folder,
            next: 0,
        };
        let root = client.uri("");
        let snippets =
            json!({"textDocument": {"completion": {"completionItem": {"snippetSupport": true}}}});
        let answer = client.ask(
            "initialize",
            json!({"rootUri": root, "capabilities": snippets}),
        );
        assert_eq!(answer["serverInfo"]["name"], "rlaif-repl");
        client.tell("initialized", json!({}));
        client
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}", self.folder.path().join(name).display())
    }

    fn write(&mut self, text: &str) {
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.write(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    fn read(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(
                self.output.read_line(&mut line).unwrap() > 0,
                "the server is gone"
            );
            match line.trim().split_once(": ") {
                Some((_, value)) => length = value.parse().unwrap(),
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.write(
            &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string(),
        );
        loop {
            let message = self.read();
            if message["id"] == id {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].clone();
            }
        }
    }

    /// Opens a text and gives what is told of it: `line:character message`.
    fn open(&mut self, name: &str, text: &str) -> Vec<String> {
        let document =
            json!({"uri": self.uri(name), "languageId": "rhai", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
        self.problems()
    }

    fn problems(&mut self) -> Vec<String> {
        let note = self.read();
        assert_eq!(note["method"], "textDocument/publishDiagnostics");
        let found = note["params"]["diagnostics"].as_array().unwrap();
        let told = |problem: &Value| {
            let start = &problem["range"]["start"];
            format!(
                "{}:{} {}",
                start["line"],
                start["character"],
                problem["message"].as_str().unwrap()
            )
        };
        found.iter().map(told).collect()
    }

    /// Asks about the place of the `^` in a text.
    fn at(&mut self, method: &str, marked: &str) -> Value {
        let byte = marked.find('^').unwrap();
        let text = marked.replacen('^', "", 1);
        let before = &text[..byte];
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap().encode_utf16().count();
        self.open("at.rhai", &text);
        let document = json!({"uri": self.uri("at.rhai")});
        let place = json!({"line": line, "character": column});
        self.ask(
            &format!("textDocument/{method}"),
            json!({"textDocument": document, "position": place}),
        )
    }

    /// The labels that are offered, and the first's text.
    fn offers(&mut self, marked: &str) -> (Vec<String>, String) {
        let items = self.at("completion", marked)["items"].clone();
        let items = items.as_array().unwrap();
        let labels = items
            .iter()
            .map(|item| item["label"].as_str().unwrap().to_string());
        let first = items
            .first()
            .map_or("", |item| item["textEdit"]["newText"].as_str().unwrap());
        (labels.collect(), first.to_string())
    }
}

#[test]
fn problems_follow_the_text() {
    let mut client = Client::start();
    let told = client.open(
        "a.rhai",
        "let a = 1;\nlet x = \"😀\" + nope;\nload(\"m\", #{engin: 1});",
    );
    assert_eq!(
        told,
        [
            "1:15 unknown variable nope",
            "2:12 load: unknown option \"engin\"\ndid you mean \"engine\"?"
        ]
    );
    let document = json!({"uri": client.uri("a.rhai"), "version": 2});
    let change = json!({"textDocument": document, "contentChanges": [{"text": "let x = 1;"}]});
    client.tell("textDocument/didChange", change);
    assert!(client.problems().is_empty());
    let told = client.open("b.rhai", "let a = ;");
    assert_eq!(told, ["0:8 unexpected ';'"]);
}

#[test]
fn completion_knows_types_and_options() {
    let mut client = Client::start();
    std::fs::write(
        client.folder.path().join("lib.rhai"),
        "/// Adds one.\nfn more(n) { n + 1 }",
    )
    .unwrap();
    let mut check = |marked: &str, labels: &[&str], text: &str| {
        let (found, first) = client.offers(marked);
        assert_eq!(
            (&found[..], first.as_str()),
            (
                &labels.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
                text
            ),
            "{marked}"
        );
    };
    check("let m = load(\"x\");\nm.forw^", &["forward"], "forward($0)");
    check("load(\"x\", #{engine: \"ap^\"})", &["apple"], "apple");
    check("load(\"x\", #{preci^})", &["precision"], "precision: ");
    check("import \"lib\" as l;\nl::m^", &["more"], "more($0)");
    check("fn later(x) {}\nlate^(1)", &["later"], "later");
}

#[test]
fn help_signatures_symbols_and_definitions() {
    let mut client = Client::start();
    std::fs::write(
        client.folder.path().join("lib.rhai"),
        "/// Adds one.\nfn more(n) { n + 1 }",
    )
    .unwrap();
    let mut hover = |marked: &str| {
        let told = client.at("hover", marked);
        told["contents"]["value"].as_str().unwrap_or("").to_string()
    };
    assert!(hover("let m = loa^d(\"x\");").contains("Loads a Core ML language model"));
    assert!(hover("let m = load(\"x\"); m.car^d()").contains("Model.card() -> Table"));
    assert_eq!(
        hover("let m = load(\"x\"); ^m"),
        "```rhai\nlet m: Model\n```\n"
    );
    assert!(hover("load(\"x\", #{eng^ine: \"apple\"})").contains("default \"portable\""));
    assert!(hover("import \"lib\" as l; l::mo^re(1)").contains("Adds one."));
    assert_eq!(hover("let ^"), "");
    let help = client.at("signatureHelp", "load(\"x\", #{engine: ^");
    assert_eq!(
        help["signatures"][0]["label"],
        "load(path: path, #{..}) -> Model"
    );
    assert_eq!(help["activeParameter"], 1);
    let place = client.at("definition", "import \"lib\" as l;\nl::mo^re(1)");
    assert_eq!(place["uri"], client.uri("lib.rhai"));
    assert_eq!(place["range"]["start"], json!({"line": 1, "character": 3}));
    let place = client.at("definition", "fn twice(x) { x * 2 }\ntwi^ce(1)");
    assert_eq!(place["range"]["start"], json!({"line": 0, "character": 3}));
    client.open("s.rhai", "let top = 1;\nfn f(a) {\n  let inner = a;\n}");
    let uri = client.uri("s.rhai");
    let symbols = client.ask(
        "textDocument/documentSymbol",
        json!({"textDocument": {"uri": uri}}),
    );
    let names: Vec<&str> = symbols
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["top", "f"]);
}

#[test]
fn edits_are_applied_where_the_editor_makes_them() {
    let mut client = Client::start();
    assert!(
        client
            .open("a.rhai", "#!/usr/bin/env rlaif-repl\nlet s = \"😀\";\n")
            .is_empty()
    );
    let uri = client.uri("a.rhai");
    let mut edit = |line: u32, from: u32, to: u32, text: &str| {
        let place = |character| json!({"line": line, "character": character});
        let change = json!({"range": {"start": place(from), "end": place(to)}, "text": text});
        let params =
            json!({"textDocument": {"uri": uri, "version": 2}, "contentChanges": [change]});
        client.tell("textDocument/didChange", params);
        client.problems()
    };
    assert_eq!(edit(1, 12, 13, " + nope;"), ["1:15 unknown variable nope"]);
    assert!(edit(1, 15, 19, "1").is_empty());
    assert_eq!(edit(0, 1, 2, ""), ["0:0 '#' is a reserved symbol"]);
}

#[test]
fn imports_follow_what_is_open() {
    let mut client = Client::start();
    let told = client.open("a.rhai", "import \"lib\" as l;\nprint(l::more(1));");
    assert_eq!(told.len(), 1, "{told:?}");
    let uri = client.uri("lib.rhai");
    // The script is told of again after the module that it imports.
    assert!(client.open("lib.rhai", "fn more(a, b) { a + b }").len() == 1);
    assert!(client.problems().is_empty());
    client.tell(
        "textDocument/didClose",
        json!({"textDocument": {"uri": uri}}),
    );
    assert!(client.problems().is_empty());
    assert_eq!(client.problems().len(), 1);
    std::fs::write(client.folder.path().join("lib.rhai"), "fn more(n) { n }").unwrap();
    let change = json!({"changes": [{"uri": uri, "type": 1}]});
    client.tell("workspace/didChangeWatchedFiles", change);
    assert!(client.problems().is_empty());
    assert!(
        client
            .open("ours.d.rhai", "fn get x(a: ?) -> int;")
            .is_empty()
    );
}

#[test]
fn bad_messages_do_not_end_it() {
    let mut client = Client::start();
    client.write("{ no json");
    assert_eq!(client.read()["error"]["code"], -32700);
    client.write("[]");
    assert_eq!(client.read()["error"]["code"], -32700);
    client.tell("textDocument/didOpen", json!({"nonsense": true}));
    client
        .write(&json!({"jsonrpc": "2.0", "id": 90, "method": "no/such", "params": {}}).to_string());
    assert_eq!(client.read()["error"]["code"], -32601);
    client.write(
        &json!({"jsonrpc": "2.0", "id": 91, "method": "textDocument/hover", "params": {}})
            .to_string(),
    );
    assert_eq!(client.read()["error"]["code"], -32602);
    assert_eq!(client.open("a.rhai", "nope"), ["0:0 unknown variable nope"]);
    assert_eq!(client.ask("shutdown", Value::Null), Value::Null);
    client.tell("exit", Value::Null);
    assert!(client.child.wait().unwrap().success());
}
