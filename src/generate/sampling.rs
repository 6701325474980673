//! How tokens are drawn: the options.

use std::sync::Arc;

use super::constraint::Constraint;
use crate::diag::{Error, Result};
use crate::fail;
use crate::tokenizer::Vocabulary;

/// How tokens are drawn. What is set here is applied in this order, which is that of transformers
/// (`GenerationMixin._get_logits_processor`, 4.51): bias, repetition penalty, frequency and presence
/// penalty, constraint, temperature, top-k, top-p, min-p.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    /// Keep the `top_k` likeliest tokens, and those as likely as the last of them; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of likeliest tokens that holds this much probability; 1 keeps all.
    pub top_p: f64,
    /// Keep tokens at least this fraction as likely as the likeliest; 0 keeps all.
    pub min_p: f64,
    /// Divides positive and multiplies negative logits of tokens already present, in the prompt too
    /// (CTRL, Keskar et al. 2019); 1 is off.
    pub repetition_penalty: f64,
    /// Taken off the logit of a token once it is in the completion (OpenAI's definition).
    pub presence_penalty: f64,
    /// Taken off the logit of a token for each time that it is in the completion (OpenAI's definition).
    pub frequency_penalty: f64,
    /// Added to the logits of these ids; −∞ forbids one.
    pub logit_bias: Vec<(u32, f64)>,
    /// Texts that end a row where one begins.
    pub stop: Vec<String>,
    /// What the completion must be.
    pub constraint: Option<Constraint>,
    pub max_new_tokens: usize,
    /// Ids that end a row.
    pub eos: Vec<u32>,
    /// Row `i` draws from a stream of this seed and `i`.
    pub seed: u64,
    /// A seed for each row instead: the row draws as if it were alone with that seed.
    pub seeds: Option<Vec<u64>>,
    /// How many of the likeliest ids to tell with their log-probabilities at each step.
    pub likeliest: usize,
    /// What tokens write, for stop strings, the constraint and the text as it comes.
    pub vocabulary: Option<Arc<Vocabulary>>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            stop: Vec::new(),
            constraint: None,
            max_new_tokens: 64,
            eos: Vec::new(),
            seed: 0,
            seeds: None,
            likeliest: 0,
            vocabulary: None,
        }
    }
}

impl Sampling {
    /// Fails for values out of range, naming the option.
    pub fn check(&self, rows: usize) -> Result<()> {
        let (any, positive) = (f64::MIN..=f64::MAX, f64::MIN_POSITIVE..=f64::MAX);
        let ranges = [
            ("temperature", self.temperature, 0.0..=f64::MAX),
            ("top_p", self.top_p, f64::MIN_POSITIVE..=1.0),
            ("min_p", self.min_p, 0.0..=1.0),
            ("repetition_penalty", self.repetition_penalty, positive),
            ("presence_penalty", self.presence_penalty, any.clone()),
            ("frequency_penalty", self.frequency_penalty, any),
        ];
        for (name, value, range) in ranges {
            if !range.contains(&value) {
                fail!("{name} is {value}, out of its range");
            }
        }
        if let Some((id, bias)) = self
            .logit_bias
            .iter()
            .find(|(_, b)| b.is_nan() || *b == f64::INFINITY)
        {
            fail!("the bias of token {id} is {bias}");
        }
        if self.stop.iter().any(String::is_empty) {
            fail!("a stop string is empty");
        }
        if let Some(seeds) = self.seeds.as_ref().filter(|seeds| seeds.len() != rows) {
            fail!("there are {} seeds for {rows} prompts", seeds.len());
        }
        if self.vocabulary.is_none() && (self.constraint.is_some() || !self.stop.is_empty()) {
            return Err(Error::new("the model has no tokenizer")
                .hint("stop strings and constraints need to know what tokens write"));
        }
        Ok(())
    }

    /// The temperature that logprobs are computed at: greedy rows are scored at 1.
    pub fn scoring_temperature(&self) -> f64 {
        if self.temperature == 0.0 {
            1.0
        } else {
            self.temperature
        }
    }
}
