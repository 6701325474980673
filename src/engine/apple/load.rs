//! Models as Core ML holds them: compiled once per content, loaded once per function, run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_coreml::conversion::create_multi_feature_provider;
use candle_coreml::{Config, CoreMLModel};
use objc2::rc::Retained;
use objc2::runtime::ProtocolObject;
use objc2_core_ml::{MLComputeUnits, MLFeatureProvider, MLModel, MLModelConfiguration, MLState};
use objc2_foundation::{NSFileManager, NSString, NSURL};

use super::convert::{from_feature, in_words, to_multi_array};
use super::{AppleOptions, ComputeUnits, system};
use crate::diag::{Context, Error, Result};
use crate::engine::Features;
use crate::fail;
use crate::package::{self, Description, FeatureKind};

/// The functions of one bundle. Lives on the worker thread.
pub(super) struct Models {
    compiled: PathBuf,
    description: Description,
    units: ComputeUnits,
    loaded: BTreeMap<String, CoreMLModel>,
}

impl Models {
    pub(super) fn open(
        path: &Path,
        description: Description,
        options: &AppleOptions,
    ) -> Result<Self> {
        let mut models = Self {
            compiled: compiled(path, &options.cache)?,
            units: options.compute_units,
            loaded: BTreeMap::new(),
            description,
        };
        let default = models.description.default_function.clone();
        models.function(&default)?;
        Ok(models)
    }

    pub(super) fn new_state(&mut self, function: &str) -> Result<Retained<MLState>> {
        let model = self.function(function)?.inner_model();
        // SAFETY: `newState` exists since macOS 15, which was checked when the engine was opened.
        Ok(unsafe { model.newState() })
    }

    /// Runs `function` on inputs that fit its description.
    pub(super) fn predict(
        &mut self,
        function: &str,
        inputs: &Features,
        state: Option<&MLState>,
    ) -> Result<Features> {
        let arrays: Result<Vec<_>> = inputs.values().map(to_multi_array).collect();
        let names: Vec<String> = inputs.keys().cloned().collect();
        let provider = create_multi_feature_provider(&names, &arrays?)
            .map_err(|error| Error::new(error.to_string()))?;
        let provider = ProtocolObject::from_ref(&*provider);
        let model = self.function(function)?.inner_model();
        // SAFETY: the provider and the state live through these calls, and only this thread uses them.
        let predicted = unsafe {
            match state {
                Some(state) => model.predictionFromFeatures_usingState_error(provider, state),
                None => model.predictionFromFeatures_error(provider),
            }
        };
        let predicted = predicted.map_err(|error| in_words(&error))?;
        self.outputs(function, &predicted)
    }

    fn outputs(
        &self,
        function: &str,
        predicted: &ProtocolObject<dyn MLFeatureProvider>,
    ) -> Result<Features> {
        let mut outputs = Features::new();
        for feature in &self.description.function(function)?.outputs {
            let name = &feature.name;
            // SAFETY: asks a live provider by a name.
            let value = unsafe { predicted.featureValueForName(&NSString::from_str(name)) };
            let Some(value) = value else {
                fail!("Core ML returned no output \"{name}\"");
            };
            let mut array = from_feature(&value).with_context(|| format!("output \"{name}\""))?;
            if let FeatureKind::Array { dtype, .. } = feature.kind {
                array = array.cast(dtype)?;
            }
            outputs.insert(name.clone(), array);
        }
        Ok(outputs)
    }

    /// The model of one function, loaded at first use.
    fn function(&mut self, name: &str) -> Result<&CoreMLModel> {
        if !self.loaded.contains_key(name) {
            let model = self.load(name)?;
            self.loaded.insert(name.to_string(), model);
        }
        let loaded = self.loaded.get(name);
        loaded.ok_or_else(|| Error::new(format!("function \"{name}\" is not loaded")))
    }

    fn load(&self, function: &str) -> Result<CoreMLModel> {
        let interface = self.description.function(function)?;
        // SAFETY: plain setters of an object of our own; `functionName` exists since macOS 15.
        let configuration = unsafe {
            let configuration = MLModelConfiguration::new();
            configuration.setComputeUnits(match self.units {
                ComputeUnits::Cpu => MLComputeUnits::CPUOnly,
                ComputeUnits::CpuAndGpu => MLComputeUnits::CPUAndGPU,
                ComputeUnits::CpuAndNeuralEngine => MLComputeUnits::CPUAndNeuralEngine,
                ComputeUnits::All => MLComputeUnits::All,
            });
            // A model without functions of its own refuses any name, `main` too.
            if self.description.functions.len() > 1 {
                configuration.setFunctionName(Some(&NSString::from_str(function)));
            }
            configuration
        };
        let url = url(&self.compiled)?;
        // SAFETY: both arguments are live objects; what Core ML can't load is an error.
        let model =
            unsafe { MLModel::modelWithContentsOfURL_configuration_error(&url, &configuration) };
        let model = model
            .map_err(|error| in_words(&error))
            .with_context(|| format!("load function \"{function}\""))?;
        let first_output = interface.outputs.first();
        let config = Config {
            input_names: interface
                .inputs
                .iter()
                .map(|input| input.name.clone())
                .collect(),
            output_name: first_output
                .map(|output| output.name.clone())
                .unwrap_or_default(),
            ..Config::default()
        };
        Ok(CoreMLModel::from_mlmodel(model, config))
    }
}

/// The compiled form of the bundle at `path`: itself, or the one in `cache`, made now if it isn't there.
///
/// The name in the cache is the bundle's content and the system's version, so that it is never stale.
fn compiled(path: &Path, cache: &Path) -> Result<PathBuf> {
    if path
        .extension()
        .is_some_and(|extension| extension == "mlmodelc")
    {
        return Ok(path.to_path_buf());
    }
    let system: String = system::os_version()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let made = cache.join(format!("{}-{system}.mlmodelc", package::digest(path)?));
    if made.is_dir() {
        return Ok(made);
    }
    fs::create_dir_all(cache).with_context(|| format!("make {}", cache.display()))?;
    let staged =
        tempfile::tempdir_in(cache).with_context(|| format!("write {}", cache.display()))?;
    let target = staged.path().join("model.mlmodelc");
    compile(path, &target)?;
    // Another process may have made the same in the meantime.
    match fs::rename(&target, &made) {
        Err(error) if !made.is_dir() => {
            Err(error).with_context(|| format!("write {}", made.display()))
        }
        _ => Ok(made),
    }
}

/// Lets Apple's compiler write the model at `path` to `target`, where nothing may be.
pub(super) fn compile(path: &Path, target: &Path) -> Result<()> {
    let source = url(path)?;
    #[expect(
        deprecated,
        reason = "the asynchronous form has nothing for a thread that must wait"
    )]
    // SAFETY: a live URL; what Core ML can't compile is an error.
    let compiled = unsafe { MLModel::compileModelAtURL_error(&source) };
    let compiled = compiled
        .map_err(|error| in_words(&error))
        .with_context(|| format!("compile {}", path.display()))?;
    NSFileManager::defaultManager()
        .moveItemAtURL_toURL_error(&compiled, &*url(target)?)
        .map_err(|error| in_words(&error))
        .with_context(|| format!("move the compiled model to {}", target.display()))
}

fn url(path: &Path) -> Result<Retained<NSURL>> {
    match path.to_str() {
        Some(text) => Ok(NSURL::fileURLWithPath(&NSString::from_str(text))),
        None => fail!("the path {} is not UTF-8", path.display()),
    }
}
