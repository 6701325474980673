//! A language model as a judge, asked by label likelihood: no text is generated or parsed.
//!
//! The judge reads a question and gives each label (say " good" and " bad") a likelihood. The verdict is
//! the share of the first label among them, so it is always a probability; where the labels together are
//! less likely than `mass_min`, the model does not answer the question, and the judge abstains.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::template::Template;
use super::{Item, Judge, Pair, Verdict};
use crate::diag::{Error, Kind, Result};
use crate::fail;
use crate::generate::Distribution;
use crate::models::CoreMLModelWrapper;

/// What a local judge is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalJudgeOptions {
    /// With the places `{prompt}` and `{answer}`; ends where the label begins.
    pub score_question: String,
    /// The label of a good answer, and of a bad one; a leading space belongs to the label.
    pub score_labels: [String; 2],
    /// With the places `{prompt}`, `{first}` and `{second}`.
    pub compare_question: String,
    /// The label that prefers the first answer, and the second.
    pub compare_labels: [String; 2],
    /// The judge abstains where both labels together are less likely than this.
    pub mass_min: f64,
}

impl Default for LocalJudgeOptions {
    fn default() -> Self {
        Self {
            score_question: "{prompt}{answer}\nThis is".into(),
            score_labels: [" good".into(), " bad".into()],
            compare_question: "First: {prompt}{first}\nSecond: {prompt}{second}\nBetter:".into(),
            compare_labels: [" first".into(), " second".into()],
            mass_min: 1e-4,
        }
    }
}

/// A judge that runs on this machine.
pub struct LocalJudge {
    model: Arc<CoreMLModelWrapper>,
    score: Question,
    compare: Question,
    mass_min: f64,
    /// Share of the first label, by the ids of the question: equal questions are asked once.
    cache: Mutex<BTreeMap<Vec<u32>, Option<f64>>>,
}

struct Question {
    template: Template,
    labels: [String; 2],
}

impl LocalJudge {
    pub fn new(model: Arc<CoreMLModelWrapper>, options: &LocalJudgeOptions) -> Result<Self> {
        let LocalJudgeOptions {
            score_question,
            score_labels,
            ..
        } = options;
        let places = ["prompt", "first", "second"];
        model.tokenizer()?;
        model.convention()?;
        Ok(Self {
            score: Question {
                template: Template::new(score_question, &["prompt", "answer"], &["answer"])?,
                labels: score_labels.clone(),
            },
            compare: Question {
                template: Template::new(&options.compare_question, &places, &places[1..])?,
                labels: options.compare_labels.clone(),
            },
            model,
            mass_min: options.mass_min,
            cache: Mutex::default(),
        })
    }

    /// Questions answered so far without asking again.
    pub fn cached(&self) -> usize {
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Share of the first label for each question text.
    fn ask(&self, texts: &[String], labels: &[String; 2]) -> Result<Vec<Option<f64>>> {
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
        let answers = self.answer(&open)?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.extend(open.into_iter().map(|a| a.key.clone()).zip(answers));
        Ok(asked
            .iter()
            .map(|a| cache.get(&a.key).copied().flatten())
            .collect())
    }

    /// The question's ids and each label's, as the tokenizer joins them.
    fn tokens(&self, text: &str, labels: &[String; 2]) -> Result<Asked> {
        let tokenizer = self.model.tokenizer()?;
        let question = tokenizer.encode(text, true)?;
        let mut label_ids = Vec::with_capacity(2);
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

    fn answer(&self, asked: &[&Asked]) -> Result<Vec<Option<f64>>> {
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
        likelihoods.chunks(2).map(|pair| self.share(pair)).collect()
    }

    fn share(&self, likelihoods: &[f64]) -> Result<Option<f64>> {
        let [first, second] = [likelihoods[0], likelihoods[1]];
        if first.is_nan() || second.is_nan() {
            return Err(Error::new("the judge's logits are not numbers").kind_of(Kind::NonFinite));
        }
        let mass = first.exp() + second.exp();
        let share = 1.0 / (1.0 + (second - first).exp());
        Ok((mass >= self.mass_min && share.is_finite()).then_some(share))
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

    fn score(&self, items: &[Item]) -> Result<Vec<Option<f64>>> {
        let fill = |i: &Item| self.score.template.fill(&[&i.prompt, &i.answer]);
        self.ask(
            &items.iter().map(fill).collect::<Vec<_>>(),
            &self.score.labels,
        )
    }

    fn compare(&self, pairs: &[Pair]) -> Result<Vec<Verdict>> {
        let orders = pairs.iter().flat_map(|pair| {
            let Pair {
                prompt,
                first,
                second,
            } = pair;
            let fill = |a, b| self.compare.template.fill(&[prompt, a, b]);
            [fill(first, second), fill(second, first)]
        });
        let shares = self.ask(&orders.collect::<Vec<_>>(), &self.compare.labels)?;
        let verdict = |s: &[Option<f64>]| Verdict::of_orders(s[0], s[1].map(|p| 1.0 - p));
        Ok(shares.chunks(2).map(verdict).collect())
    }
}
