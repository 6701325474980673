//! The one integration test binary; a module a topic.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod batch;
mod cli;
mod decoding;
mod engine;
mod examples;
mod families;
mod fetch;
mod formats;
mod fuzz;
mod gguf;
mod gradients;
mod graph;
mod inspect;
mod judging;
mod kernel;
mod keyboard;
mod looks;
mod lsp;
mod objectives;
mod passes;
mod recompression;
mod reference;
mod serve;
mod sessions;
mod terminal;
mod tidy;
mod trace;
mod training;
mod verify;
