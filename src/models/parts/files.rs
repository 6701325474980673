//! Where the parts of a model are: by a `ModelConfig`, a `meta.yaml`, or their names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::files;

/// The bundles of a model; chunks of layers in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub embeddings: PathBuf,
    /// Chunks for prompts.
    pub prefill: Vec<PathBuf>,
    /// Chunks for single tokens; the same bundles, where these have functions for both.
    pub infer: Vec<PathBuf>,
    pub head: PathBuf,
}

/// What of candle-coreml's `ModelConfig` tells where the parts are. Shapes are the bundles' own.
#[derive(Deserialize)]
struct Config {
    components: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Component {
    file_path: Option<String>,
    /// With `*` for anything, in configurations of older versions.
    file_pattern: Option<String>,
}

impl Files {
    /// The parts that `path` names: a folder of bundles, or a configuration. None where it is neither.
    pub fn find(path: &Path) -> Result<Option<Self>> {
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let folder = path.parent().unwrap_or(Path::new("."));
            return config(path)?
                .map(|config| Self::of_config(&config, folder))
                .transpose();
        }
        if !path.is_dir() || is_bundle(path) {
            return Ok(None);
        }
        for file in entries(path)?
            .iter()
            .filter(|file| has_extension(file, &["json"]))
        {
            if let Some(config) = config(file)? {
                let found = Self::of_config(&config, path);
                return found.with_context(|| file.display().to_string()).map(Some);
            }
        }
        Self::of_names(path)
    }

    fn of_config(config: &Config, folder: &Path) -> Result<Self> {
        let component = |name: &str| config.components.get(name);
        let file = |name: &str, component: &Component| -> Result<PathBuf> {
            match (&component.file_path, &component.file_pattern) {
                (Some(path), _) => existing(&inner(folder).join(path)),
                (None, Some(pattern)) => matching(&inner(folder), pattern),
                (None, None) => fail!("component \"{name}\" has no file_path"),
            }
        };
        let required = |name: &str| match component(name) {
            Some(component) => file(name, component),
            None => {
                let known = config
                    .components
                    .keys()
                    .map(String::as_str)
                    .collect::<Vec<_>>();
                fail!("there is no component \"{name}\" among {known:?}")
            }
        };
        let optional = |name| component(name).map(|found| file(name, found)).transpose();
        let (prefill, infer) = match (optional("ffn_prefill")?, optional("ffn_infer")?) {
            (Some(prefill), Some(infer)) => (prefill, infer),
            (Some(only), None) | (None, Some(only)) => (only.clone(), only),
            (None, None) => fail!("there is no component \"ffn_prefill\" or \"ffn_infer\""),
        };
        Ok(Self {
            embeddings: required("embeddings")?,
            prefill: chunks(&prefill)?,
            infer: chunks(&infer)?,
            head: required("lm_head")?,
        })
    }

    /// By the names that ANEMLL gives: `x_embeddings`, `x_FFN_PF_lut8_chunk_01of02`, `x_lm_head`. Where
    /// `meta.yaml` names one, it is that.
    fn of_names(folder: &Path) -> Result<Option<Self>> {
        let meta = meta(folder)?;
        let bundles = entries(&inner(folder))?;
        let bundles: Vec<PathBuf> = bundles.into_iter().filter(|path| is_bundle(path)).collect();
        let named = |key: &str| {
            let stem = stem(Path::new(meta.get(key)?)).to_owned();
            bundles
                .iter()
                .find(|path| self::stem(path).starts_with(&stem))
                .cloned()
        };
        let like = |parts: &[&str], not: &[&str]| {
            let has = |path: &Path, parts: &[&str]| {
                let name = stem(path).to_lowercase();
                parts.iter().any(|part| name.contains(part))
            };
            let mut found = bundles
                .iter()
                .filter(|path| has(path, parts) && !has(path, not));
            found.next().cloned()
        };
        let embeddings = named("embeddings").or_else(|| like(&["embed"], &[]));
        let head = named("lm_head").or_else(|| like(&["head"], &["embed"]));
        let both = named("ffn").or_else(|| like(&["ffn_pf"], &[]));
        let prefill = both
            .clone()
            .or_else(|| like(&["prefill"], &["embed", "head"]));
        let infer =
            both.or_else(|| like(&["ffn", "infer", "chunk"], &["prefill", "embed", "head"]));
        let (Some(embeddings), Some(head), Some(infer)) = (embeddings, head, infer) else {
            return Ok(None);
        };
        let infer = chunks(&infer)?;
        Ok(Some(Self {
            embeddings,
            prefill: prefill.map_or(Ok(infer.clone()), |path| chunks(&path))?,
            infer,
            head,
        }))
    }
}

/// Whether a folder or file is one Core ML model.
pub fn is_bundle(path: &Path) -> bool {
    let inside = ["Manifest.json", "model.mil", "coremldata.bin", "model0"];
    match path.is_dir() {
        true => inside.iter().any(|name| path.join(name).exists()),
        false => has_extension(path, &["mlmodel"]),
    }
}

/// The one bundle in a folder that is none itself, if there is just one.
pub fn only_bundle(folder: &Path) -> Result<Option<PathBuf>> {
    if !folder.is_dir() || is_bundle(folder) {
        return Ok(None);
    }
    let mut bundles = entries(folder)?;
    bundles.retain(|path| is_bundle(path));
    Ok(bundles.pop().filter(|_| bundles.is_empty()))
}

/// The configuration in a JSON file, if it is one.
fn config(path: &Path) -> Result<Option<Config>> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_slice(&text).ok())
}

/// Keys and values of `meta.yaml`, whatever they stand under; nothing where there is none.
fn meta(folder: &Path) -> Result<BTreeMap<String, String>> {
    let path = folder.join("meta.yaml");
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let bare = |value: &str| value.trim().trim_matches(['"', '\'']).to_owned();
    let pairs = lines.map(|(key, value)| (bare(key), bare(value)));
    Ok(pairs.filter(|(_, value)| !value.is_empty()).collect())
}

/// The folder that holds the bundles.
fn inner(folder: &Path) -> PathBuf {
    match folder.join("coreml") {
        inner if inner.is_dir() => inner,
        _ => folder.to_owned(),
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(folder)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    let mut paths = read().with_context(|| folder.display().to_string())?;
    paths.sort();
    Ok(paths)
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| wanted.contains(&extension))
}

fn stem(path: &Path) -> &str {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default()
}

/// The file, or the one of the other form: people compile packages and keep the configuration.
fn existing(path: &Path) -> Result<PathBuf> {
    let forms = ["mlmodelc", "mlpackage"].map(|form| path.with_extension(form));
    let found = [path.to_owned()]
        .into_iter()
        .chain(forms)
        .find(|path| path.exists());
    found.ok_or_else(|| Error::new(format!("there is no file or folder {}", path.display())))
}

fn matching(folder: &Path, pattern: &str) -> Result<PathBuf> {
    let fits = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| files::matches(pattern, name))
    };
    let found = entries(folder)?.into_iter().find(fits);
    found.ok_or_else(|| Error::new(format!("no bundle in {} fits {pattern}", folder.display())))
}

/// All chunks of a model from the path of one: `…_chunk_01of03` counts them.
fn chunks(one: &Path) -> Result<Vec<PathBuf>> {
    let name = stem(one);
    let counted = name.rsplit_once("_chunk_").and_then(|(head, tail)| {
        let (_, count) = tail.split_once("of")?;
        Some((head, count.parse::<usize>().ok()?))
    });
    let Some((head, count)) = counted else {
        return Ok(vec![one.to_owned()]);
    };
    let extension = one
        .extension()
        .and_then(|form| form.to_str())
        .unwrap_or_default();
    let path = |i: usize| {
        let name = format!("{head}_chunk_{i:02}of{count:02}.{extension}");
        existing(&one.with_file_name(name))
    };
    (1..=count).map(path).collect()
}
