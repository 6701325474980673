//! Where the portable engine computes: devices by name, checked where candle would panic.

use candle_core::Device;

use crate::diag::{Error, Result};

/// Opens `cpu`, `metal` or `cuda`; a further GPU is named by number, as in `cuda:1`.
///
/// Fails, with a way out, where this build or this machine has no such device.
pub fn open(name: &str) -> Result<Device> {
    let (kind, ordinal) = match name.split_once(':') {
        None => (name, 0),
        Some((kind, number)) => match number.parse() {
            Ok(ordinal) if kind != "cpu" => (kind, ordinal),
            _ => return Err(unknown(name)),
        },
    };
    match kind {
        "cpu" => Ok(Device::Cpu),
        "metal" => metal(ordinal),
        "cuda" => cuda(ordinal),
        _ => Err(unknown(name)),
    }
}

/// Runs one request or one training step. On a Mac, what Metal and Core ML made for it is freed when it
/// ends: candle has no autorelease pool of its own, and a loop without one grows without bound.
pub fn scoped<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_os = "macos")]
    {
        objc2::rc::autoreleasepool(|_| work())
    }
    #[cfg(not(target_os = "macos"))]
    {
        work()
    }
}

fn unknown(name: &str) -> Error {
    Error::unknown("device", name, ["cpu", "metal", "cuda"])
}

#[cfg(target_os = "macos")]
fn metal(ordinal: usize) -> Result<Device> {
    super::apple::system::metal(ordinal)
}

#[cfg(not(target_os = "macos"))]
fn metal(_ordinal: usize) -> Result<Device> {
    Err(Error::new("Metal is on macOS only").hint("use the device \"cpu\""))
}

#[cfg(feature = "cuda")]
fn cuda(ordinal: usize) -> Result<Device> {
    Ok(Device::new_cuda(ordinal)?)
}

#[cfg(not(feature = "cuda"))]
fn cuda(_ordinal: usize) -> Result<Device> {
    Err(Error::new("this build has no CUDA")
        .hint("build with --features cuda, or use the device \"cpu\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_whole() {
        assert!(matches!(open("cpu"), Ok(Device::Cpu)));
        for wrong in ["gpu", "cpu:1", "metal:x", "cuda:", ""] {
            let error = open(wrong).unwrap_err();
            assert!(error.to_string().contains("unknown device"), "{error}");
        }
    }

    #[test]
    fn what_is_absent_says_what_to_use() {
        let absent: &[&str] = if cfg!(feature = "cuda") {
            &["metal:99"]
        } else {
            &["metal:99", "cuda"]
        };
        for name in absent {
            assert!(open(name).unwrap_err().hint_text().is_some(), "{name}");
        }
    }

    #[test]
    fn a_scope_returns_what_its_work_returns() {
        assert_eq!(scoped(|| 7), 7);
    }
}
