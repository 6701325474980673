//! On a Mac: the engine's contract on Core ML itself.
