//! Decoding: from next-token logits to sampled token ids, for a batch of prompts of different lengths.
//!
//! Tokens in, tokens out: nothing here decodes text, so what is sampled is exactly what is trained on.

mod sampling;

pub use sampling::{Sampling, logprob, pick};

use crate::diag::{Interrupt, Result};
use crate::fail;
use crate::numeric::Rng;

/// Something that gives next-token logits: the one thing decoding needs of a model.
pub trait NextLogits {
    /// For each row of token ids, the logits over the vocabulary after its last token.
    fn next_logits(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>>;

    /// The longest row that [`NextLogits::next_logits`] takes.
    fn max_len(&self) -> usize;

    /// Something that decodes rows of up to `longest` tokens without computing their past again; absent
    /// where the model has no such thing.
    fn decoder(&self, _longest: usize) -> Result<Option<Box<dyn Decoder + '_>>> {
        Ok(None)
    }
}

/// What a decoder keeps of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Keys and values in the program's own states.
    States,
    /// Keys and values that the program takes as inputs and gives as outputs.
    ExplicitCache,
    /// Keys and values that our engine keeps for a program without a cache: the increment transform.
    Increments,
    /// Nothing: all tokens are computed again for each new one.
    Recompute,
}

impl Way {
    /// `states`, `explicit cache`, `increments` or `recompute`.
    pub fn name(self) -> &'static str {
        match self {
            Way::States => "states",
            Way::ExplicitCache => "explicit cache",
            Way::Increments => "increments",
            Way::Recompute => "recompute",
        }
    }
}

/// Gives next-token logits of rows that grow.
pub trait Decoder {
    fn way(&self) -> Way;

    /// The logits after the last token of each row. A row is a number of its own, and all its ids; one
    /// that is left out is over.
    fn next(&mut self, rows: &[(usize, &[u32])]) -> Result<Vec<Vec<f32>>>;
}

/// Computes everything at every token.
struct Recompute<'a>(&'a dyn NextLogits);

impl Decoder for Recompute<'_> {
    fn way(&self) -> Way {
        Way::Recompute
    }

    fn next(&mut self, rows: &[(usize, &[u32])]) -> Result<Vec<Vec<f32>>> {
        let rows: Vec<&[u32]> = rows.iter().map(|(_, ids)| *ids).collect();
        self.0.next_logits(&rows)
    }
}

/// Why a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// An end-of-sequence token was sampled (it is part of the completion).
    Eos,
    /// `max_new_tokens` or the model's longest sequence was reached.
    Length,
}

/// One sampled continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    pub prompt: Vec<u32>,
    /// Sampled ids, with the end-of-sequence token if it came.
    pub completion: Vec<u32>,
    /// log π of each sampled id under the distribution it was drawn from before truncation: logits
    /// divided by the temperature, then log-softmax. Nats.
    pub logprobs: Vec<f64>,
    pub finish: Finish,
}

impl Rollout {
    /// Prompt and completion.
    pub fn ids(&self) -> Vec<u32> {
        [&self.prompt[..], &self.completion].concat()
    }

    /// The completion without its end-of-sequence token, for decoding to text.
    pub fn text_ids(&self) -> &[u32] {
        match self.finish {
            Finish::Eos => &self.completion[..self.completion.len() - 1],
            Finish::Length => &self.completion,
        }
    }
}

/// Samples one continuation of each prompt.
///
/// Row `i` draws from its own random stream (of `seed` and `i`), so that its text does not depend on what
/// else is in the batch. `progress` is told the number of rows still open after each token.
pub fn generate(
    model: &dyn NextLogits,
    prompts: &[Vec<u32>],
    sampling: &Sampling,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Rollout>> {
    sampling.check()?;
    let mut rows = start(prompts, sampling, model.max_len())?;
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0) + sampling.max_new_tokens;
    let decoder = model.decoder(longest.min(model.max_len()))?;
    let mut decoder = decoder.unwrap_or_else(|| Box::new(Recompute(model)));
    loop {
        let open: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].open).collect();
        progress(open.len());
        if open.is_empty() {
            break;
        }
        interrupt.check()?;
        let grown = open.iter().map(|i| (*i, rows[*i].ids.as_slice()));
        let logits = decoder.next(&grown.collect::<Vec<_>>())?;
        for (i, logits) in open.into_iter().zip(logits) {
            rows[i].extend(&logits, sampling, model.max_len())?;
        }
    }
    Ok(rows.into_iter().map(Row::finish).collect())
}

/// A row while it grows.
struct Row {
    ids: Vec<u32>,
    prompt_len: usize,
    logprobs: Vec<f64>,
    rng: Rng,
    open: bool,
    ended: bool,
}

fn start(prompts: &[Vec<u32>], sampling: &Sampling, max_len: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::with_capacity(prompts.len());
    for (i, prompt) in prompts.iter().enumerate() {
        if prompt.is_empty() || prompt.len() >= max_len {
            let len = prompt.len();
            fail!(
                "prompt {i} has {len} tokens; between 1 and {} fit the model",
                max_len - 1
            );
        }
        rows.push(Row {
            ids: prompt.clone(),
            prompt_len: prompt.len(),
            logprobs: Vec::new(),
            rng: Rng::named(sampling.seed, &format!("row {i}")),
            open: sampling.max_new_tokens > 0,
            ended: false,
        });
    }
    Ok(rows)
}

impl Row {
    fn extend(&mut self, logits: &[f32], sampling: &Sampling, max_len: usize) -> Result<()> {
        let id = pick(logits, &self.ids, sampling, &mut self.rng)?;
        self.logprobs
            .push(logprob(logits, id, sampling.scoring_temperature()));
        self.ids.push(id);
        self.ended = sampling.eos.contains(&id);
        let new = self.ids.len() - self.prompt_len;
        self.open = !self.ended && new < sampling.max_new_tokens && self.ids.len() < max_len;
        Ok(())
    }

    fn finish(self) -> Rollout {
        let completion = self.ids[self.prompt_len..].to_vec();
        let mut prompt = self.ids;
        prompt.truncate(self.prompt_len);
        let finish = if self.ended {
            Finish::Eos
        } else {
            Finish::Length
        };
        Rollout {
            prompt,
            completion,
            logprobs: self.logprobs,
            finish,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Always the same distribution over four tokens; token 3 ends.
    struct Fixed([f32; 4]);

    impl NextLogits for Fixed {
        fn next_logits(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
            Ok(vec![self.0.to_vec(); rows.len()])
        }

        fn max_len(&self) -> usize {
            16
        }
    }

    fn sample(prompts: usize, sampling: &Sampling) -> Vec<Rollout> {
        let model = Fixed([0.0, 0.5, 1.0, 0.2]);
        let prompts = vec![vec![0]; prompts];
        generate(
            &model,
            &prompts,
            sampling,
            &Interrupt::default(),
            &mut |_| {},
        )
        .unwrap()
    }

    #[test]
    fn a_row_does_not_depend_on_its_batch() {
        let sampling = Sampling {
            seed: 3,
            eos: vec![3],
            ..Sampling::default()
        };
        assert_eq!(sample(1, &sampling)[0], sample(5, &sampling)[0]);
    }

    #[test]
    fn eos_is_kept_in_the_completion_and_ends_it() {
        let sampling = Sampling {
            seed: 1,
            eos: vec![3],
            max_new_tokens: 50,
            ..Sampling::default()
        };
        for rollout in sample(20, &sampling) {
            let ends = rollout.completion.iter().filter(|id| **id == 3).count();
            assert_eq!(ends, usize::from(rollout.finish == Finish::Eos));
            assert_eq!(rollout.logprobs.len(), rollout.completion.len());
            assert!(!rollout.text_ids().contains(&3));
        }
    }

    #[test]
    fn a_prompt_that_fills_the_model_is_refused() {
        let model = Fixed([0.0; 4]);
        let sampling = Sampling::default();
        let result = generate(
            &model,
            &[vec![0; 16]],
            &sampling,
            &Interrupt::default(),
            &mut |_| {},
        );
        assert!(result.unwrap_err().to_string().contains("between 1 and 15"));
    }
}
