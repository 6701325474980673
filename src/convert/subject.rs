//! Models in whatever form, as things that give logits for a text and can be compared.

use std::path::Path;
use std::sync::Arc;

use super::source::{Checkpoint, open};
use super::{ConvertOptions, Oracle, families};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::models::{CoreMLModelWrapper, LoadOptions, embedded};
use crate::tokenizer::Tokenizer;
use crate::verify::{Comparison, RowLogits, compare, perplexity, windows};

/// A model under examination.
pub struct Subject {
    model: Arc<dyn RowLogits>,
    tokenizer: Option<Arc<Tokenizer>>,
    /// Tokens that it takes at most.
    length_max: usize,
}

/// Endings of what the engines run.
const BUNDLES: [&str; 4] = ["mlpackage", "mlmodelc", "mlmodel", "mil"];

/// Rows are no longer than this unless asked for: the logits of a large vocabulary fill memory.
const WINDOW: usize = 256;

impl Subject {
    /// Opens a bundle, `embedded:NAME`, a Hugging Face folder or a GGUF file. `options` are for bundles; a
    /// checkpoint computes by its own forward pass, in fp32.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Self> {
        let name = path
            .to_str()
            .and_then(|path| path.strip_prefix("embedded:"));
        let bundle = path
            .extension()
            .is_some_and(|end| BUNDLES.iter().any(|known| end == *known));
        let model = match name {
            Some(name) => embedded(name, options)?,
            None if bundle => CoreMLModelWrapper::load(path, options)?,
            None => return Self::checkpoint(&path.display().to_string(), &Arc::new(open(path)?)),
        };
        Self::of(Arc::new(model))
    }

    /// A checkpoint as it computes itself, called `name`.
    pub fn checkpoint(name: &str, source: &Arc<Checkpoint>) -> Result<Self> {
        let described = || -> Result<Self> {
            let length_max = ConvertOptions::default().context_of(&families::describe(source)?);
            let tokenizer = source.tokenizer()?;
            let oracle = Oracle::new(name, source, length_max, length_max)?;
            Ok(Self {
                model: Arc::new(oracle),
                tokenizer,
                length_max,
            })
        };
        described().with_context(|| name.to_owned())
    }

    /// A model that is loaded.
    pub fn of(model: Arc<CoreMLModelWrapper>) -> Result<Self> {
        Ok(Self {
            tokenizer: model.tokenizer().ok().cloned(),
            length_max: model.convention()?.length_max(),
            model,
        })
    }

    /// A text as rows of tokens, each with the token that begins every text, if one does.
    fn rows(&self, text: &str, length: usize) -> Result<Vec<Vec<u32>>> {
        let Some(tokenizer) = &self.tokenizer else {
            fail!("\"{}\" has no tokenizer", self.model.name());
        };
        let ids = tokenizer.encode(text, true)?;
        let bos = tokenizer
            .specials()
            .bos
            .filter(|bos| ids.first() == Some(bos));
        windows(&ids, bos, length)
    }

    /// exp of the mean surprisal of the tokens of `text`, in rows of `window` tokens at most.
    pub fn perplexity(&self, text: &str, window: Option<usize>) -> Result<f64> {
        let length = window.unwrap_or(WINDOW).min(self.length_max);
        perplexity(&*self.model, &self.rows(text, length)?, &mut |_| Ok(()))
    }
}

/// How far `b` is from `a` on `text`, cut into rows of `window` tokens at most (256 if absent).
///
/// The tokens are those of the tokenizer that one has; where both have one, they must make the same of the
/// text. `progress` hears of rows done and all rows, and may end the work.
pub fn verify(
    [a, b]: [&Subject; 2],
    text: &str,
    window: Option<usize>,
    progress: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<Comparison> {
    let length = window.unwrap_or(WINDOW).min(a.length_max).min(b.length_max);
    let rows = match (&a.tokenizer, &b.tokenizer) {
        (None, Some(_)) => b.rows(text, length)?,
        _ => a.rows(text, length)?,
    };
    if a.tokenizer.is_some() && b.tokenizer.is_some() && b.rows(text, length)? != rows {
        let names = [&a.model, &b.model].map(|model| model.name());
        return Err(Error::new(format!(
            "{} and {} make other tokens of the text",
            names[0], names[1]
        ))
        .hint("only models that share a tokenizer can be compared by their logits"));
    }
    compare(&*a.model, &*b.model, &rows, &mut |done| {
        progress(done, rows.len())
    })
}
