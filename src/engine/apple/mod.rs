//! Core ML itself, through candle-coreml: inference only, macOS 15 or later, one thin module behind
//! [`Engine`]. On other systems [`open`] says so.

#[cfg(target_os = "macos")]
mod convert;
#[cfg(target_os = "macos")]
mod core_ml;
#[cfg(target_os = "macos")]
mod load;
#[cfg(any(test, target_os = "macos"))]
mod multiarray;
#[cfg(target_os = "macos")]
mod state;
#[cfg(target_os = "macos")]
pub(super) mod system;
#[cfg(target_os = "macos")]
mod worker;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Engine;
use crate::diag::{Error, Result};

/// What Core ML may run a model on. It decides per operation; `Cpu` alone computes in full precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ComputeUnits {
    Cpu,
    CpuAndGpu,
    CpuAndNeuralEngine,
    #[default]
    All,
}

/// How [`open`] loads a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppleOptions {
    pub compute_units: ComputeUnits,
    /// Folder for what Apple's compiler makes of `.mlpackage` and `.mlmodel`, by content.
    pub cache: PathBuf,
}

/// Opens a bundle of any form on Core ML; its default function is loaded at once, others at first use.
///
/// Fails off macOS, before macOS 15, and when Core ML can't compile or load the model.
pub fn open(path: &Path, options: &AppleOptions) -> Result<Box<dyn Engine>> {
    #[cfg(target_os = "macos")]
    {
        Ok(Box::new(core_ml::AppleEngine::open(path, options)?))
    }
    #[cfg(not(target_os = "macos"))]
    {
        let _ = options;
        let refused = format!(
            "Core ML runs on macOS only, and this is {}",
            std::env::consts::OS
        );
        Err(Error::new(refused)
            .hint("the portable engine runs the same model here")
            .context(format!("open {}", path.display())))
    }
}

/// Lets Apple's compiler write the `.mlpackage` or `.mlmodel` at `source` as a `.mlmodelc` to `target`,
/// where nothing may be. Fails off macOS, and when Core ML can't compile the model.
pub fn compile(source: &Path, target: &Path) -> Result<()> {
    #[cfg(target_os = "macos")]
    {
        load::compile(source, target)
    }
    #[cfg(not(target_os = "macos"))]
    {
        let _ = (source, target);
        let refused = format!(
            "Apple's compiler runs on macOS only, and this is {}",
            std::env::consts::OS
        );
        Err(Error::new(refused).hint("without --apple, the compiler of this program is used"))
    }
}

impl ComputeUnits {
    const NAMES: [(&str, ComputeUnits); 4] = [
        ("cpu", ComputeUnits::Cpu),
        ("cpu+gpu", ComputeUnits::CpuAndGpu),
        ("cpu+ane", ComputeUnits::CpuAndNeuralEngine),
        ("all", ComputeUnits::All),
    ];
}

impl FromStr for ComputeUnits {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match Self::NAMES.iter().find(|(name, _)| *name == text) {
            Some((_, units)) => Ok(*units),
            None => Err(Error::unknown(
                "compute units",
                text,
                Self::NAMES.map(|(name, _)| name),
            )),
        }
    }
}

impl fmt::Display for ComputeUnits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, units)| units == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compute_units_read_back_as_written() {
        for (name, units) in ComputeUnits::NAMES {
            assert_eq!(name.parse::<ComputeUnits>().unwrap(), units);
            assert_eq!(units.to_string(), name);
        }
        let error = "cpu+nae".parse::<ComputeUnits>().unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean \"cpu+ane\"?"));
    }

    #[cfg(not(target_os = "macos"))]
    #[test]
    fn elsewhere_the_way_out_is_named() {
        let options = AppleOptions {
            compute_units: ComputeUnits::All,
            cache: PathBuf::new(),
        };
        let error = open(Path::new("m.mlmodelc"), &options).err().unwrap();
        assert!(error.hint_text().unwrap().contains("portable"));
    }
}
