//! Core ML itself, through candle-coreml: macOS only, one thin module behind [`super::Engine`].
