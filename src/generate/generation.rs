//! Rows while they grow: one token for each at a time.

use std::sync::Arc;

use regex_automata::hybrid::LazyStateID;

use super::Sampling;
use super::constraint::{Automaton, Next};
use super::decoder::{Decoder, NextLogits, Recompute, Way};
use super::distribution::Distribution;
use super::rollout::{Finish, Rollout};
use super::scores::{Past, draw, scores};
use super::text::Text;
use crate::diag::{Error, Result};
use crate::fail;
use crate::numeric::Rng;

/// A batch of continuations in the making.
///
/// Row `i` draws from its own random stream, so that its text does not depend on what else is in the batch.
pub struct Generation<'m> {
    decoder: Box<dyn Decoder + 'm>,
    rules: Rules,
    rows: Vec<Row>,
}

/// What holds for all rows.
struct Rules {
    sampling: Sampling,
    automaton: Option<Automaton>,
    max_len: usize,
}

/// A row while it grows.
struct Row {
    ids: Vec<u32>,
    prompt_len: usize,
    logprobs: Vec<f64>,
    likeliest: Vec<Vec<(u32, f64)>>,
    rng: Rng,
    text: Text,
    state: Option<LazyStateID>,
    finish: Option<Finish>,
}

impl<'m> Generation<'m> {
    /// # Errors
    /// Options out of range, a constraint that can't be used, prompts that are empty or fill the model.
    pub fn start(
        model: &'m dyn NextLogits,
        prompts: &[Vec<u32>],
        sampling: &Sampling,
    ) -> Result<Self> {
        sampling.check(prompts.len())?;
        let mut rules = Rules {
            automaton: automaton(sampling)?,
            sampling: sampling.clone(),
            max_len: model.max_len(),
        };
        let rows = prompts.iter().enumerate();
        let rows = rows.map(|(i, prompt)| Row::start(i, prompt, &mut rules));
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0) + sampling.max_new_tokens;
        let decoder = model.decoder(longest.min(model.max_len()))?;
        Ok(Self {
            decoder: decoder.unwrap_or_else(|| Box::new(Recompute(model))),
            rules,
            rows,
        })
    }

    /// What decoding keeps of the past.
    pub fn way(&self) -> Way {
        self.decoder.way()
    }

    /// How many rows still grow.
    pub fn open(&self) -> usize {
        self.rows.iter().filter(|row| row.finish.is_none()).count()
    }

    /// Whether a row still grows.
    pub fn is_open(&self, row: usize) -> bool {
        self.rows.get(row).is_some_and(|row| row.finish.is_none())
    }

    /// Samples one more token of each open row.
    pub fn step(&mut self) -> Result<()> {
        let rows = self.rows.iter().enumerate();
        let open = rows.filter(|(_, row)| row.finish.is_none());
        let grown: Vec<(usize, &[u32])> = open.map(|(i, row)| (i, row.ids.as_slice())).collect();
        if grown.is_empty() {
            return Ok(());
        }
        let logits = self.decoder.next(&grown)?;
        let open = self.rows.iter_mut().filter(|row| row.finish.is_none());
        for (row, logits) in open.zip(logits) {
            row.extend(&logits, &mut self.rules)?;
        }
        Ok(())
    }

    /// The text of a row that came since the last call and is final: whole characters, nothing of a stop
    /// string. All of it together is [`Rollout::text`].
    pub fn news(&mut self, row: usize) -> String {
        let stops = &self.rules.sampling.stop;
        let row = self.rows.get_mut(row);
        row.map_or_else(String::new, |row| row.text.news(stops))
    }

    /// The rows as they are.
    pub fn finish(self) -> Vec<Rollout> {
        self.rows.into_iter().map(Row::finish).collect()
    }
}

fn automaton(sampling: &Sampling) -> Result<Option<Automaton>> {
    match (&sampling.constraint, &sampling.vocabulary) {
        (Some(constraint), Some(vocabulary)) => {
            Automaton::new(constraint, vocabulary, &sampling.eos).map(Some)
        }
        _ => Ok(None),
    }
}

impl Rules {
    /// What may follow `state`.
    fn next(&mut self, state: Option<LazyStateID>) -> Result<Option<Arc<Next>>> {
        match (&mut self.automaton, state) {
            (Some(automaton), Some(state)) => automaton.next(state).map(Some),
            _ => Ok(None),
        }
    }
}

impl Row {
    fn start(index: usize, prompt: &[u32], rules: &mut Rules) -> Result<Self> {
        let most = rules.max_len.saturating_sub(1);
        if !(1..=most).contains(&prompt.len()) {
            let len = prompt.len();
            fail!("prompt {index} has {len} tokens; between 1 and {most} fit the model");
        }
        let sampling = &rules.sampling;
        let (seed, stream) = match &sampling.seeds {
            Some(seeds) => (seeds[index], 0),
            None => (sampling.seed, index),
        };
        let mut row = Self {
            ids: prompt.to_vec(),
            prompt_len: prompt.len(),
            logprobs: Vec::new(),
            likeliest: Vec::new(),
            rng: Rng::named(seed, &format!("row {stream}")),
            text: Text::default(),
            state: rules.automaton.as_mut().map(Automaton::start).transpose()?,
            finish: None,
        };
        row.close(rules)?;
        Ok(row)
    }

    fn completion(&self) -> &[u32] {
        &self.ids[self.prompt_len..]
    }

    fn extend(&mut self, logits: &[f32], rules: &mut Rules) -> Result<()> {
        let next = rules.next(self.state)?;
        let sampling = &rules.sampling;
        let past = Past {
            prompt: &self.ids[..self.prompt_len],
            completion: self.completion(),
            allowed: next.as_ref().map(|next| &next.tokens),
        };
        let id = draw(
            &scores(logits, &past, sampling)?,
            sampling.temperature,
            &mut self.rng,
        );
        let distribution = Distribution::new(logits, sampling.scoring_temperature());
        self.logprobs.push(distribution.logprob(id));
        if sampling.likeliest > 0 {
            self.likeliest
                .push(distribution.likeliest(sampling.likeliest));
        }
        self.ids.push(id);
        if sampling.eos.contains(&id) {
            self.end(Finish::Eos);
            return Ok(());
        }
        if let Some(vocabulary) = &sampling.vocabulary
            && let Some(end) = self.text.push(vocabulary.piece(id), &sampling.stop)
        {
            self.end(Finish::Stop(end));
            return Ok(());
        }
        if let (Some(automaton), Some(state)) = (&mut rules.automaton, self.state) {
            self.state = Some(automaton.advance(state, id)?);
        }
        self.close(rules)
    }

    /// Ends the row if it can't go on.
    ///
    /// # Errors
    /// The constraint is not met, and no token of the vocabulary leads there.
    fn close(&mut self, rules: &mut Rules) -> Result<()> {
        let next = rules.next(self.state)?;
        match next.filter(|next| next.tokens.is_empty()) {
            Some(next) if next.matches => self.end(Finish::Complete),
            Some(_) => {
                let so_far = self.text.so_far();
                return Err(Error::new(format!(
                    "no token of the vocabulary goes on from {so_far:?} as the constraint wants"
                )));
            }
            None => {}
        }
        let new = self.completion().len();
        if new >= rules.sampling.max_new_tokens || self.ids.len() >= rules.max_len {
            self.end(Finish::Length);
        }
        Ok(())
    }

    fn end(&mut self, finish: Finish) {
        self.text.close();
        self.finish.get_or_insert(finish);
    }

    fn finish(self) -> Rollout {
        let completion = self.completion().to_vec();
        let mut prompt = self.ids;
        prompt.truncate(self.prompt_len);
        Rollout {
            prompt,
            completion,
            logprobs: self.logprobs,
            likeliest: self.likeliest,
            finish: self.finish.unwrap_or(Finish::Unfinished),
        }
    }
}
