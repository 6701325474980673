//! A conversion as a whole: a checkpoint is read, made a program, held against its source, and written.

use std::path::Path;
use std::sync::Arc;

use super::conversion::{ConvertOptions, convert};
use super::distance::Distance;
use super::families;
use super::oracle::Oracle;
use super::source::{self, Checkpoint};
use super::transformer::Precision;
use crate::diag::{Context, Error, Result};
use crate::models::{CompressOptions, CoreMLModelWrapper, LoadOptions, compress};
use crate::package::{Companions, StoredWeight};
use crate::report::Table;
use crate::verify::{Comparison, SAMPLE, compare};

/// What is to be made of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub options: ConvertOptions,
    /// How matrices are stored, if not as they are.
    pub compression: Option<CompressOptions>,
    /// Whether the result is held against the source's own forward pass.
    pub check: bool,
}

/// A converted model, which may be saved.
pub struct Converted {
    pub model: Arc<CoreMLModelWrapper>,
    /// How each weight is stored, the least faithful first, if the matrices were compressed.
    pub stored: Vec<StoredWeight>,
    /// The source against the result, if that was asked for.
    pub found: Option<Found>,
    /// Files that are put into the bundle.
    pub companions: Companions,
}

/// How far a program is from its source.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// A language model: the logits at each position.
    Tokens(Comparison),
    /// An encoder or a classifier.
    Text(Distance),
}

impl Found {
    /// The largest difference, as a part of the largest value.
    pub fn relative(&self) -> f64 {
        match self {
            Found::Tokens(comparison) => comparison.relative(),
            Found::Text(distance) => distance.relative(),
        }
    }

    pub fn table(&self) -> Result<Table> {
        match self {
            Found::Tokens(comparison) => comparison.table(),
            Found::Text(distance) => distance.table(),
        }
    }
}

/// Tokens that a check compares.
const CHECKED: usize = 64;

impl Job {
    /// Converts the model at `path`: a Hugging Face folder or a GGUF file. `load` is how the result runs.
    ///
    /// Fails as [`convert`] does, or if the result is further from its source than its precision explains.
    pub fn run(&self, path: &Path, load: &LoadOptions) -> Result<Converted> {
        let file = path.to_path_buf();
        let mut source = load.interrupt.leave(move || source::open(&file))??;
        source.interrupt = load.interrupt.clone();
        let source = Arc::new(source);
        let name = path.display().to_string();
        let bundle = convert(&source, &self.options).with_context(|| name.clone())?;
        load.interrupt.check()?;
        let file = path.file_name().unwrap_or(path.as_os_str()).display();
        let program = format!("the program of {file}");
        let tokenizer = source.tokenizer()?;
        let made = |bundle| {
            let (bundle, tokenizer) = (Arc::new(bundle), tokenizer.clone());
            CoreMLModelWrapper::new(&program, bundle, tokenizer, load).map(Arc::new)
        };
        let (mut model, mut stored) = (made(bundle)?, Vec::new());
        if let Some(options) = &self.compression {
            let (bundle, weights) = compress(&model, options)?;
            (model, stored) = (made(bundle)?, weights);
        }
        load.interrupt.check()?;
        let found = match self.check {
            true => Some(self.checked(&name, &source, &model)?),
            false => None,
        };
        Ok(Converted {
            model,
            stored,
            found,
            companions: companions(&source)?,
        })
    }

    fn checked(
        &self,
        name: &str,
        source: &Arc<Checkpoint>,
        model: &CoreMLModelWrapper,
    ) -> Result<Found> {
        let described = families::describe(source)?;
        let context = self.options.context_of(&described);
        let length = CHECKED.min(context);
        let oracle = Oracle::new(name, source, context, length)?;
        let row = match model.tokenizer() {
            Ok(tokenizer) => tokenizer.encode(SAMPLE, true)?,
            Err(_) => (0..oracle.vocab() as u32).cycle().take(length).collect(),
        };
        let row: Vec<u32> = row.into_iter().take(length).collect();
        let found = match described.gives_tokens() {
            true => {
                let mut progress = |_| model.interrupt().check();
                compare(&oracle, model, &[row], &mut progress).map(Found::Tokens)
            }
            false => Distance::of(&oracle, model, &row).map(Found::Text),
        };
        let found = found.context("the check against the source's own forward pass")?;
        let allowed = self.allowed();
        if found.relative() > allowed {
            let message = format!(
                "the program's outputs are {:.1e} of the largest one away from those of its source, expected \
                 {allowed:.0e} at most",
                found.relative()
            );
            let hint = "nothing was written; to have it all the same, leave out the check";
            return Err(Error::new(message).hint(hint));
        }
        Ok(found)
    }

    /// How far logits may be from the source's, as a part of the largest one; what compression costs is for
    /// the user to judge.
    fn allowed(&self) -> f64 {
        match (self.options.precision, self.options.stateful) {
            _ if self.compression.is_some() => f64::INFINITY,
            (Precision::Fp32, false) => 1e-3,
            _ => 5e-2,
        }
    }
}

impl Converted {
    /// Writes the model to `out` (`.mlpackage` or `.mlmodelc`), with its tokenizer and configuration inside; all
    /// or nothing.
    pub fn save(&self, out: &Path) -> Result<()> {
        self.model.bundle()?.save_with(out, &self.companions)
    }
}

/// The files that go with the model, its configuration among them.
fn companions(source: &Checkpoint) -> Result<Companions> {
    let config = serde_json::to_vec_pretty(&source.config);
    let config = config.map_err(|error| Error::new(error.to_string()))?;
    let mut companions = source.companions.clone();
    companions.insert("config.json".to_owned(), config);
    Ok(companions)
}
