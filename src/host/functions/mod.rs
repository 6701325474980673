//! The script functions, one file per topic; a new file gets a `mod` line and a place in [`TOPICS`].

use super::registry::Topic;

mod basics;
mod files;
mod progress;
mod random;
mod text;

/// Every topic, in the order of the help.
pub(super) const TOPICS: &[Topic] = &[
    basics::TOPIC,
    text::TOPIC,
    progress::TOPIC,
    files::TOPIC,
    random::TOPIC,
];
