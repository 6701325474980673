//! What a server replied to one question, and what that is worth.

use serde_json::{Value, json};

use super::super::questions::{worth, worth_of};
use crate::diag::{Error, Kind, Result};
use crate::fail;
use crate::numeric::from_json;

/// Characters of an answer that an error repeats.
const SHOWN: usize = 120;
/// What ends the thoughts of models that think aloud.
const THOUGHTS_END: &str = "</think>";
/// What stands for a blank in the tokens of servers that do not decode them.
const BLANKS: [char; 3] = ['▁', 'Ġ', 'Ċ'];
/// How far above 0 rounding may lift a log-probability.
const ROUNDING: f64 = 1e-3;

/// A reply: its text, and the likeliest tokens where it begins if the server tells them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    text: String,
    likely: Option<Vec<(String, f64)>>,
}

impl Reply {
    /// Reads the answer to a chat completion.
    ///
    /// # Errors
    /// It is no JSON, has no choice, or log-probabilities that are none.
    pub fn parse(answer: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(answer).map_err(|_| no_json(answer))?;
        let Some(choice) = json.pointer("/choices/0") else {
            fail!("the server's answer has no choices: {}", shown(answer));
        };
        let text = choice.pointer("/message/content");
        let text = text.and_then(Value::as_str).unwrap_or_default();
        let tokens = choice
            .pointer("/logprobs/content")
            .and_then(Value::as_array);
        let likely = match tokens.and_then(|tokens| first(tokens)) {
            Some(position) => Some(likely(position)?),
            None => None,
        };
        Ok(Self {
            text: after_thoughts(text).trim().to_owned(),
            likely: likely.filter(|tokens| !tokens.is_empty()),
        })
    }

    /// Whether there is nothing but its text.
    pub fn is_bare(&self) -> bool {
        self.likely.is_none()
    }

    /// The expected worth of its label; of a bare reply, that of the label it begins with. `None` where it is none
    /// of the labels, or where they are less likely than `mass_min`.
    pub fn worth(&self, labels: &[String], mass_min: f64) -> Result<Option<f64>> {
        let Some(likely) = &self.likely else {
            let said = label(&self.text, labels);
            return Ok(said.map(|at| worth_of(at, labels.len())));
        };
        let mut shares = vec![0.0; labels.len()];
        for (token, logprob) in likely {
            if let Some(at) = label(token, labels) {
                shares[at] += logprob.exp();
            }
        }
        let logprobs: Vec<f64> = shares.iter().map(|p| p.ln()).collect();
        worth(&logprobs, mass_min)
    }

    /// As the cache writes it; log-probabilities are texts, which come back bit for bit.
    pub fn to_json(&self) -> Value {
        let tokens = self.likely.as_ref().map(|tokens| {
            let pairs = tokens
                .iter()
                .map(|(token, p)| json!([token, format!("{p:?}")]));
            pairs.collect::<Vec<_>>()
        });
        json!({ "text": self.text, "likely": tokens })
    }

    pub fn from_json(value: &Value) -> Option<Self> {
        let pair = |pair: &Value| {
            let number: f64 = pair.get(1)?.as_str()?.parse().ok()?;
            Some((pair.get(0)?.as_str()?.to_owned(), number)).filter(|_| !number.is_nan())
        };
        let likely = match value.get("likely")? {
            Value::Null => None,
            tokens => Some(tokens.as_array()?.iter().map(pair).collect::<Option<_>>()?),
        };
        Some(Self {
            text: value.get("text")?.as_str()?.to_owned(),
            likely,
        })
    }
}

fn no_json(answer: &str) -> Error {
    // What Python writes for numbers that JSON lacks.
    match answer.contains("NaN") {
        true => not_numbers("NaN"),
        false => Error::new(format!("the server's answer is no JSON: {}", shown(answer)))
            .hint("is that the address of an OpenAI-compatible API?"),
    }
}

fn not_numbers(got: &str) -> Error {
    let told = format!("the server's log-probabilities are none: {got}");
    Error::new(told).kind_of(Kind::NonFinite)
}

fn shown(answer: &str) -> String {
    let words: Vec<&str> = answer.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN).collect()
}

/// Where the reply begins: the first token that is not blank, after the thoughts.
fn first(tokens: &[Value]) -> Option<&Value> {
    let text = |token: &Value| Some(token.get("token")?.as_str()?.to_owned());
    let thought = |token: &Value| text(token).is_some_and(|t| t.contains(THOUGHTS_END));
    let start = tokens.iter().rposition(thought).map_or(0, |at| at + 1);
    let mut rest = tokens[start..].iter();
    rest.find(|token| text(token).is_some_and(|t| !bare_word(&t).is_empty()))
}

/// The likeliest tokens of a position, each with its log-probability.
fn likely(position: &Value) -> Result<Vec<(String, f64)>> {
    let top = position.get("top_logprobs").and_then(Value::as_array);
    let mut tokens = Vec::new();
    for entry in top.into_iter().flatten() {
        let token = entry.get("token").and_then(Value::as_str);
        let logprob = entry.get("logprob").unwrap_or(&Value::Null);
        match (token, from_json(logprob)) {
            (Some(token), Some(p)) if p <= ROUNDING => tokens.push((token.to_owned(), p)),
            _ => return Err(not_numbers(&shown(&entry.to_string()))),
        }
    }
    Ok(tokens)
}

fn after_thoughts(text: &str) -> &str {
    text.rsplit_once(THOUGHTS_END)
        .map_or(text, |(_, said)| said)
}

fn bare_word(token: &str) -> &str {
    token.trim_matches(|c: char| c.is_whitespace() || BLANKS.contains(&c))
}

/// The label that a token or text says: its first word is the label, or the beginning of this label alone. Case
/// counts in labels of one letter.
fn label(said: &str, labels: &[String]) -> Option<usize> {
    let said = bare_word(said);
    let word = said.split_whitespace().next()?;
    let plain = word.trim_matches(|c: char| !c.is_alphanumeric());
    let same = |word: &str, label: &str| match label.chars().count() {
        1 => word == label,
        _ => word.to_lowercase() == label.to_lowercase(),
    };
    let whole = |word: &str| labels.iter().position(|l| same(word, l.trim()));
    let begun = |word: &str| {
        let word = word.to_lowercase();
        let begins = |label: &String| label.trim().to_lowercase().starts_with(&word);
        let mut found = (0..labels.len()).filter(|at| begins(&labels[*at]));
        let one = found
            .next()
            .filter(|at| labels[*at].trim().chars().count() > 1);
        one.filter(|_| found.next().is_none())
    };
    let words = [said, word, plain]
        .into_iter()
        .filter(|word| !word.is_empty());
    words.clone().find_map(whole).or_else(|| begun(word))
}

#[cfg(test)]
mod tests;
