//! The script language: rhai with honest numbers, and the registry of our script functions.
//!
//! # Adding functions
//!
//! One file per topic in `functions/`, one line in the list of `functions/mod.rs`:
//!
//! ```ignore
//! pub(super) const TOPIC: Topic = Topic { name: "models", summary: "Load and run models.", functions, types };
//!
//! fn types() -> Vec<TypeEntry> { vec![TypeEntry::of::<Model>()] }
//!
//! fn functions() -> Vec<ScriptFn> {
//!     vec![
//!         function("load", "Reads a model bundle.")
//!             .param("path", Kind::Path(&["mlmodelc"]), "The bundle's folder.")
//!             .options(&[Key::choice("engine", &["auto", "portable"], "auto", "What runs it.")])
//!             .returns("Model")
//!             .example("load(\"student\").name", "\"student\"")
//!             .run(|call| Model::load(call.get::<PathBuf>("path")?, &call.options.get::<String>("engine")?)),
//!         property::<Model>("name", "Its name.").returns("string").run(|call| Ok(call.receiver::<Model>()?.name())),
//!     ]
//! }
//! ```
//!
//! Types, ranges and unknown option keys are checked before the closure runs. Signature, help, completion,
//! hints and tests come from the same lines.

pub mod builtins;
pub mod call;
mod compare;
pub mod context;
pub mod engine;
pub mod error;
pub mod front;
pub mod function;
mod functions;
pub mod help;
pub mod json;
pub mod kind;
pub mod limits;
mod nested;
pub(crate) mod notes;
pub mod options;
pub mod progress;
pub mod provenance;
mod records;
pub mod registry;
pub(crate) mod resolver;
pub mod show;
pub mod sink;
mod sort;
pub mod value;

pub use crate::engine::portable::{Spent, finish_tally, start_tally};
pub use call::{Call, Callback};
pub use context::{Clock, Host, Setup, StillClock};
pub use front::{Front, Nobody};
pub use function::{ScriptFn, function, index, method, operator, property};
pub use kind::Kind;
pub use limits::Limits;
pub use options::{Key, Options};
pub use progress::{Figure, Progress, Update};
pub use provenance::Provenance;
pub use registry::{Registry, Topic, TypeEntry};
pub use sink::{Event, Recorder, Sink};
pub use value::{FromScript, IntoScript, Kept, ScriptValue};
