//! A Core ML language model: bundle, tokenizer and engine behind one face.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::Device;
use ndarray::Array2;

use super::conventions::{Convention, Runner, Whole, recognise};
use super::decoding::Decoding;
use super::opened::Opened;
use super::policy::Policy;
use crate::diag::{Context, Error, Interrupt, Result};
use crate::engine::Engine;
use crate::engine::apple::AppleOptions;
use crate::engine::portable::{Options, Passes, Portable, Precision};
use crate::files::{self, sha256};
use crate::generate::{Decoder, NextLogits, Rollout, Sampling, generate};
use crate::package::{self, Bundle, Description};
use crate::tokenizer::Tokenizer;
use crate::verify::RowLogits;

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
    opened: Opened,
    tokenizer: Option<Arc<Tokenizer>>,
    function: String,
    convention: Result<Arc<dyn Convention>>,
    interrupt: Interrupt,
    /// The model with its own weights, on the portable engine.
    policy: OnceLock<Policy>,
    /// Remarks that the user has heard.
    told: Mutex<BTreeSet<String>>,
}

impl CoreMLModelWrapper {
    /// Loads a `.mlmodelc`, `.mlpackage` or `.mlmodel`, and the tokenizer in or beside it. A pipeline is
    /// one model, whose stages run one after the other; so is a folder of parts, or its configuration. A
    /// folder that holds one bundle stands for that.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self> {
        let (file, chosen) = (path.to_owned(), options.clone());
        let open = move || -> Result<(Opened, Option<Tokenizer>)> {
            let tokenizer = match &chosen.tokenizer {
                Some(path) => Some(Tokenizer::load(path)?),
                None => find_tokenizer(&file)?,
            };
            Ok((Opened::path(&file, &chosen)?, tokenizer))
        };
        let (opened, tokenizer) = options.interrupt.leave(open)??;
        let tokenizer = tokenizer.map(Arc::new);
        Self::assemble(path.display().to_string(), opened, tokenizer, options)
    }

    /// A model of a bundle in memory, on the portable engine.
    pub fn new(
        name: &str,
        bundle: Arc<Bundle>,
        tokenizer: Option<Arc<Tokenizer>>,
        options: &LoadOptions,
    ) -> Result<Self> {
        if options.engine != EngineChoice::Portable {
            return Err(
                Error::new(format!("\"{name}\" is in memory, and Core ML reads files"))
                    .hint("save it first, then load the saved bundle"),
            );
        }
        let chosen = options.clone();
        let open = move || Opened::program(bundle, &chosen);
        let opened = options.interrupt.leave(open)?.with_context(|| name)?;
        Self::assemble(name.to_owned(), opened, tokenizer, options)
    }

    fn assemble(
        name: String,
        opened: Opened,
        tokenizer: Option<Arc<Tokenizer>>,
        options: &LoadOptions,
    ) -> Result<Self> {
        let description = opened.engine.description();
        let function = options.function.clone();
        let function = function.unwrap_or_else(|| description.default_function.clone());
        description.function(&function)?;
        let convention = recognise(description, &function)
            .with_context(|| format!("\"{name}\" is not a language model that can be decoded"));
        Ok(Self {
            name,
            opened,
            tokenizer,
            function,
            convention,
            interrupt: options.interrupt.clone(),
            policy: OnceLock::new(),
            told: Mutex::default(),
        })
    }

    /// Where it was loaded from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bundle; fails for a model that is made of several.
    pub fn bundle(&self) -> Result<&Arc<Bundle>> {
        self.opened.bundle.as_ref().ok_or_else(|| {
            Error::new(format!("\"{}\" is made of several programs", self.name))
                .hint("open the one that is meant by its own path")
        })
    }

    /// SHA-256 in hex of what decides on its answers: program, weights, function, tokenizer.
    ///
    /// # Errors
    /// A weight can't be read.
    pub fn content(&self) -> Result<String> {
        let program = match &self.opened.bundle {
            Some(bundle) => bundle.content()?,
            None => package::digest(Path::new(&self.name))?,
        };
        let tokenizer = self.tokenizer.as_ref().map(|t| t.content()).transpose()?;
        let tokenizer = tokenizer.unwrap_or_default();
        let (engine, function) = (self.engine().name(), &self.function);
        let parts = format!("{program} {function} {tokenizer} {engine}");
        Ok(sha256(parts.as_bytes()))
    }

    /// The interface of the whole.
    pub fn description(&self) -> &Description {
        self.opened.engine.description()
    }

    pub fn engine(&self) -> &dyn Engine {
        &*self.opened.engine
    }

    /// The portable engine; fails on the apple engine, which has no gradients and shows no weights.
    pub fn portable(&self) -> Result<&Arc<Portable>> {
        self.opened
            .portable
            .as_ref()
            .ok_or_else(|| match &self.opened.bundle {
                None => Error::new(format!("\"{}\" is made of several programs", self.name))
                    .hint("training and tracing take models of one program"),
                Some(_) => Error::new(format!("\"{}\" runs on the apple engine", self.name))
                    .hint("load it with #{engine: \"portable\"} to train it or to see its weights"),
            })
    }

    pub fn function(&self) -> &str {
        &self.function
    }

    /// What the user should know of how the model runs, in words; each remark once.
    pub fn news(&self) -> Vec<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut remarks = self.opened.engine.remarks();
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

    /// Writes `bundle`, a variant of this model, with this one's tokenizer and chat template inside.
    pub fn save_as(&self, bundle: &Bundle, path: &Path) -> Result<()> {
        bundle.save(path)?;
        if let Ok(tokenizer) = self.tokenizer() {
            for (name, text) in tokenizer.files()? {
                files::write_atomic(&path.join(name), text.as_bytes())?;
            }
        }
        Ok(())
    }

    /// How the model takes tokens and gives logits.
    pub fn convention(&self) -> Result<&Arc<dyn Convention>> {
        self.convention.as_ref().map_err(Error::clone)
    }

    /// The same as of a function that takes whole rows, as training needs it.
    pub(super) fn whole(&self) -> Result<Whole> {
        let convention = self.convention()?;
        convention.whole().cloned().ok_or_else(|| {
            Error::new(format!(
                "\"{}\" takes tokens in pieces ({})",
                self.name,
                convention.told()
            ))
            .hint("training needs a function that takes whole rows, of a fixed or ranged length")
        })
    }

    fn runner(&self) -> Runner<'_> {
        Runner {
            engine: &*self.opened.engine,
            function: &self.function,
            interrupt: &self.interrupt,
        }
    }

    /// Logits of a row of token ids: `[length, vocab]`, or `[1, vocab]` where the model gives only the
    /// last position's.
    pub fn forward(&self, input_ids: &[u32]) -> Result<Array2<f32>> {
        let mut all = self.forward_batch(&[input_ids])?;
        Ok(all.remove(0))
    }

    /// Logits of several rows of any lengths.
    pub fn forward_batch(&self, rows: &[&[u32]]) -> Result<Vec<Array2<f32>>> {
        self.convention()?.forward(&self.runner(), rows)
    }

    /// How the model decodes, once it is known.
    pub fn decoding(&self) -> Option<Decoding> {
        if let Some(way) = self.convention().ok()?.way() {
            return Some(Decoding::Kept(way));
        }
        match (&self.opened.portable, &self.opened.bundle) {
            (Some(_), _) => self.policy.get()?.decoding().cloned(),
            (None, Some(_)) => Some(Decoding::Recompute("the apple engine runs it".to_owned())),
            (None, None) => Some(Decoding::Recompute(
                "it is made of several programs".to_owned(),
            )),
        }
    }

    /// What the user should know of how the model decodes; at the first call after that was found.
    pub fn remark(&self) -> Option<String> {
        let own = self.convention().ok()?.remark();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match own {
            Some(remark) => told.insert(remark.clone()).then_some(remark),
            None => self.policy.get()?.remark(),
        }
    }

    /// The model with its own weights, where it is stateless and runs on the portable engine.
    fn stateless(&self) -> Result<Option<&Policy>> {
        match (&self.opened.portable, self.convention()?.way()) {
            (Some(_), None) => self.policy().map(Some),
            _ => Ok(None),
        }
    }

    fn policy(&self) -> Result<&Policy> {
        if let Some(policy) = self.policy.get() {
            return Ok(policy);
        }
        let bound = self.portable()?.bind(&self.function, &BTreeSet::new())?;
        let policy = Policy::new(bound, self.whole()?, &self.interrupt)?;
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

impl RowLogits for CoreMLModelWrapper {
    fn name(&self) -> &str {
        &self.name
    }

    fn row_logits(&self, ids: &[u32]) -> Result<Array2<f32>> {
        self.forward(ids)
    }
}

impl NextLogits for CoreMLModelWrapper {
    fn next_logits(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        if let Some(policy) = self.stateless()? {
            return policy.next_logits(rows);
        }
        if let Some(mut decoder) = self.convention()?.decoder(self.runner())? {
            let alone = |row: &&[u32]| Ok(decoder.next(&[(0, row)])?.remove(0));
            return rows.iter().map(alone).collect();
        }
        let logits = self.forward_batch(rows)?;
        let last = |l: Array2<f32>| l.row(l.nrows() - 1).to_vec();
        Ok(logits.into_iter().map(last).collect())
    }

    fn max_len(&self) -> usize {
        self.convention()
            .map_or(0, |convention| convention.length_max())
    }

    fn decoder(&self, longest: usize) -> Result<Option<Box<dyn Decoder + '_>>> {
        match self.stateless()? {
            Some(policy) => policy.decoder(longest),
            None => self.convention()?.decoder(self.runner()),
        }
    }
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
