//! `predict` and `serve`: one program of each kind, asked as another program would ask.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use rlaif_repl::mil::text;
use rlaif_repl::numeric::{Array, DType, from_safetensors, to_safetensors};
use rlaif_repl::package::{Bundle, Description, FeatureKind};
use serde_json::{Value, json};

use crate::cli::{program, run};

/// `main` adds `x` to the state `sum` and squares the new sum; `half` halves `x`.
const SUMS: &str = "program(1.3) {
    func half<ios18>(tensor<fp16, [2]> x) {
        tensor<fp16, [2]> y = mul(x = x, y = fp16(0.5));
    } -> (y);
    func main<ios18>(state<tensor<fp16, [2]>> sum, tensor<fp16, [2]> x) {
        tensor<fp16, [2]> before = read_state(input = sum);
        tensor<fp16, [2]> added = add(x = x, y = before);
        write_state(data = added, input = sum);
        tensor<fp16, [2]> after = read_state(input = sum);
        tensor<fp16, [2]> y = mul(x = after, y = after);
    } -> (y);
}";

const CLASSES: &str = "program(1.3) {
    func main<ios16>(tensor<fp32, [1, 2]> x) {
        tensor<fp32, [1, 2]> q = softmax(axis = int32(-1), x = x);
        list<string, 2> c = const()[val = list<string, 2>([\"cat\", \"dog\"])];
        string label, dict<string, fp64> p = classify(classes = c, probabilities = q);
    } -> (label, p);
}";

const UNKNOWN: &str = "program(1.3) {
    func main<ios16>(tensor<fp32, [2]> x) {
        tensor<fp32, [2]> y = frobnicate(x = x);
    } -> (y);
}";

/// A folder with the models above.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, source) in [("sums", SUMS), ("classes", CLASSES), ("unknown", UNKNOWN)] {
            let program = text::parse(source, name).unwrap().0;
            let mut description = Description::from_program(&program).unwrap();
            if name == "classes" {
                let main = description.functions.get_mut("main").unwrap();
                main.outputs[0].kind = FeatureKind::Other("String".into());
                main.outputs[1].kind = FeatureKind::Other("Dictionary<String>".into());
                main.predicted_feature = Some("label".into());
                main.predicted_probabilities = Some("p".into());
            }
            let path = folder.path(&format!("{name}.mlpackage"));
            Bundle::new(program, description).save(&path).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes one array of fp32, the way clients that know no fp16 do.
    fn write(&self, file: &str, name: &str, shape: &[usize], values: &[f32]) -> String {
        let array = Array::from_f32(shape.to_vec(), values).unwrap();
        let bytes = to_safetensors(&[(name.to_owned(), array)].into()).unwrap();
        std::fs::write(self.path(file), bytes).unwrap();
        self.text(file)
    }

    fn read(&self, file: &str) -> BTreeMap<String, Array> {
        from_safetensors(&std::fs::read(self.path(file)).unwrap()).unwrap()
    }
}

/// A server that is asked request by request.
struct Server {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Self {
        let mut command: Command = program();
        command
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    fn line(&mut self, line: &[u8]) -> Value {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(line).unwrap();
        input.write_all(b"\n").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    fn ask(&mut self, request: Value) -> Value {
        self.line(request.to_string().as_bytes())
    }

    /// Asks, and expects a refusal that says `words`.
    fn refused(&mut self, request: Value, words: &str) -> Value {
        let answer = self.ask(request);
        assert_eq!(answer["ok"], false, "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(words), "{error}");
        answer
    }

    /// Closes the input; the server ends by itself.
    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn a_state_lives_from_request_to_request() {
    let folder = Folder::new();
    let mut server = Server::start();
    let model = folder.text("sums.mlpackage");
    let answer = server.ask(json!({"cmd": "load", "model": model, "function": "main"}));
    assert_eq!(answer, json!({"ok": true, "model": 1}));
    let answer = server.ask(json!({"cmd": "new_state", "model": 1}));
    assert_eq!(answer, json!({"ok": true, "state": 2}));
    let (inputs, outputs) = (
        folder.write("in", "x", &[2], &[2.0, 1.0]),
        folder.text("out"),
    );
    let predict =
        json!({"cmd": "predict", "model": 1, "inputs": inputs, "outputs": outputs, "state": 2});
    for expected in [[4.0, 1.0], [16.0, 4.0]] {
        assert_eq!(
            server.ask(predict.clone()),
            json!({"ok": true, "values": {}})
        );
        let y = &folder.read("out")["y"];
        assert_eq!(
            (y.dtype(), y.to_f32s().as_slice()),
            (DType::Fp16, &expected[..])
        );
    }
    let read = json!({"cmd": "read_state", "state": 2, "name": "sum", "outputs": outputs});
    assert_eq!(server.ask(read), json!({"ok": true}));
    assert_eq!(folder.read("out")["sum"].to_f32s(), [4.0, 2.0]);
    let given = folder.write("given", "sum", &[2], &[0.0, -3.0]);
    let write = json!({"cmd": "write_state", "state": 2, "name": "sum", "inputs": given});
    assert_eq!(server.ask(write), json!({"ok": true}));
    server.ask(predict);
    assert_eq!(folder.read("out")["y"].to_f32s(), [4.0, 4.0]);
    assert_eq!(
        server.ask(json!({"cmd": "unload", "model": 1})),
        json!({"ok": true})
    );
    let read = json!({"cmd": "read_state", "state": 2, "name": "sum", "outputs": outputs});
    server.refused(read, "there is no state 2");
    server.end();
}

#[test]
fn bad_requests_are_answered_and_survived() {
    let folder = Folder::new();
    let mut server = Server::start();
    for line in [&b"{"[..], b"[]", b"\xff\xfe", b"{\"cmd\":\"fly\"}", b"null"] {
        let answer = server.line(line);
        assert!(
            answer["error"]
                .as_str()
                .unwrap()
                .starts_with("bad request: "),
            "{answer}"
        );
    }
    server.refused(
        json!({"cmd": "load", "model": "m", "functoin": "f"}),
        "unknown field `functoin`",
    );
    server.refused(
        json!({"cmd": "load", "model": folder.text("none")}),
        "there is no file",
    );
    let model = folder.text("sums.mlpackage");
    server.refused(
        json!({"cmd": "load", "model": model, "function": "mian"}),
        "did you mean \"main\"?",
    );
    let unknown = folder.text("unknown.mlpackage");
    let answer = server.refused(
        json!({"cmd": "load", "model": unknown}),
        "frobnicate (at \"y\")",
    );
    assert_eq!(answer["unsupported"], json!(["frobnicate"]));
    let loaded = server.ask(json!({"cmd": "load", "model": model}));
    let model = &loaded["model"];
    let predict = |inputs: String, model: &Value| json!({"cmd": "predict", "model": model, "inputs": inputs, "outputs": folder.text("out")});
    let good = folder.write("good", "x", &[2], &[1.0, 2.0]);
    server.refused(predict(good.clone(), &json!(99)), "there is no model 99");
    let long = folder.write("long", "x", &[3], &[0.0; 3]);
    server.refused(predict(long, model), "\"x\" has shape [3], expected [2]");
    let other = folder.write("other", "z", &[2], &[0.0; 2]);
    server.refused(predict(other, model), "unknown input \"z\"");
    std::fs::write(folder.path("text"), "text").unwrap();
    server.refused(
        predict(folder.text("text"), model),
        "not a safetensors file",
    );
    server.refused(predict(folder.text("gone"), model), "gone");
    assert_eq!(server.ask(predict(good, model))["ok"], true);
    server.end();
}

#[test]
fn classifiers_name_their_class() {
    let folder = Folder::new();
    let mut server = Server::start();
    server.ask(json!({"cmd": "load", "model": folder.text("classes.mlpackage")}));
    let inputs = folder.write("in", "x", &[1, 2], &[0.0, 3f32.ln()]);
    let outputs = folder.text("out");
    let predict = json!({"cmd": "predict", "model": 1, "inputs": inputs, "outputs": outputs});
    let values = server.ask(predict)["values"].clone();
    assert_eq!(values["label"], "dog");
    let p = |name: &str| values["p"][name].as_f64().unwrap();
    assert!(
        (p("cat") - 0.25).abs() < 1e-6 && (p("dog") - 0.75).abs() < 1e-6,
        "{values}"
    );
    server.end();
}

fn predict(folder: &Folder, extra: &[&str]) -> (bool, String, String) {
    let paths = ["sums.mlpackage", "in", "out"].map(|name| folder.text(name));
    let args = [
        &[
            "predict",
            "--model",
            &paths[0],
            "--inputs",
            &paths[1],
            "--outputs",
            &paths[2],
        ][..],
        extra,
    ];
    let output = run(&args.concat(), "");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn one_prediction_keeps_its_state_in_a_file() {
    let folder = Folder::new();
    folder.write("in", "x", &[2], &[3.0, -1.0]);
    let state = folder.text("state");
    for expected in [[3.0, -1.0], [6.0, -2.0]] {
        let (done, out, errors) = predict(&folder, &["--function", "main", "--state", &state]);
        assert!(done, "{errors}");
        assert_eq!(out, "{\"values\":{}}\n");
        assert_eq!(folder.read("state")["sum"].to_f32s(), expected);
        let squares = expected.map(|v| v * v);
        assert_eq!(folder.read("out")["y"].to_f32s(), squares);
    }
    let (done, ..) = predict(&folder, &["--function", "half"]);
    assert!(done && folder.read("out")["y"].to_f32s() == [1.5, -0.5]);
    let (done, _, errors) = predict(&folder, &["--function", "third"]);
    assert!(
        !done && errors.contains("unknown function \"third\""),
        "{errors}"
    );
    folder.write("in", "x", &[2, 1], &[3.0, -1.0]);
    let (done, _, errors) = predict(&folder, &[]);
    assert!(
        !done && errors.contains("\"x\" has shape [2, 1]"),
        "{errors}"
    );
}
