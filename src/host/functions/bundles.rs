//! Files of models: compiling, and writing one form as the other.

use std::path::PathBuf;

use crate::diag::Result;
use crate::files::refuse_existing;
use crate::host::{Call, Key, Kind, ScriptFn, Topic, function};
use crate::package::{Model, compile};

pub(super) const TOPIC: Topic = Topic {
    name: "bundles",
    summary: "Files of Core ML models, of any kind that runs here: compile, save in the other form.",
    functions,
    types: Vec::new,
};

const REPLACE: &[Key] = &[Key::bool("force", false, "Replace what is there.")];

fn functions() -> Vec<ScriptFn> {
    vec![
        function("compile", "Compiles a model as Apple's compiler does: writes the .mlmodelc of it.")
            .param("path", Kind::Path(&["mlpackage", "mlmodel"]), "The model; a pipeline too.")
            .param("out", Kind::Output(&["mlmodelc"]), "Where to.")
            .options(REPLACE)
            .example("student(load(\"embedded:student\"), #{rank: 1}).save(\"s.mlpackage\"); compile(\"s.mlpackage\", \"c.mlmodelc\"); load(\"c.mlmodelc\", #{tokenizer: \"s.mlpackage/tokenizer.json\"}).vocab_size > 256", "true")
            .run(|call| {
                let (path, out): (PathBuf, PathBuf) = (call.get("path")?, call.get("out")?);
                compile(&path, &out, call.options.get("force")?).map(|_| ())
            }),
        function("save_as", "Writes the model in a file as another file; the ending tells the form.")
            .param("path", Kind::Path(&["mlmodelc", "mlpackage", "mlmodel"]), "The model; a pipeline too.")
            .param("out", Kind::Output(&["mlpackage", "mlmodelc"]), "Where to.")
            .options(REPLACE)
            .example("student(load(\"embedded:student\"), #{rank: 1}).save(\"s.mlmodelc\"); save_as(\"s.mlmodelc\", \"p.mlpackage\"); read_json(\"p.mlpackage/Manifest.json\").fileFormatVersion", "\"1.0.0\"")
            .run(save_as),
    ]
}

fn save_as(call: &mut Call) -> Result<()> {
    let (path, out): (PathBuf, PathBuf) = (call.get("path")?, call.get("out")?);
    refuse_existing(&out, call.options.get("force")?, "#{force: true}")?;
    Model::open(&path)?.save(&out)
}
