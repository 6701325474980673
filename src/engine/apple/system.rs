//! What the machine offers, asked before anything that would panic: candle's Metal device and several
//! Core ML classes abort where they should return an error.

use std::panic;

use candle_core::Device;
use objc2::available;
use objc2_foundation::NSProcessInfo;
use objc2_metal::MTLCopyAllDevices;

use crate::diag::{Error, Result};
use crate::fail;

/// Fails before macOS 15: states, several functions and candle's Metal device came with it.
pub(super) fn require_macos_15() -> Result<()> {
    if available!(macos = 15.0) {
        return Ok(());
    }
    let version = os_version();
    fail!("macOS 15 or later is needed, and this is {version}")
}

/// The GPU number `ordinal` for the portable engine.
pub(in crate::engine) fn metal(ordinal: usize) -> Result<Device> {
    require_macos_15()?;
    let found = MTLCopyAllDevices().len();
    if ordinal >= found {
        return Err(
            Error::new(format!("no GPU number {ordinal}; Metal finds {found}"))
                .hint("use the device \"cpu\""),
        );
    }
    match panic::catch_unwind(|| Device::new_metal(ordinal)) {
        Ok(device) => Ok(device?),
        Err(_) => fail!("candle could not open GPU number {ordinal}"),
    }
}

/// Such as "Version 15.5 (Build 24F74)".
pub(super) fn os_version() -> String {
    NSProcessInfo::processInfo()
        .operatingSystemVersionString()
        .to_string()
}
