//! What came out: a sampled continuation, and why it ended.

use crate::tokenizer::Vocabulary;

/// Why a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// An end-of-sequence token was sampled (it is part of the completion).
    Eos,
    /// A stop string came; the text ends after this many bytes, before the stop string.
    Stop(usize),
    /// The constraint is met, nothing may follow, and the model has no end-of-sequence token to say so.
    Complete,
    /// `max_new_tokens` or the model's longest sequence was reached.
    Length,
    /// Generation was given up before the row ended.
    Unfinished,
}

impl Finish {
    /// `eos`, `stop`, `complete`, `length` or `unfinished`.
    pub fn name(self) -> &'static str {
        match self {
            Finish::Eos => "eos",
            Finish::Stop(_) => "stop",
            Finish::Complete => "complete",
            Finish::Length => "length",
            Finish::Unfinished => "unfinished",
        }
    }

    /// Whether the row came to an end of its own rather than being cut.
    pub fn is_end(self) -> bool {
        matches!(self, Finish::Eos | Finish::Stop(_) | Finish::Complete)
    }
}

/// One sampled continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    pub prompt: Vec<u32>,
    /// Sampled ids: with the end-of-sequence token, or the tokens of the stop string, if one came.
    pub completion: Vec<u32>,
    /// log π of each sampled id under the model's own distribution: logits divided by the temperature
    /// (greedy: by 1), then log-softmax, before penalties, bias, constraint and truncation. Nats.
    pub logprobs: Vec<f64>,
    /// For each sampled id the likeliest ids with their log π, as many as [`Sampling`](super::Sampling)
    /// asked for.
    pub likeliest: Vec<Vec<(u32, f64)>>,
    pub finish: Finish,
}

impl Rollout {
    /// Prompt and completion.
    pub fn ids(&self) -> Vec<u32> {
        [&self.prompt[..], &self.completion].concat()
    }

    /// The completion without its end-of-sequence token.
    pub fn text_ids(&self) -> &[u32] {
        match self.finish {
            Finish::Eos => &self.completion[..self.completion.len().saturating_sub(1)],
            _ => &self.completion,
        }
    }

    /// The completion as text, cut before the stop string. Bytes that are no UTF-8 show as U+FFFD.
    pub fn text(&self, vocabulary: &Vocabulary) -> String {
        let pieces = self.text_ids().iter().map(|id| vocabulary.piece(*id));
        let mut bytes: Vec<u8> = pieces.flatten().copied().collect();
        if let Finish::Stop(end) = self.finish {
            bytes.truncate(end);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
