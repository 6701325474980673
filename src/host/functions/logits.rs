//! Logits of a text: what was likely, how surprising each token was, one model beside another.

use std::sync::Arc;

use ndarray::Array2;

use super::chat::TokenView;
use super::likelihood::{beside, compare, heat, surprisal, top};
use super::tensors::Tensor;
use crate::diag::Result;
use crate::fail;
use crate::generate::Distribution;
use crate::host::value::place;
use crate::host::{Call, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, method, property};
use crate::numeric::{Array, Stats};
use crate::report::{Display, stats_line, visible_bytes};
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
    /// The model's name.
    model: String,
    ids: Vec<u32>,
    /// `[positions, vocab]`; the last positions of the row, if not all.
    values: Array2<f32>,
    tokenizer: Option<Arc<Tokenizer>>,
}

impl Logits {
    pub fn new(
        model: &str,
        ids: Vec<u32>,
        values: Array2<f32>,
        tokenizer: Option<Arc<Tokenizer>>,
    ) -> Self {
        Self(Arc::new(Inner {
            model: model.to_owned(),
            ids,
            values,
            tokenizer,
        }))
    }

    pub fn model(&self) -> &str {
        &self.0.model
    }

    pub fn ids(&self) -> &[u32] {
        &self.0.ids
    }

    /// `[positions, vocab]`, of every token.
    pub fn all(&self) -> Result<&Array2<f32>> {
        match self.0.values.nrows() == self.0.ids.len() {
            true => Ok(&self.0.values),
            false => fail!("the model gives logits for the last position only"),
        }
    }

    fn tensor(&self) -> Result<Tensor> {
        let values: Vec<f32> = self.0.values.iter().copied().collect();
        let array = Array::from_f32(self.0.values.shape().to_vec(), &values)?;
        Ok(Tensor::new(array))
    }

    /// The token that position `at` stands after, and the logits there; negative counts from the end.
    pub fn at(&self, at: i64) -> Result<(u32, Vec<f32>)> {
        let rows = self.0.values.nrows();
        let Some(index) = place(at, rows) else {
            fail!("position {at} is out of range: there are {rows}")
        };
        let id = self.0.ids[self.0.ids.len() - rows + index];
        Ok((id, self.0.values.row(index).to_vec()))
    }

    /// The logits after each position that has them.
    pub fn rows(&self) -> impl Iterator<Item = Vec<f32>> {
        self.0.values.rows().into_iter().map(|row| row.to_vec())
    }

    /// What a token writes, with nothing hidden.
    pub fn token(&self, id: u32) -> String {
        let tokenizer = self.0.tokenizer.as_ref();
        let bytes = tokenizer.and_then(|t| t.token_bytes(id).ok());
        bytes.map_or_else(|| format!("#{id}"), |bytes| visible_bytes(&bytes))
    }

    /// log π of each token but the first, given those before it. Nats.
    pub fn logprobs(&self) -> Result<Vec<f64>> {
        let pairs = self.0.ids.iter().skip(1).zip(self.all()?.rows());
        let logprob = |row: Vec<f32>, id| Distribution::new(&row, 1.0).logprob(id);
        Ok(pairs.map(|(id, row)| logprob(row.to_vec(), *id)).collect())
    }
}

impl ScriptValue for Logits {
    const NAME: &'static str = "Logits";
    const SUMMARY: &'static str = "The logits after each token of a text.";

    fn line(&self) -> String {
        format!("Logits({:?})", self.0.values.shape())
    }

    fn stats(&self) -> Option<String> {
        let values = &self.0.values;
        let stats = Stats::of_values(values.iter().map(|value| f64::from(*value)));
        Some(stats_line("fp32", values.shape(), &stats))
    }

    fn show(&self) -> Display {
        match top(self, 5, -1) {
            Ok(table) => {
                let stats = ScriptValue::stats(self).unwrap_or_default();
                let title = format!("{stats}\n{}", table.title());
                Display::Table(table.titled(title))
            }
            Err(_) => Display::Text(self.line()),
        }
    }
}

const AT: &[Key] = &[Key::int(
    "at",
    -1,
    "After which position; negative counts from the end.",
)];

fn functions() -> Vec<ScriptFn> {
    let mut functions = tables();
    functions.extend(numbers());
    functions
}

fn tables() -> Vec<ScriptFn> {
    vec![
        method::<Logits>("top", "A table of the likeliest next tokens.")
            .optional("k", Kind::Int, "How many, 10 if left out.")
            .options(AT)
            .returns("Table")
            .details("The title tells the entropy at that position, as how many equally likely tokens it would take, and how much of the probability is shown.")
            .example("[load(\"embedded:student\").forward(\"the soup was\").top(3)]", "[Table(3 rows, 7 columns)]")
            .run(|call| top(&call.receiver::<Logits>()?, call.get_or("k", 10)?, call.options.get("at")?)),
        method::<Logits>("surprisal", "A table of how likely each token was, given those before it.")
            .returns("Table")
            .details("With its rank, the entropy there, and what was likeliest.")
            .example("[load(\"embedded:student\").forward(\"the soup\").surprisal()]", "[Table(1 row, 8 columns)]")
            .run(|call| surprisal(&call.receiver::<Logits>()?)),
        method::<Logits>("heat", "The text token by token; the less expected one was, the hotter it is.")
            .returns("TokenView")
            .details("Without colours, tokens of more than 4 nats stand in brackets.")
            .example("[load(\"embedded:student\").forward(\"the soup was good\").heat()]", "[TokenView(4 tokens)]")
            .run(|call| Ok(TokenView::new(heat(&call.receiver::<Logits>()?)?))),
        method::<Logits>("compare", "Two models on the same text, position by position.")
            .param("other", Kind::object::<Logits>(), "The logits of the other model.")
            .returns("Table")
            .details("a is this model, b the other; ranks are of both, KL(a ‖ b) in nats; the title sums up.")
            .example("let m = load(\"embedded:student\"); let s = student(m, #{rank: 1}); [m.forward(\"the soup\").compare(s.forward(\"the soup\"))]", "[Table(2 rows, 7 columns)]")
            .run(|call| compare(&call.receiver::<Logits>()?, &other(call)?)),
        method::<Logits>("beside", "The likeliest next tokens of two models side by side.")
            .param("other", Kind::object::<Logits>(), "The logits of the other model.")
            .optional("k", Kind::Int, "How many, 10 if left out.")
            .options(AT)
            .returns("Table")
            .example("let m = load(\"embedded:student\"); let s = student(m, #{rank: 1}); [m.forward(\"the soup\").beside(s.forward(\"the soup\"), 3)]", "[Table(3 rows, 7 columns)]")
            .run(|call| beside(&call.receiver::<Logits>()?, &other(call)?, call.get_or("k", 10)?, call.options.get("at")?)),
    ]
}

fn other(call: &Call) -> Result<Logits> {
    call.get("other")
}

fn numbers() -> Vec<ScriptFn> {
    vec![
        method::<Logits>("logprobs", "The log-probability of each token but the first, in nats.")
            .returns("array")
            .example("load(\"embedded:student\").forward(\"the soup\").logprobs().len()", "1")
            .run(|call| call.receiver::<Logits>()?.logprobs()),
        method::<Logits>("row", "The logits after a position, as numbers.")
            .param("at", Kind::Int, "The position; negative counts from the end.")
            .returns("array")
            .example("let m = load(\"embedded:student\"); m.forward(\"tea\").row(-1).len() == m.vocab_size", "true")
            .run(|call| Ok(call.receiver::<Logits>()?.at(call.get("at")?)?.1)),
        property::<Logits>("tensor", "All of them as a tensor of positions and vocabulary.")
            .returns("Tensor")
            .example("load(\"embedded:student\").forward(\"the soup\").tensor.shape", "[2, 384]")
            .run(|call| call.receiver::<Logits>()?.tensor()),
        property::<Logits>("shape", "Positions and vocabulary.")
            .returns("array")
            .example("load(\"embedded:student\").forward(\"the soup\").shape.len()", "2")
            .run(|call| Ok(call.receiver::<Logits>()?.0.values.shape().to_vec())),
    ]
}
