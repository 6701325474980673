//! Logits of a text: tables of the likeliest tokens, and how surprising each token was.

use std::sync::Arc;

use ndarray::Array2;

use crate::diag::Result;
use crate::fail;
use crate::generate::logprob;
use crate::host::{Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, method, property};
use crate::report::{Cell, Display, Table, bar, visible_bytes};
use crate::tokenizer::Tokenizer;

pub(super) const TOPIC: Topic = Topic {
    name: "logits",
    summary: "What a model thinks comes next.",
    functions,
    types: || vec![TypeEntry::of::<Logits>()],
};

/// The logits after each token of a row.
#[derive(Clone)]
pub(super) struct Logits(Arc<Inner>);

struct Inner {
    ids: Vec<u32>,
    /// `[positions, vocab]`; the last positions of the row, if not all.
    values: Array2<f32>,
    tokenizer: Option<Arc<Tokenizer>>,
}

impl Logits {
    pub fn new(ids: Vec<u32>, values: Array2<f32>, tokenizer: Option<Arc<Tokenizer>>) -> Self {
        Self(Arc::new(Inner {
            ids,
            values,
            tokenizer,
        }))
    }

    /// The logits after position `at`; negative counts from the end.
    fn row(&self, at: i64) -> Result<Vec<f32>> {
        let rows = self.0.values.nrows() as i64;
        let index = if at < 0 { rows + at } else { at };
        match (0..rows).contains(&index) {
            true => Ok(self.0.values.row(index as usize).to_vec()),
            false => fail!("position {at} is out of range: there are {rows}"),
        }
    }

    fn token(&self, id: u32) -> String {
        let bytes = self
            .0
            .tokenizer
            .as_ref()
            .and_then(|t| t.token_bytes(id).ok());
        bytes.map_or_else(|| format!("#{id}"), |bytes| visible_bytes(&bytes))
    }

    /// The `k` likeliest next tokens after `at`.
    fn top(&self, k: usize, at: i64) -> Result<Table> {
        let row = self.row(at)?;
        let mut order: Vec<u32> = (0..row.len() as u32).collect();
        let value = |id: &u32| row[*id as usize];
        order.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
        let columns = ["rank", "token", "id", "logit", "logprob", "prob", ""];
        let mut table = Table::new(format!("entropy {:.3} nats", entropy(&row)), columns);
        for (rank, id) in order.into_iter().take(k).enumerate() {
            let logprob = logprob(&row, id, 1.0);
            table.push([
                Cell::Int(rank as i64 + 1),
                Cell::Text(self.token(id)),
                Cell::Int(i64::from(id)),
                Cell::Real(f64::from(value(&id))),
                Cell::Real(logprob),
                Cell::Real(logprob.exp()),
                Cell::Text(bar(logprob.exp(), 20)),
            ])?;
        }
        Ok(table)
    }

    /// log π of each token but the first, given those before it. Nats.
    fn logprobs(&self) -> Result<Vec<f64>> {
        if self.0.values.nrows() != self.0.ids.len() {
            fail!("the model gives logits for the last position only");
        }
        let next = self.0.ids.iter().skip(1);
        let rows = self.0.values.rows();
        Ok(next
            .zip(rows)
            .map(|(id, row)| logprob(&row.to_vec(), *id, 1.0))
            .collect())
    }

    /// Each token with its probability, given those before it.
    fn surprisal(&self) -> Result<Table> {
        let mut table = Table::new("", ["token", "id", "logprob", "prob", "", "likeliest"]);
        for (i, logprob) in self.logprobs()?.into_iter().enumerate() {
            let row = self.row(i as i64)?;
            let best = (0u32..)
                .zip(&row)
                .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
            let id = self.0.ids[i + 1];
            table.push([
                Cell::Text(self.token(id)),
                Cell::Int(i64::from(id)),
                Cell::Real(logprob),
                Cell::Real(logprob.exp()),
                Cell::Text(bar(logprob.exp(), 10)),
                Cell::Text(best.map_or_else(String::new, |(id, _)| self.token(id))),
            ])?;
        }
        Ok(table)
    }
}

/// Of softmax(row), nats.
fn entropy(row: &[f32]) -> f64 {
    let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = row.iter().map(|l| f64::from(l - best).exp()).collect();
    let sum: f64 = exps.iter().sum();
    let term = |e: &f64| {
        if *e > 0.0 {
            e / sum * (e / sum).ln()
        } else {
            0.0
        }
    };
    -exps.iter().map(term).sum::<f64>()
}

impl ScriptValue for Logits {
    const NAME: &'static str = "Logits";
    const SUMMARY: &'static str = "The logits after each token of a text.";

    fn line(&self) -> String {
        format!("Logits({:?})", self.0.values.shape())
    }

    fn show(&self) -> Display {
        match self.top(5, -1) {
            Ok(table) => Display::Table(table),
            Err(_) => Display::Text(self.line()),
        }
    }
}

fn functions() -> Vec<ScriptFn> {
    vec![
        method::<Logits>("top", "A table of the likeliest next tokens.")
            .optional("k", Kind::Int, "How many, 10 if left out.")
            .options(&[Key::int("at", -1, "After which position; negative counts from the end.")])
            .returns("Table")
            .example("[load(\"embedded:student\").forward(\"the soup was\").top(3)]", "[Table(3 rows, 7 columns)]")
            .run(|call| {
                let k = call.get_or("k", 10)?;
                call.receiver::<Logits>()?.top(k, call.options.get("at")?)
            }),
        method::<Logits>("surprisal", "A table of how likely each token was, given those before it.")
            .returns("Table")
            .example("[load(\"embedded:student\").forward(\"the soup\").surprisal()]", "[Table(1 row, 6 columns)]")
            .run(|call| call.receiver::<Logits>()?.surprisal()),
        method::<Logits>("logprobs", "The log-probability of each token but the first, in nats.")
            .returns("array")
            .example("load(\"embedded:student\").forward(\"the soup\").logprobs().len()", "1")
            .run(|call| call.receiver::<Logits>()?.logprobs()),
        method::<Logits>("row", "The logits after a position, as numbers.")
            .param("at", Kind::Int, "The position; negative counts from the end.")
            .returns("array")
            .example("let m = load(\"embedded:student\"); m.forward(\"tea\").row(-1).len() == m.vocab_size", "true")
            .run(|call| call.receiver::<Logits>()?.row(call.get("at")?)),
        property::<Logits>("shape", "Positions and vocabulary.")
            .returns("array")
            .example("load(\"embedded:student\").forward(\"the soup\").shape.len()", "2")
            .run(|call| Ok(call.receiver::<Logits>()?.0.values.shape().to_vec())),
    ]
}
