//! The notebooks of `examples/`: what is stored in them is what the kernel shows.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::client::{Answer, Client};

#[test]
fn the_example_shows_what_is_stored_in_it() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/first_steps.ipynb");
    let stored: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let played = played(&stored);
    if std::env::var_os("RLAIF_BLESS").is_some() {
        return std::fs::write(&file, written(&played)).unwrap();
    }
    for (stored, played) in cells(&stored).zip(cells(&played)) {
        let hint = "RLAIF_BLESS=1 stores what is shown now";
        assert_eq!(
            played["execution_count"], stored["execution_count"],
            "{hint}"
        );
        assert_eq!(steady(played), steady(stored), "{}\n{hint}", source(played));
    }
    assert_eq!(cells(&stored).count(), cells(&played).count());
}

fn cells(notebook: &Value) -> impl Iterator<Item = &Value> {
    let cells = notebook["cells"].as_array().unwrap().iter();
    cells.filter(|cell| cell["cell_type"] == "code")
}

/// The notebook with the outputs of its cells as they come.
fn played(notebook: &Value) -> Value {
    let mut client = Client::start();
    let mut notebook = notebook.clone();
    for cell in notebook["cells"].as_array_mut().unwrap() {
        if cell["cell_type"] == "code" {
            let answer = client.run(&source(cell));
            assert_eq!(answer.reply["status"], "ok", "{answer:?}");
            cell["execution_count"] = answer.reply["execution_count"].clone();
            cell["outputs"] = outputs(answer).into();
        }
    }
    notebook
}

fn source(cell: &Value) -> String {
    text(&cell["source"])
}

/// What a cell leaves, as notebooks store it: updates in the place of what they update.
fn outputs(answer: Answer) -> Vec<Value> {
    let mut outputs: Vec<Value> = Vec::new();
    let mut displays: Vec<(Value, usize)> = Vec::new();
    for (kind, mut content) in answer.shown {
        let id = content["transient"]["display_id"].take();
        match kind.as_str() {
            "execute_input" => continue,
            "update_display_data" => {
                let (_, at) = displays.iter().find(|(known, _)| *known == id).unwrap();
                outputs[*at]["data"] = bundle(&content["data"]);
                continue;
            }
            "display_data" if id.is_string() => displays.push((id, outputs.len())),
            _ => {}
        }
        let data = || bundle(&content["data"]);
        outputs.push(match kind.as_str() {
            "stream" => json!({
                "name": content["name"], "output_type": "stream", "text": lines(&content["text"]),
            }),
            "display_data" => json!({ "data": data(), "metadata": {}, "output_type": kind }),
            "execute_result" => json!({
                "data": data(), "execution_count": content["execution_count"], "metadata": {}, "output_type": kind,
            }),
            kind => panic!("{kind} in an example: {content}"),
        });
    }
    outputs
}

fn bundle(data: &Value) -> Value {
    let entries = data.as_object().unwrap().iter();
    let mut forms: Vec<(String, Value)> = entries
        .map(|(kind, form)| (kind.clone(), lines(form)))
        .collect();
    forms.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(Map::from_iter(forms))
}

fn lines(value: &Value) -> Value {
    value.as_str().unwrap().split_inclusive('\n').collect()
}

fn text(lines: &Value) -> String {
    let lines = lines.as_array().unwrap().iter();
    lines.map(|line| line.as_str().unwrap()).collect()
}

/// The outputs of a cell as text, and the other forms that they have; of work with times in it, what it was and how
/// much of it was done.
fn steady(cell: &Value) -> Vec<(String, Vec<&str>)> {
    let outputs = cell["outputs"].as_array().unwrap();
    outputs.iter().map(output_text).collect()
}

fn output_text(output: &Value) -> (String, Vec<&str>) {
    let Some(forms) = output["data"].as_object() else {
        return (text(&output["text"]), Vec::new());
    };
    let plain = text(&forms["text/plain"]);
    let timed = output["data"]["text/html"]
        .to_string()
        .contains("<progress");
    let (done, _) = plain
        .split_once(" in ")
        .filter(|_| timed)
        .unwrap_or((&plain, ""));
    (done.to_string(), forms.keys().map(String::as_str).collect())
}

/// As Jupyter writes it.
fn written(notebook: &Value) -> String {
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, format);
    serde::Serialize::serialize(notebook, &mut writer).unwrap();
    String::from_utf8(bytes).unwrap() + "\n"
}
