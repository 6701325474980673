//! What models are compared on unless the user has a text.

/// About 700 tokens of English: a story, an explanation, numbers, code, a list.
pub const SAMPLE: &str = include_str!("sample.txt");
