//! Conversations as text: chat templates in Jinja, with the conventions of Hugging Face's
//! `apply_chat_template`, and which of the tokens the assistant wrote.

mod encode;
mod python;
mod template;

pub use encode::Encoded;
pub use template::{Clock, Conversation, Rendered, Template};

#[cfg(test)]
mod tests;
