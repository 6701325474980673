//! What is at a path, on the engine that was asked for: a program, a pipeline, or a folder of parts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::coreml_model::{EngineChoice, LoadOptions};
use super::parts::{self, Files};
use crate::diag::{Context, Result};
use crate::engine::portable::Portable;
use crate::engine::{Engine, apple, pipeline};
use crate::package::{Bundle, Model};

/// A model's engine, and what else is known where it is one program.
pub(super) struct Opened {
    pub engine: Arc<dyn Engine>,
    /// Absent where the model is made of several.
    pub bundle: Option<Arc<Bundle>>,
    /// The same engine, if it is the portable one.
    pub portable: Option<Arc<Portable>>,
}

impl Opened {
    pub fn path(path: &Path, options: &LoadOptions) -> Result<Self> {
        if let Some(files) = Files::find(path)? {
            // Chunks have a function for prompts and one for single tokens.
            let engines: RefCell<BTreeMap<PathBuf, Arc<dyn Engine>>> = RefCell::default();
            let engine = |path: &Path| {
                if let Some(engine) = engines.borrow().get(path) {
                    return Ok(engine.clone());
                }
                let engine = Self::one(path, options)?.engine;
                engines.borrow_mut().insert(path.to_owned(), engine.clone());
                Ok(engine)
            };
            let parts = parts::open(&files, &engine);
            return Ok(Self {
                engine: Arc::new(parts.with_context(|| path.display().to_string())?),
                bundle: None,
                portable: None,
            });
        }
        match parts::only_bundle(path)? {
            Some(bundle) => Self::one(&bundle, options),
            None => Self::one(path, options),
        }
    }

    /// A bundle of its own.
    fn one(path: &Path, options: &LoadOptions) -> Result<Self> {
        let model = Model::open(path)?;
        let engine: Arc<dyn Engine> = match (&options.engine, model) {
            (EngineChoice::Portable, Model::Program(bundle)) => {
                let opened = Self::program(Arc::new(bundle), options);
                return opened.with_context(|| path.display().to_string());
            }
            (EngineChoice::Portable, pipeline) => {
                pipeline::portable(pipeline, options.portable())?.into()
            }
            (EngineChoice::Apple(apple), model) => {
                let engine: Arc<dyn Engine> = apple::open(path, apple)?.into();
                if let Model::Program(bundle) = model {
                    return Ok(Self {
                        engine,
                        bundle: Some(Arc::new(bundle)),
                        portable: None,
                    });
                }
                engine
            }
        };
        Ok(Self {
            engine,
            bundle: None,
            portable: None,
        })
    }

    /// A program in memory, on the portable engine.
    pub fn program(bundle: Arc<Bundle>, options: &LoadOptions) -> Result<Self> {
        let portable = Arc::new(Portable::new(bundle.clone(), options.portable())?);
        Ok(Self {
            engine: portable.clone(),
            bundle: Some(bundle),
            portable: Some(portable),
        })
    }
}
