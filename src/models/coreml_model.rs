//! A Core ML language model: bundle, tokenizer and engine behind one face.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::Device;
use ndarray::Array2;

use super::convention::Convention;
use super::decoding::Decoding;
use super::policy::Policy;
use crate::diag::{Context, Error, Interrupt, Result};
use crate::engine::Engine;
use crate::engine::apple::{self, AppleOptions};
use crate::engine::portable::{Options, Passes, Portable, Precision};
use crate::fail;
use crate::files;
use crate::generate::{Decoder, NextLogits, Rollout, Sampling, generate};
use crate::numeric::Array;
use crate::package::Bundle;
use crate::tokenizer::Tokenizer;

/// Which engine runs a model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EngineChoice {
    /// Our own, on candle: any OS, any batch, gradients.
    #[default]
    Portable,
    /// Core ML's, on macOS.
    Apple(AppleOptions),
}

/// How a model is loaded.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    pub engine: EngineChoice,
    pub precision: Precision,
    /// What the portable engine fuses.
    pub passes: Passes,
    pub device: Device,
    /// The default function if absent.
    pub function: Option<String>,
    /// `tokenizer.json` or its folder; searched in and beside the bundle if absent.
    pub tokenizer: Option<PathBuf>,
    pub interrupt: Interrupt,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            engine: EngineChoice::Portable,
            precision: Precision::F32,
            passes: Passes::default(),
            device: Device::Cpu,
            function: None,
            tokenizer: None,
            interrupt: Interrupt::default(),
        }
    }
}

impl LoadOptions {
    /// What of these the portable engine takes.
    pub fn portable(&self) -> Options {
        Options {
            precision: self.precision,
            passes: self.passes.clone(),
            device: self.device.clone(),
            interrupt: self.interrupt.clone(),
            ..Options::default()
        }
    }
}

/// A Core ML language model that is ready to predict.
pub struct CoreMLModelWrapper {
    name: String,
    bundle: Arc<Bundle>,
    engine: Arc<dyn Engine>,
    /// The same engine, if it is the portable one.
    portable: Option<Arc<Portable>>,
    tokenizer: Option<Arc<Tokenizer>>,
    function: String,
    interrupt: Interrupt,
    /// The model with its own weights, on the portable engine.
    policy: OnceLock<Policy>,
    /// Remarks that the user has heard.
    told: Mutex<BTreeSet<String>>,
}

impl CoreMLModelWrapper {
    /// Loads a `.mlmodelc`, `.mlpackage` or `.mlmodel`, and the tokenizer in or beside it.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self> {
        let bundle = Bundle::open(path)?;
        let tokenizer = match &options.tokenizer {
            Some(path) => Some(Tokenizer::load(path)?),
            None => find_tokenizer(path)?,
        };
        let engine = match &options.engine {
            EngineChoice::Portable => None,
            EngineChoice::Apple(apple) => Some(apple::open(path, apple)?.into()),
        };
        let name = path.display().to_string();
        Self::assemble(name, Arc::new(bundle), tokenizer, engine, options)
    }

    /// A model of a bundle in memory, on the portable engine.
    pub fn new(
        name: &str,
        bundle: Arc<Bundle>,
        tokenizer: Option<Tokenizer>,
        options: &LoadOptions,
    ) -> Result<Self> {
        if options.engine != EngineChoice::Portable {
            return Err(
                Error::new(format!("\"{name}\" is in memory, and Core ML reads files"))
                    .hint("save it first, then load the saved bundle"),
            );
        }
        Self::assemble(name.to_owned(), bundle, tokenizer, None, options)
    }

    fn assemble(
        name: String,
        bundle: Arc<Bundle>,
        tokenizer: Option<Tokenizer>,
        apple: Option<Arc<dyn Engine>>,
        options: &LoadOptions,
    ) -> Result<Self> {
        let function = options.function.clone();
        let function = function.unwrap_or_else(|| bundle.description.default_function.clone());
        let functions = &bundle.description.functions;
        if !functions.contains_key(&function) {
            return Err(Error::unknown(
                "function",
                &function,
                functions.keys().map(String::as_str),
            ));
        }
        let (engine, portable): Engines = match apple {
            Some(engine) => (engine, None),
            None => {
                let portable = Portable::new(bundle.clone(), options.portable());
                let portable = Arc::new(portable.with_context(|| name.clone())?);
                (portable.clone(), Some(portable))
            }
        };
        Ok(Self {
            name,
            bundle,
            engine,
            portable,
            tokenizer: tokenizer.map(Arc::new),
            function,
            interrupt: options.interrupt.clone(),
            policy: OnceLock::new(),
            told: Mutex::default(),
        })
    }

    /// Where it was loaded from.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    pub fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    /// The portable engine; fails on the apple engine, which has no gradients and shows no weights.
    pub fn portable(&self) -> Result<&Arc<Portable>> {
        self.portable.as_ref().ok_or_else(|| {
            Error::new(format!("\"{}\" runs on the apple engine", self.name))
                .hint("load it with #{engine: \"portable\"} to train it or to see its weights")
        })
    }

    pub fn function(&self) -> &str {
        &self.function
    }

    /// What the user should know of how the model runs, in words; each remark once.
    pub fn news(&self) -> Vec<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut remarks = self.engine.remarks();
        remarks.retain(|remark| told.insert(remark.clone()));
        remarks
    }

    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    pub fn tokenizer(&self) -> Result<&Arc<Tokenizer>> {
        self.tokenizer.as_ref().ok_or_else(|| {
            Error::new(format!("\"{}\" has no tokenizer", self.name))
                .hint("put tokenizer.json into or beside the bundle, or name it when loading")
        })
    }

    /// Writes `bundle`, a variant of this model, with this one's tokenizer inside.
    pub fn save_as(&self, bundle: &Bundle, path: &Path) -> Result<()> {
        bundle.save(path)?;
        if let Ok(tokenizer) = self.tokenizer() {
            let file = path.join("tokenizer.json");
            files::write_atomic(&file, tokenizer.to_json()?.as_bytes())?;
        }
        Ok(())
    }

    /// How the model takes tokens and gives logits.
    pub fn convention(&self) -> Result<Convention> {
        Convention::of(&self.bundle.description.functions[&self.function]).with_context(|| {
            format!(
                "\"{}\" is not a language model that can be decoded",
                self.name
            )
        })
    }

    /// Logits of a row of token ids: `[length, vocab]`, or `[1, vocab]` where the model gives only the
    /// last position's.
    pub fn forward(&self, input_ids: &[u32]) -> Result<Array2<f32>> {
        let mut all = self.forward_batch(&[input_ids])?;
        Ok(all.remove(0))
    }

    /// Logits of several rows of any lengths. Rows are padded on the right, which a causal model can't
    /// see from the positions that count.
    pub fn forward_batch(&self, rows: &[&[u32]]) -> Result<Vec<Array2<f32>>> {
        let convention = self.convention()?;
        let mut logits = Vec::with_capacity(rows.len());
        for chunk in convention.batches(rows) {
            self.interrupt.check()?;
            logits.extend(self.forward_together(&convention, chunk)?);
        }
        Ok(logits)
    }

    fn forward_together(
        &self,
        convention: &Convention,
        rows: &[&[u32]],
    ) -> Result<Vec<Array2<f32>>> {
        let calls = convention.calls(rows)?;
        let outputs = self.engine.predict_batch(&self.function, &calls.inputs)?;
        let mut logits = Vec::with_capacity(rows.len());
        for (output, rows) in outputs.iter().zip(rows.chunks(calls.rows)) {
            let Some(output) = output.get(&convention.logits) else {
                fail!("the model gave no \"{}\"", convention.logits);
            };
            logits.extend(per_row(output, calls.rows, rows)?);
        }
        let last_only = logits.iter().all(|l| l.nrows() == 1);
        let padded = rows.iter().find(|row| row.len() < calls.length);
        match (padded, convention.length_fixed) {
            (Some(row), Some(length)) if last_only && row.len() > 1 => fail!(
                "the model gives the logits of position {length} only, a row has {} tokens",
                row.len()
            ),
            // The padding would stand where the logits are of.
            (Some(_), None) if last_only => {
                let alone = rows
                    .iter()
                    .map(|row| self.forward_together(convention, &[row]));
                Ok(alone.collect::<Result<Vec<_>>>()?.concat())
            }
            _ => Ok(logits),
        }
    }

    /// How the model decodes, once it has.
    pub fn decoding(&self) -> Option<Decoding> {
        match self.portable {
            Some(_) => self.policy.get()?.decoding().cloned(),
            None => Some(Decoding::Recompute("the apple engine runs it".to_owned())),
        }
    }

    /// Why the model must be run whole at each token, for the user; at the first call after that was found.
    pub fn remark(&self) -> Option<String> {
        self.policy.get()?.remark()
    }

    fn policy(&self) -> Result<&Policy> {
        if let Some(policy) = self.policy.get() {
            return Ok(policy);
        }
        let bound = self.portable()?.bind(&self.function, &BTreeSet::new())?;
        let policy = Policy::new(bound, self.convention()?, &self.interrupt)?;
        Ok(self.policy.get_or_init(|| policy))
    }

    /// Samples a continuation of each prompt.
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Rollout>> {
        generate(self, prompts, sampling, &self.interrupt, progress)
    }
}

impl NextLogits for CoreMLModelWrapper {
    fn next_logits(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        if self.portable.is_some() {
            return self.policy()?.next_logits(rows);
        }
        let logits = self.forward_batch(rows)?;
        let last = |l: Array2<f32>| l.row(l.nrows() - 1).to_vec();
        Ok(logits.into_iter().map(last).collect())
    }

    fn max_len(&self) -> usize {
        self.convention()
            .map_or(0, |convention| convention.length_max)
    }

    fn decoder(&self, longest: usize) -> Result<Option<Box<dyn Decoder + '_>>> {
        match self.portable {
            Some(_) => self.policy()?.decoder(longest),
            None => Ok(None),
        }
    }
}

type Engines = (Arc<dyn Engine>, Option<Arc<Portable>>);

/// Cuts `[batch, length, vocab]` (leading ones may be missing) of `count` rows into `rows`, without the
/// padding.
fn per_row(output: &Array, count: usize, rows: &[&[u32]]) -> Result<Vec<Array2<f32>>> {
    let vocab = output.shape().last().copied().unwrap_or(0);
    let per_row = output.len() / count.max(1);
    if vocab == 0 || !per_row.is_multiple_of(vocab) {
        fail!("logits have shape {:?} for {count} rows", output.shape());
    }
    let values = output.to_f32s();
    let cut = |(chunk, row): (&[f32], &&[u32])| {
        let kept = (per_row / vocab).min(row.len()) * vocab;
        Array2::from_shape_vec((kept / vocab, vocab), chunk[..kept].to_vec())
            .map_err(|e| Error::new(e.to_string()))
    };
    values.chunks(per_row).zip(rows).map(cut).collect()
}

fn find_tokenizer(bundle: &Path) -> Result<Option<Tokenizer>> {
    let inside = bundle.join("tokenizer.json");
    let beside = bundle.parent().map(|folder| folder.join("tokenizer.json"));
    let found = [Some(inside), beside]
        .into_iter()
        .flatten()
        .find(|path| path.is_file());
    found.map(|path| Tokenizer::load(&path)).transpose()
}
