//! Conversions as a whole: what is written, what is refused, and that nothing is left of what failed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rlaif_repl::convert::{ConvertOptions, Found, Job, Precision};
use rlaif_repl::diag::Interrupt;
use rlaif_repl::models::{Compression, CoreMLModelWrapper, LoadOptions};
use rlaif_repl::numeric::{Array, from_safetensors, to_safetensors};
use rlaif_repl::package::Bundle;
use rlaif_repl::tokenizer::train_bpe;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::folder;

/// A copy of a fixture that may be spoilt.
struct Source(TempDir);

impl Source {
    fn of(family: &str) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for name in ["config.json", "model.safetensors"] {
            fs::copy(folder(family).join(name), copy.path().join(name)).unwrap();
        }
        Self(copy)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn config(self, change: impl FnOnce(&mut Map<String, Value>)) -> Self {
        let path = self.file("config.json");
        let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
        self
    }

    fn set(self, key: &str, value: Value) -> Self {
        self.config(|config| {
            config.insert(key.to_owned(), value);
        })
    }

    fn weights(self, change: impl FnOnce(&mut BTreeMap<String, Array>)) -> Self {
        let path = self.file("model.safetensors");
        let mut weights = from_safetensors(&fs::read(&path).unwrap()).unwrap();
        change(&mut weights);
        fs::write(&path, to_safetensors(&weights).unwrap()).unwrap();
        self
    }

    /// With a tokenizer, and an embedding for its tokens.
    fn with_words(self) -> Self {
        let wide = |weights: &mut BTreeMap<String, Array>| {
            let name = "model.embed_tokens.weight";
            let values = weights[name].to_f32s().repeat(5);
            let table = Array::from_f32(vec![260, 24], &values[..260 * 24]).unwrap();
            weights.insert(name.to_owned(), table);
        };
        let made = self.tokenizer(258).weights(wide);
        made.set("vocab_size", json!(260))
    }

    /// With a tokenizer of so many tokens.
    fn tokenizer(self, tokens: usize) -> Self {
        let tokenizer = train_bpe(&["a lighthouse at the end of the pier"], tokens, &["<end>"]);
        let json = tokenizer.unwrap().to_json().unwrap();
        fs::write(self.file("tokenizer.json"), json).unwrap();
        self
    }
}

fn job(options: ConvertOptions) -> Job {
    Job {
        options,
        compression: None,
        check: true,
    }
}

/// The message of a conversion that fails.
fn refused(source: &Source, options: ConvertOptions) -> String {
    let made = job(options).run(source.path(), &LoadOptions::default());
    made.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_what_was_converted() {
    let source = Source::of("qwen3").with_words();
    fs::write(source.file("chat_template.jinja"), "{{ bos_token }}").unwrap();
    let out = tempfile::tempdir().unwrap();
    for (name, stateful) in [
        ("a.mlpackage", false),
        ("b.mlpackage", true),
        ("c.mlmodelc", true),
    ] {
        let options = ConvertOptions {
            stateful,
            ..ConvertOptions::default()
        };
        let made = job(options)
            .run(source.path(), &LoadOptions::default())
            .unwrap();
        let found = made.found.as_ref().unwrap();
        assert!(matches!(found, Found::Tokens(found) if found.positions == 64));
        assert!(found.relative() < 5e-3, "{name}: {:e}", found.relative());
        let path = out.path().join(name);
        made.save(&path).unwrap();
        let read = CoreMLModelWrapper::load(&path, &LoadOptions::default()).unwrap();
        assert_eq!(
            read.tokenizer().unwrap().chat_template(),
            Some("{{ bos_token }}")
        );
        let logits = |model: &CoreMLModelWrapper| model.forward(&[1, 2, 3]).unwrap();
        assert_eq!(logits(&read), logits(&made.model), "{name}");
        let config: Value =
            serde_json::from_slice(&fs::read(path.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["model_type"], "qwen3");
    }
}

#[test]
fn packages_are_read_and_written_the_same() {
    let out = tempfile::tempdir().unwrap();
    for family in super::FAMILIES {
        for stateful in [false, true] {
            let options = ConvertOptions {
                stateful,
                ..ConvertOptions::default()
            };
            let unchecked = Job {
                check: false,
                ..job(options)
            };
            let made = unchecked.run(&folder(family), &LoadOptions::default());
            let [first, second] = ["a.mlpackage", "b.mlpackage"].map(|name| out.path().join(name));
            made.unwrap().save(&first).unwrap();
            Bundle::open(&first).unwrap().save(&second).unwrap();
            for file in ["model.mlmodel", "weights/weight.bin"] {
                let [a, b] = [&first, &second].map(|bundle| {
                    fs::read(bundle.join("Data/com.apple.CoreML").join(file)).unwrap()
                });
                assert_eq!(a, b, "{family}: {file}");
            }
        }
    }
}

#[test]
fn matrices_are_compressed_on_the_way() {
    let compressed = Job {
        compression: Some(Compression::named("int8").map(Into::into).unwrap()),
        ..job(ConvertOptions::default())
    };
    let mut small = compressed.clone();
    if let Some(options) = &mut small.compression {
        options.elements_min = 64;
    }
    let made = small
        .run(&folder("llama"), &LoadOptions::default())
        .unwrap();
    assert!(
        made.stored
            .iter()
            .any(|weight| weight.name == "lm_head_weight")
    );
    let found = made.found.unwrap();
    assert!(
        (1e-3..1e-1).contains(&found.relative()),
        "{}",
        found.relative()
    );
    assert!(Compression::named("int9").is_err());
}

#[test]
fn what_is_no_such_model_is_refused() {
    let check = |source: Source, words: &str| {
        let message = refused(&source, ConvertOptions::default());
        assert!(message.contains(words), "{message}");
    };
    let llama = || Source::of("llama");
    check(
        llama().set("model_type", json!("mamba")),
        "known are bert, gemma2",
    );
    check(llama().set("model_type", Value::Null), "no \"model_type\"");
    check(
        llama().set("hidden_size", Value::Null),
        "no \"hidden_size\"",
    );
    check(
        llama().set("hidden_size", json!("wide")),
        "expected a whole number",
    );
    check(llama().set("hidden_size", json!(20)), "expected [61, 20]");
    check(
        llama().set("num_attention_heads", json!(5)),
        "5 attention heads",
    );
    check(
        llama().set("num_hidden_layers", json!(3)),
        "unknown weight \"model.layers.2",
    );
    check(
        llama().set("num_hidden_layers", json!(1)),
        "does not use, such as \"model.layers.1",
    );
    check(
        llama().set("hidden_act", json!("mish")),
        "unknown activation \"mish\"",
    );
    let scaling = json!({"rope_type": "spiral"});
    check(
        llama().set("rope_scaling", scaling),
        "unknown rope_type \"spiral\"",
    );
    let quantized = json!({"quant_method": "gptq"});
    check(
        llama().set("quantization_config", quantized),
        "quantised by gptq",
    );
    check(llama().tokenizer(270), "the embedding 61 rows");
    let huge = |weights: &mut BTreeMap<String, Array>| {
        let values = vec![1e5; 24];
        let norm = Array::from_f32(vec![24], &values).unwrap();
        weights.insert("model.norm.weight".to_owned(), norm);
    };
    check(llama().weights(huge), "do not fit fp16");
    let message = refused(
        &llama(),
        ConvertOptions {
            context: Some(321),
            ..ConvertOptions::default()
        },
    );
    assert!(message.contains("expected 1 to the 320"), "{message}");
    let message = refused(
        &llama(),
        ConvertOptions {
            stateful: true,
            batch: Some(2),
            ..ConvertOptions::default()
        },
    );
    assert!(message.contains("takes one row"), "{message}");
}

#[test]
fn the_command_and_the_script_function() {
    let source = Source::of("qwen2_score").with_words();
    let run = |args: &[&str]| {
        let mut command = crate::cli::program();
        let output = command
            .current_dir(source.path())
            .args(args)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let command = ["convert", ".", "-o", "m.mlpackage"];
    let (code, text) = run(&command);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 values of logits on one text"), "{text}");
    assert!(text.contains("tokenizer.json"), "{text}");
    let (code, text) = run(&command);
    assert_eq!(code, Some(2));
    assert!(text.contains("m.mlpackage exists"), "{text}");
    let script = "let m = convert(\".\", #{out: \"n.mlmodelc\", precision: \"fp32\"}); \
                  let n = load(\"n.mlmodelc\"); let s = n.scores([\"a pier\", \"the end\"]); \
                  print(s == m.scores([\"a pier\", \"the end\"])); print(s.len() + s[0].len())";
    let (code, text) = run(&["-e", script]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("true\n3\n"), "{text}");
}

#[test]
fn what_fails_leaves_nothing() {
    let out = tempfile::tempdir().unwrap();
    let interrupt = Interrupt::default();
    interrupt.set();
    let load = LoadOptions {
        interrupt,
        ..LoadOptions::default()
    };
    let fp32 = ConvertOptions {
        precision: Precision::Fp32,
        ..ConvertOptions::default()
    };
    let interrupted = job(fp32.clone()).run(&folder("llama"), &load);
    assert!(interrupted.map(|_| ()).unwrap_err().is_interrupt());
    let mut made = job(fp32)
        .run(&folder("llama"), &LoadOptions::default())
        .unwrap();
    made.companions
        .insert("Manifest.json".to_owned(), Vec::new());
    let error = made
        .save(&out.path().join("x.mlpackage"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("can't be the name of a file"), "{error}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
