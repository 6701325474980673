//! A folder as Hugging Face's hub has it: `config.json`, safetensors in one file or in shards, a tokenizer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{COMPANIONS, Checkpoint, Tensors};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::numeric::{Array, SafetensorsIndex};
use crate::weights::Mapped;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// Opens the model in `folder`. Weights are mapped, and read when they are asked for; the files must not
/// be cut short meanwhile.
pub(super) fn open(folder: &Path) -> Result<Checkpoint> {
    let config = folder.join("config.json");
    let config = fs::read_to_string(&config).map_err(|error| {
        Error::new(format!("{}: {error}", config.display()))
            .hint("a Hugging Face model has its config.json beside its weights")
    })?;
    let config = serde_json::from_str(&config)
        .map_err(|error| Error::new(format!("config.json: {error}")))?;
    let mut companions = BTreeMap::new();
    for name in COMPANIONS {
        let path = folder.join(name);
        if path.is_file() {
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            companions.insert((*name).to_owned(), bytes);
        }
    }
    Ok(Checkpoint::new(config, companions, Shards::open(folder)?))
}

/// The weight files of a folder.
struct Shards {
    files: Vec<Shard>,
    shapes: BTreeMap<String, Vec<usize>>,
    /// Which file holds a weight, and how it is called there.
    homes: BTreeMap<String, (usize, String)>,
}

struct Shard {
    path: PathBuf,
    map: Mapped,
    index: SafetensorsIndex,
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Shards {
    fn open(folder: &Path) -> Result<Self> {
        let index = folder.join(INDEX);
        let (names, promised) = match fs::read_to_string(&index) {
            Ok(text) => {
                let index: Index = serde_json::from_str(&text)
                    .map_err(|error| Error::new(format!("{INDEX}: {error}")))?;
                let names: BTreeSet<String> = index.weight_map.values().cloned().collect();
                (names, index.weight_map)
            }
            Err(_) => (BTreeSet::from([SINGLE.to_owned()]), BTreeMap::new()),
        };
        let mut shards = Self {
            files: Vec::new(),
            shapes: BTreeMap::new(),
            homes: BTreeMap::new(),
        };
        for name in &names {
            shards.add(Shard::open(folder, name)?)?;
        }
        for (weight, file) in &promised {
            if !shards.homes.contains_key(&modern(weight)) {
                fail!("{file} lacks the weight \"{weight}\", which {INDEX} says it has");
            }
        }
        Ok(shards)
    }

    fn add(&mut self, shard: Shard) -> Result<()> {
        for (stored, shape) in shard.index.shapes() {
            let name = modern(stored);
            self.shapes.insert(name.clone(), shape.to_vec());
            let home = (self.files.len(), stored.to_owned());
            let twin = self.homes.insert(name.clone(), home);
            if let Some((twin, _)) = twin {
                let other = self.files[twin].path.display();
                fail!(
                    "weight \"{name}\" is in {other} and in {}",
                    shard.path.display()
                );
            }
        }
        self.files.push(shard);
        Ok(())
    }
}

/// The name that transformers gives a weight of checkpoints from TensorFlow's time.
fn modern(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((norm, "gamma")) => format!("{norm}.weight"),
        Some((norm, "beta")) => format!("{norm}.bias"),
        _ => name.to_owned(),
    }
}

impl Shard {
    fn open(folder: &Path, name: &str) -> Result<Self> {
        if Path::new(name).file_name().is_none_or(|own| own != name) {
            fail!("{INDEX} names the file \"{name}\", which is not one beside it");
        }
        let path = folder.join(name);
        let open = || -> Result<_> {
            let map = Mapped::open(&path).map_err(|error| missing(folder, &error))?;
            let index = SafetensorsIndex::of(&map).map_err(|error| {
                error.or_hint("the file may be cut short, or a Git LFS pointer: download it again")
            })?;
            Ok((map, index))
        };
        let (map, index) = open().with_context(|| path.display().to_string())?;
        Ok(Self { path, map, index })
    }
}

/// Why a weight file can't be opened, with what to do about it.
fn missing(folder: &Path, error: &std::io::Error) -> Error {
    let pickled = folder.join("pytorch_model.bin").exists()
        || folder.join("pytorch_model.bin.index.json").exists();
    let error = Error::new(error.to_string());
    match pickled {
        true => error.hint(
            "pytorch_model.bin is a Python pickle, which is not read: take the repository's safetensors, or \
             save the model again with save_pretrained",
        ),
        false => error.hint("the download is incomplete: the weights are in *.safetensors"),
    }
}

impl Tensors for Shards {
    fn shapes(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.shapes
    }

    fn read(&self, name: &str) -> Result<Array> {
        let Some((home, stored)) = self.homes.get(name) else {
            let known = self.homes.keys().map(String::as_str);
            return Err(Error::unknown("weight", name, known));
        };
        let shard = &self.files[*home];
        let array = shard.index.read(&shard.map, stored);
        array.with_context(|| shard.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::{DType, to_safetensors};

    fn weights(names: &[&str]) -> Vec<u8> {
        let array = |value: f64| Array::from_f64s(DType::Bf16, vec![2], &[value, 2.0]).unwrap();
        let named = names.iter().enumerate();
        let arrays = named.map(|(i, name)| ((*name).to_owned(), array(i as f64)));
        to_safetensors(&arrays.collect()).unwrap()
    }

    /// A folder of these files.
    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    const SHARDED: &str = r#"{"metadata": {"total_size": 8}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#;

    #[test]
    fn one_file_or_shards() {
        let check = |files: &[(&str, &[u8])], expected: &[(&str, f64)]| {
            let folder = folder(files);
            let checkpoint = open(folder.path()).unwrap();
            let read = |name: &str| checkpoint.weight(name, &[2]).unwrap().to_f64s()[0];
            let names: Vec<&String> = checkpoint.tensors.shapes().keys().collect();
            assert_eq!(names, expected.iter().map(|(n, _)| *n).collect::<Vec<_>>());
            for (name, value) in expected {
                assert_eq!(read(name), *value);
            }
            assert_eq!(checkpoint.companions["tokenizer.json"], b"t");
            assert_eq!(checkpoint.config["model_type"], "llama");
        };
        let common: [(&str, &[u8]); 2] = [
            ("config.json", br#"{"model_type": "llama"}"#),
            ("tokenizer.json", b"t"),
        ];
        let with = |files: &[(&'static str, &'static [u8])]| [&common, files].concat();
        let single = weights(&["a", "b"]).leak();
        check(&with(&[(SINGLE, single)]), &[("a", 0.0), ("b", 1.0)]);
        let [one, two] = [weights(&["a"]).leak(), weights(&["b"]).leak()];
        check(
            &with(&[
                (INDEX, SHARDED.as_bytes()),
                ("1.safetensors", one),
                ("2.safetensors", two),
            ]),
            &[("a", 0.0), ("b", 0.0)],
        );
    }

    #[test]
    fn old_names_are_made_new() {
        let old = weights(&["x.LayerNorm.beta", "x.LayerNorm.gamma", "x.gamma_table"]);
        let folder = folder(&[("config.json", b"{}"), (SINGLE, &old)]);
        let checkpoint = open(folder.path()).unwrap();
        let first = |name: &str| checkpoint.weight(name, &[2]).unwrap().to_f64s()[0];
        assert_eq!(first("x.LayerNorm.bias"), 0.0);
        assert_eq!(first("x.LayerNorm.weight"), 1.0);
        assert_eq!(first("x.gamma_table"), 2.0);
    }

    #[test]
    fn incomplete_folders_say_what_is_missing() {
        let check = |files: &[(&str, &[u8])], words: &[&str]| {
            let folder = folder(files);
            let error = open(folder.path()).unwrap_err().to_string();
            for words in words {
                assert!(error.contains(words), "{error}");
            }
        };
        let config: (&str, &[u8]) = ("config.json", b"{}");
        let index: (&str, &[u8]) = (INDEX, SHARDED.as_bytes());
        let [a, b] = [weights(&["a"]), weights(&["b"])];
        check(&[(SINGLE, &a)], &["config.json", "beside its weights"]);
        check(&[("config.json", b"[1]")], &["config.json: "]);
        check(&[config], &["model.safetensors", "incomplete"]);
        check(&[config, ("pytorch_model.bin", b"")], &["save_pretrained"]);
        check(&[config, index, ("1.safetensors", &a)], &["2.safetensors"]);
        let swapped = [config, index, ("1.safetensors", &*a), ("2.safetensors", &a)];
        check(&swapped, &["weight \"a\" is in"]);
        let absent = [config, index, ("1.safetensors", &*b), ("2.safetensors", &a)];
        check(&absent[..3], &["2.safetensors"]);
        check(&[config, (SINGLE, &a[..a.len() - 1])], &["cut short"]);
        check(&[config, (SINGLE, b"version https://git-lfs")], &["LFS"]);
        let outside = br#"{"weight_map": {"a": "../a.safetensors"}}"#;
        check(&[config, (INDEX, outside)], &["not one beside it"]);
        let lacks = br#"{"weight_map": {"z": "1.safetensors"}}"#;
        check(
            &[config, (INDEX, lacks), ("1.safetensors", &a)],
            &["lacks the weight \"z\""],
        );
    }
}
