//! A language model as a judge, asked by label likelihood: no text is generated or parsed.
//!
//! The judge reads a question and gives each label (say " good" and " bad") a likelihood. The verdict is
//! the share of the first label among them, so it is always a probability; where the labels together are
//! less likely than `mass_min`, the model does not answer the question, and the judge abstains.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::questions::{Questions, Wording, worth};
use super::{Item, Judge, Pair, Verdict};
use crate::diag::{Error, Result};
use crate::fail;
use crate::files::sha256;
use crate::generate::Distribution;
use crate::models::CoreMLModelWrapper;

/// A judge that runs on this machine.
pub struct LocalJudge {
    model: Arc<CoreMLModelWrapper>,
    questions: Questions,
    wording: Wording,
    mass_min: f64,
    /// What each answer is worth, by the ids of the question: equal questions are asked once.
    cache: Mutex<BTreeMap<Vec<u32>, Option<f64>>>,
}

impl LocalJudge {
    pub fn new(model: Arc<CoreMLModelWrapper>, wording: &Wording) -> Result<Self> {
        model.tokenizer()?;
        model.convention()?;
        Ok(Self {
            questions: Questions::new(wording)?,
            wording: wording.clone(),
            model,
            mass_min: wording.mass_min,
            cache: Mutex::default(),
        })
    }

    /// What the answer to each question text is worth.
    fn ask(&self, texts: &[String], labels: &[String]) -> Result<Vec<Option<f64>>> {
        let mut asked = Vec::with_capacity(texts.len());
        for text in texts {
            asked.push(self.tokens(text, labels)?);
        }
        let mut open: Vec<&Asked> = Vec::new();
        {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            open.extend(asked.iter().filter(|a| !cache.contains_key(&a.key)));
        }
        open.sort_by(|a, b| a.key.cmp(&b.key));
        open.dedup_by(|a, b| a.key == b.key);
        let answers = self.answer(&open, labels.len())?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.extend(open.into_iter().map(|a| a.key.clone()).zip(answers));
        Ok(asked
            .iter()
            .map(|a| cache.get(&a.key).copied().flatten())
            .collect())
    }

    /// The question's ids and each label's, as the tokenizer joins them.
    fn tokens(&self, text: &str, labels: &[String]) -> Result<Asked> {
        let tokenizer = self.model.tokenizer()?;
        let question = tokenizer.encode(text, true)?;
        let mut label_ids = Vec::with_capacity(labels.len());
        for label in labels {
            let joined = tokenizer.encode(&format!("{text}{label}"), true)?;
            match joined.strip_prefix(question.as_slice()) {
                Some(ids) if !ids.is_empty() => label_ids.push(ids.to_vec()),
                _ => {
                    return Err(Error::new(format!(
                        "label \"{label}\" melts into the question's last token"
                    ))
                    .hint("let the label begin with the space, and the question end without one"));
                }
            }
        }
        let mut key = question.clone();
        label_ids
            .iter()
            .for_each(|ids| key.extend([u32::MAX].iter().chain(ids)));
        Ok(Asked {
            question,
            label_ids,
            key,
        })
    }

    fn answer(&self, asked: &[&Asked], labels: usize) -> Result<Vec<Option<f64>>> {
        let mut rows: Vec<Vec<u32>> = Vec::new();
        let mut places: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
        let mut jobs = Vec::new();
        for question in asked {
            for label in &question.label_ids {
                let row = [&question.question[..], &label[..label.len() - 1]].concat();
                let place = *places.entry(row.clone()).or_insert_with(|| {
                    rows.push(row);
                    rows.len() - 1
                });
                jobs.push((place, question.question.len(), label));
            }
        }
        let refs: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let logits = self.model.forward_batch(&refs)?;
        let mut likelihoods = Vec::with_capacity(jobs.len());
        for (place, start, label) in jobs {
            let mut sum = 0.0;
            for (i, id) in label.iter().enumerate() {
                let Some(row) = logits[place].rows().into_iter().nth(start + i - 1) else {
                    fail!("the judge model gives logits for the last position only");
                };
                sum += Distribution::new(&row.to_vec(), 1.0).logprob(*id);
            }
            likelihoods.push(sum);
        }
        let of_question = likelihoods.chunks_exact(labels);
        of_question.map(|all| worth(all, self.mass_min)).collect()
    }
}

struct Asked {
    question: Vec<u32>,
    label_ids: Vec<Vec<u32>>,
    key: Vec<u32>,
}

impl Judge for LocalJudge {
    fn name(&self) -> String {
        format!("local judge {}", self.model.name())
    }

    fn content(&self) -> Option<String> {
        let model = self.model.content().ok()?;
        let wording = serde_json::to_string(&self.wording).ok()?;
        Some(sha256(format!("{model} {wording}").as_bytes()))
    }

    fn score(&self, items: &[Item]) -> Result<Vec<Option<f64>>> {
        self.questions
            .score(items, &|texts, labels| self.ask(texts, labels))
    }

    fn compare(&self, pairs: &[Pair]) -> Result<Vec<Verdict>> {
        self.questions
            .compare(pairs, &|texts, labels| self.ask(texts, labels))
    }
}
