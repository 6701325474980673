//! What a judge is asked, and what its labels are worth: one meaning for every judge that answers with labels.

use serde::Serialize;

use super::template::Template;
use super::{Item, Pair, Verdict};
use crate::diag::{Error, Kind, Result};
use crate::fail;

/// The words of the questions, and the labels that answer them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wording {
    /// With the places `{prompt}` and `{answer}`.
    pub score: String,
    /// At least two labels, from that of a good answer to that of a bad one.
    pub score_labels: Vec<String>,
    /// With the places `{prompt}`, `{first}` and `{second}`.
    pub compare: String,
    /// The label that prefers the first answer, and the second.
    pub compare_labels: Vec<String>,
    /// The judge abstains where all labels together are less likely than this.
    pub mass_min: f64,
}

impl Wording {
    /// For a model that continues a text: the question ends where the label begins, with its space.
    pub fn of_text() -> Self {
        Self {
            score: "{prompt}{answer}\nThis is".into(),
            score_labels: [" good", " bad"].map(String::from).into(),
            compare: "First: {prompt}{first}\nSecond: {prompt}{second}\nBetter:".into(),
            compare_labels: [" first", " second"].map(String::from).into(),
            mass_min: 1e-4,
        }
    }

    /// For a model that replies to a message.
    pub fn of_chat() -> Self {
        let score = "Here are a question and an answer to it.\n\nQuestion:\n{prompt}\n\nAnswer:\n{answer}\n\n\
            Is the answer good? Reply with one word: Yes or No.";
        let compare = "Here are a question and two answers to it.\n\nQuestion:\n{prompt}\n\nAnswer A:\n{first}\n\n\
            Answer B:\n{second}\n\nWhich answer is better? Reply with one letter: A or B.";
        Self {
            score: score.into(),
            score_labels: ["Yes", "No"].map(String::from).into(),
            compare: compare.into(),
            compare_labels: ["A", "B"].map(String::from).into(),
            mass_min: 1e-4,
        }
    }
}

/// A question with the labels that answer it.
pub(super) struct Question {
    template: Template,
    pub labels: Vec<String>,
}

/// Both questions of a judge.
pub(super) struct Questions {
    pub score: Question,
    pub compare: Question,
}

/// Gives each text the worth of its answer, see [`worth`].
type Ask<'a> = &'a dyn Fn(&[String], &[String]) -> Result<Vec<Option<f64>>>;

impl Questions {
    pub fn new(wording: &Wording) -> Result<Self> {
        let places = ["prompt", "first", "second"];
        if wording.compare_labels.len() != 2 {
            let count = wording.compare_labels.len();
            fail!("a comparison takes two labels, got {count}");
        }
        Ok(Self {
            score: Question {
                template: Template::new(&wording.score, &["prompt", "answer"], &["answer"])?,
                labels: checked(&wording.score_labels)?,
            },
            compare: Question {
                template: Template::new(&wording.compare, &places, &places[1..])?,
                labels: checked(&wording.compare_labels)?,
            },
        })
    }

    pub fn score(&self, items: &[Item], ask: Ask) -> Result<Vec<Option<f64>>> {
        let Question { template, labels } = &self.score;
        let fill = |item: &Item| template.fill(&[&item.prompt, &item.answer]);
        ask(&items.iter().map(fill).collect::<Vec<_>>(), labels)
    }

    /// Asks of each pair in both orders.
    pub fn compare(&self, pairs: &[Pair], ask: Ask) -> Result<Vec<Verdict>> {
        let Question { template, labels } = &self.compare;
        let orders = pairs.iter().flat_map(|pair| {
            let fill = |a, b| template.fill(&[&pair.prompt, a, b]);
            [
                fill(&pair.first, &pair.second),
                fill(&pair.second, &pair.first),
            ]
        });
        let worths = ask(&orders.collect::<Vec<_>>(), labels)?;
        let verdict = |w: &[Option<f64>]| Verdict::of_orders(w[0], w[1].map(|p| 1.0 - p));
        Ok(worths.chunks_exact(2).map(verdict).collect())
    }
}

fn checked(labels: &[String]) -> Result<Vec<String>> {
    if labels.len() < 2 {
        fail!("a question takes at least two labels, got {}", labels.len());
    }
    for (at, label) in labels.iter().enumerate() {
        if label.trim().is_empty() || labels[..at].contains(label) {
            fail!("\"{label}\" can't be label {} of a question", at + 1);
        }
    }
    Ok(labels.to_vec())
}

/// What label `at` of `count` is worth: 1 for the first, 0 for the last, evenly between.
pub(super) fn worth_of(at: usize, count: usize) -> f64 {
    1.0 - at as f64 / (count - 1) as f64
}

/// The expected worth by the log-likelihoods of the labels: of two labels, the share of the first. `None` where
/// the labels together are less likely than `mass_min`.
pub(super) fn worth(logprobs: &[f64], mass_min: f64) -> Result<Option<f64>> {
    if logprobs.iter().any(|l| l.is_nan()) {
        return Err(Error::new("the judge's likelihoods are not numbers").kind_of(Kind::NonFinite));
    }
    let top = logprobs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shares = || logprobs.iter().map(|l| (l - top).exp());
    let sum: f64 = shares().sum();
    let values = shares().enumerate();
    let value: f64 = values.map(|(i, s)| s * worth_of(i, logprobs.len())).sum();
    let mass = top.exp() * sum;
    Ok((mass >= mass_min && mass.is_finite()).then_some(value / sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worth_is_the_expectation_over_the_labels() {
        let check = |shares: &[f64], expected: Option<f64>| {
            let logprobs: Vec<f64> = shares.iter().map(|p| p.ln()).collect();
            let got = worth(&logprobs, 0.01).unwrap();
            assert_eq!(
                got.map(|p| (p * 1e12).round()),
                expected.map(|p| (p * 1e12).round())
            );
        };
        check(&[0.6, 0.2], Some(0.75));
        check(&[0.2, 0.1, 0.1], Some(0.625));
        check(&[0.0, 0.5], Some(0.0));
        check(&[0.004, 0.005], None);
        check(&[0.0, 0.0], None);
        let error = worth(&[f64::NAN, 0.0], 0.0).unwrap_err();
        assert_eq!(error.kind(), &Kind::NonFinite);
    }

    /// The target with p₁ .689974 and p₂ .401312 is (p₁ + 1 − p₂) / 2 = .644331.
    #[test]
    fn both_orders_are_averaged() {
        let questions = Questions::new(&Wording::of_chat()).unwrap();
        let pair = Pair {
            prompt: "p".into(),
            first: "x".into(),
            second: "y".into(),
        };
        let ask = |texts: &[String], _: &[String]| {
            let x_first = |text: &String| text.contains("Answer A:\nx");
            Ok(texts
                .iter()
                .map(|t| Some(if x_first(t) { 0.689974 } else { 0.401312 }))
                .collect())
        };
        let verdict = questions.compare(&[pair], &ask).unwrap().remove(0);
        assert!((verdict.p_first.unwrap() - 0.644331).abs() < 1e-12);
    }

    #[test]
    fn wrong_labels_are_told() {
        let error = |labels: &[&str]| {
            let wording = Wording {
                score_labels: labels.iter().map(|l| (*l).to_owned()).collect(),
                ..Wording::of_chat()
            };
            Questions::new(&wording).err().unwrap().to_string()
        };
        assert!(error(&["Yes"]).contains("at least two labels"));
        assert!(error(&["Yes", "Yes"]).contains("label 2"));
        assert!(error(&[" ", "Yes"]).contains("label 1"));
    }
}
