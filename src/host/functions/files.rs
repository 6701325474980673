//! Text files and JSON.

use std::path::PathBuf;

use rhai::Dynamic;

use crate::diag::{Error, Result};
use crate::files;
use crate::host::json::to_json;
use crate::host::{Call, Key, Kind, ScriptFn, Topic, function};

pub(super) const TOPIC: Topic = Topic {
    name: "files",
    summary: "Text files and JSON.",
    functions,
    types: Vec::new,
};

fn functions() -> Vec<ScriptFn> {
    vec![
        function("read_text", "The text of a file.")
            .param("path", Kind::Path(&[]), "The file.")
            .returns("string")
            .example(
                "write_text(\"note.txt\", \"hi\"); read_text(\"note.txt\")",
                "\"hi\"",
            )
            .run(|call| read(call, "path")),
        function(
            "write_text",
            "Writes a text file in one step; an old one is replaced.",
        )
        .param("path", Kind::Output(&[]), "The file.")
        .param("text", Kind::Text, "What to write.")
        .example(
            "write_text(\"note.txt\", \"hi\"); read_text(\"note.txt\").len()",
            "2",
        )
        .run(write_text),
        function("json", "A value as JSON text.")
            .param(
                "value",
                Kind::Any,
                "Numbers, strings, arrays, maps, (), tables, tensors and their mixtures.",
            )
            .options(&[Key::bool("pretty", false, "Spread over lines.")])
            .returns("string")
            .example(
                "json(#{a: [1, 2.5], b: ()})",
                r#""{\"a\":[1,2.5],\"b\":null}""#,
            )
            .run(json),
        function("from_json", "The value that JSON text stands for.")
            .param("text", Kind::Text, "The JSON text.")
            .returns("any")
            .example(r#"from_json("{\"a\": [1, null]}").a"#, "[1, ()]")
            .run(|call| {
                let text: String = call.get("text")?;
                let value: serde_json::Value = serde_json::from_str(&text).map_err(json_error)?;
                rhai::serde::to_dynamic(value).map_err(|e| Error::new(e.to_string()))
            }),
        function("read_json", "The value in a JSON file.")
            .param("path", Kind::Path(&["json"]), "The file.")
            .returns("any")
            .example(
                "write_text(\"a.json\", \"[1, 2]\"); read_json(\"a.json\")",
                "[1, 2]",
            )
            .run(|call| {
                let text = read(call, "path")?;
                let value: serde_json::Value = serde_json::from_str(&text).map_err(json_error)?;
                rhai::serde::to_dynamic(value).map_err(|e| Error::new(e.to_string()))
            }),
    ]
}

fn json_error(error: serde_json::Error) -> Error {
    Error::new(format!("not JSON: {error}"))
}

fn read(call: &Call, name: &str) -> Result<String> {
    let path: PathBuf = call.get(name)?;
    let bytes = call.host.read(&path)?;
    String::from_utf8(bytes)
        .map_err(|_| Error::new(format!("{} is not UTF-8 text", path.display())))
}

fn write_text(call: &mut Call) -> Result<()> {
    let path: PathBuf = call.get("path")?;
    let text: String = call.get("text")?;
    files::write_atomic(&path, text.as_bytes())
}

fn json(call: &mut Call) -> Result<String> {
    let value = to_json(call.host.registry(), &call.get::<Dynamic>("value")?)?;
    let text = match call.options.get("pretty")? {
        true => serde_json::to_string_pretty(&value),
        false => serde_json::to_string(&value),
    };
    text.map_err(|error| Error::new(format!("can't be JSON: {error}")))
}
