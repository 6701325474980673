//! Measuring what came out of training.

use rhai::Map;

use crate::diag::Result;
use crate::fail;
use crate::host::{Kind, ScriptFn, Topic, function};
use crate::numeric::stats;
use crate::train;

pub(super) const TOPIC: Topic = Topic {
    name: "evaluation",
    summary: "Win-rates with intervals, diversity.",
    functions,
    types: Vec::new,
};

fn functions() -> Vec<ScriptFn> {
    vec![
        function("win_rate", "The share of wins and its 95 % interval.")
            .param(
                "outcomes",
                Kind::Array,
                "1 for a win, 0.5 for a tie, 0 for a loss, () where there is no verdict.",
            )
            .returns("map")
            .details("Ties count half.")
            .fields(&[
                ("rate", "The share."),
                ("low", "Where Wilson's interval begins."),
                ("high", "Where it ends."),
                ("wins", "How many."),
                ("ties", "How many."),
                ("losses", "How many."),
                ("missing", "Those without a verdict."),
            ])
            .example("win_rate([1.0, 0.5, ()]).rate", "0.75")
            .run(|call| {
                let rate = train::win_rate(&call.get::<Vec<Option<f64>>>("outcomes")?);
                let mut map = Map::new();
                for (name, value) in [
                    ("rate", rate.rate),
                    ("low", rate.interval[0]),
                    ("high", rate.interval[1]),
                ] {
                    map.insert(name.into(), value.into());
                }
                let counts = [
                    ("wins", rate.wins),
                    ("ties", rate.ties),
                    ("losses", rate.losses),
                    ("missing", rate.missing),
                ];
                for (name, count) in counts {
                    map.insert(name.into(), (count as i64).into());
                }
                Ok(map)
            }),
        function(
            "distinct",
            "Distinct n-grams of words as a share of all: low means repetitive.",
        )
        .param("texts", Kind::Array, "The texts.")
        .param("n", Kind::Int, "Words per n-gram.")
        .returns("float")
        .example("distinct([\"a b a b\"], 1)", "0.5")
        .run(|call| {
            let texts: Vec<String> = call.get("texts")?;
            let words: Vec<Vec<&str>> = texts
                .iter()
                .map(|t| t.split_whitespace().collect())
                .collect();
            let sequences: Vec<&[&str]> = words.iter().map(Vec::as_slice).collect();
            match stats::distinct(&sequences, call.get("n")?) {
                Some(share) => Ok(share),
                None => fail!("the texts have no n-grams of that length"),
            }
        }),
        function("mean", "The mean of numbers; () are left out.")
            .param("values", Kind::Array, "The numbers.")
            .returns("float")
            .example("mean([1.0, 2.0, ()])", "1.5")
            .run(|call| {
                let values: Vec<Option<f64>> = call.get("values")?;
                let known: Vec<f64> = values.into_iter().flatten().collect();
                stats::mean(&known).map_or_else(fail_empty, Ok)
            }),
    ]
}

fn fail_empty() -> Result<f64> {
    fail!("there are no numbers to average")
}
