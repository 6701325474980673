//! A REPL and scripting host for RLAIF (reinforcement learning from AI feedback) on Core ML language
//! models.
//!
//! # The map
//!
//! A module uses what stands below it, never what stands above; `tests/tidy.rs` holds the table.
//!
//! ```text
//!  9  cli
//!  8  repl    kernel    lsp
//!  7  session
//!  6  host
//!  5  train
//!  4  feedback
//!  3  convert → models → generate, objectives, optim
//!  2  engine {portable, apple}    graph    verify
//!  1  package → weights, mil    data, chat → tokenizer    hub → report    runs
//!  0  numeric, files → diag
//! ```

pub mod diag;
pub mod files;
pub mod numeric;

pub mod chat;
pub mod data;
pub mod hub;
pub mod mil;
pub mod package;
pub mod report;
pub mod runs;
pub mod tokenizer;
pub mod weights;

pub mod engine;
pub mod graph;
pub mod verify;

pub mod convert;
pub mod generate;
pub mod models;
pub mod objectives;
pub mod optim;

pub mod feedback;
pub mod train;

pub mod host;
pub mod session;

pub mod kernel;
pub mod lsp;
pub mod repl;

pub mod cli;
