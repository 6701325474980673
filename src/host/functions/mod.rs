//! The script functions, one file per topic; a new file gets a `mod` line and a place in [`TOPICS`].

use super::registry::Topic;

mod basics;
mod evaluation;
mod files;
mod judges;
mod logits;
mod making;
mod models;
mod random;
mod samples;
mod text;
mod training;

/// Every topic, in the order of the help.
pub(super) const TOPICS: &[Topic] = &[
    basics::TOPIC,
    models::TOPIC,
    logits::TOPIC,
    judges::TOPIC,
    training::TOPIC,
    evaluation::TOPIC,
    making::TOPIC,
    text::TOPIC,
    files::TOPIC,
    random::TOPIC,
];
