//! The script functions, one file per topic; a new file gets a `mod` line and a place in [`TOPICS`].

use super::registry::Topic;

mod basics;
mod bundles;
mod cards;
mod chat;
mod compression;
mod conversion;
mod encoders;
mod evaluation;
mod files;
mod graphs;
mod hub;
mod judges;
mod likelihood;
mod logits;
mod making;
mod metrics;
mod models;
mod plots;
mod progress;
mod random;
mod runs;
mod samples;
mod sampling;
mod students;
mod tables;
mod tensors;
mod text;
mod tracing;
mod training;
mod verification;
mod writing;

/// Topics of functions that only compute.
pub(super) const PURE: &[&str] = &["logits", "tensors", "tables", "text", "evaluation"];

/// Every topic, in the order of the help.
pub(super) const TOPICS: &[Topic] = &[
    basics::TOPIC,
    models::TOPIC,
    hub::TOPIC,
    bundles::TOPIC,
    chat::TOPIC,
    logits::TOPIC,
    tracing::TOPIC,
    tensors::TOPIC,
    graphs::TOPIC,
    conversion::TOPIC,
    encoders::TOPIC,
    compression::TOPIC,
    verification::TOPIC,
    judges::TOPIC,
    students::TOPIC,
    training::TOPIC,
    evaluation::TOPIC,
    runs::TOPIC,
    making::TOPIC,
    tables::TOPIC,
    text::TOPIC,
    plots::TOPIC,
    progress::TOPIC,
    files::TOPIC,
    random::TOPIC,
];
