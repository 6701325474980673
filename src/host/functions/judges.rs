//! AI feedback in scripts: judges, verdicts, report cards.

mod remote;

use std::sync::Arc;

use rhai::{Array, Dynamic, Map};

use super::models::{Model, tell};
use crate::diag::Result;
use crate::fail;
use crate::feedback::{self, Item, LocalJudge, Pair, Verdict, Wording};
use crate::host::{Call, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, method};
use crate::report::{Cell, Table};

pub(super) const TOPIC: Topic = Topic {
    name: "judges",
    summary: "AI feedback: scores and comparisons by a language model.",
    functions,
    types: || vec![TypeEntry::of::<Judge>()],
};

/// A judge as scripts hold it.
#[derive(Clone)]
pub(super) struct Judge(pub Arc<dyn feedback::Judge>);

impl ScriptValue for Judge {
    const NAME: &'static str = "Judge";
    const SUMMARY: &'static str =
        "A language model, here or behind a server, asked by the likelihood of labels.";

    fn line(&self) -> String {
        format!("Judge({:?})", self.0.name())
    }

    fn digest(&self) -> Option<String> {
        self.0.content()
    }
}

/// What every judge is asked.
const WORDING: &[Key] = &[
    Key::optional(
        "score",
        Kind::Text,
        "The question about one answer, with {prompt} and {answer}.",
    ),
    Key::optional(
        "score_labels",
        Kind::Array,
        "Its labels, from good to bad; those of a local judge each with its leading space.",
    ),
    Key::optional(
        "compare",
        Kind::Text,
        "The question about two, with {prompt}, {first} and {second}.",
    ),
    Key::optional(
        "compare_labels",
        Kind::Array,
        "The labels that prefer the first and the second answer.",
    ),
    Key::float(
        "mass_min",
        1e-4,
        "The judge abstains where its labels are less likely than this.",
    )
    .between(0.0, 1.0),
];

/// The map that a comparison gives.
const VERDICT: &[(&str, &str)] = &[
    (
        "p_first",
        "The probability that the first is better; () if the judge abstains.",
    ),
    ("by_order", "The same, asked in either order."),
    ("order_flip", "Whether the order turned the verdict."),
];

fn functions() -> Vec<ScriptFn> {
    let mut functions = remote::functions();
    functions.splice(0..0, local());
    functions.extend(verdicts());
    functions
}

fn local() -> Vec<ScriptFn> {
    vec![
        function("judge", "A judge that asks a model by the likelihood of labels.")
            .param("model", Kind::object::<Model>(), "The judging model.")
            .options(WORDING)
            .returns("Judge")
            .details("Nothing is generated or parsed: the verdict is the share of the first label's likelihood. Comparisons are asked in both orders and averaged.")
            .example("judge(load(\"embedded:judge\"))", "Judge(\"local judge embedded:judge\")")
            .run(judge),
    ]
}

fn verdicts() -> Vec<ScriptFn> {
    vec![
        method::<Judge>("score", "How good an answer is, 0 to 1; () if the judge abstains.")
            .param("prompt", Kind::Text, "What was asked.")
            .param("answer", Kind::Text, "What was answered.")
            .returns("float")
            .example("let j = judge(load(\"embedded:judge\")); j.score(\"the soup was\", \" lovely .\") > j.score(\"the soup was\", \" awful .\")", "true")
            .run(|call| {
                let item = Item { prompt: call.get("prompt")?, answer: call.get("answer")? };
                Ok(call.receiver::<Judge>()?.score(&[item], call)?[0])
            }),
        method::<Judge>("score_all", "The scores of samples as `generate` gives them.")
            .param("samples", Kind::Array, "Maps with prompt and completion.")
            .returns("array")
            .example("let j = judge(load(\"embedded:judge\")); j.score_all([#{prompt: \"the soup was\", completion: \" lovely .\"}]).len()", "1")
            .run(|call| {
                let items = items(&call.get::<Vec<Map>>("samples")?)?;
                call.receiver::<Judge>()?.score(&items, call)
            }),
        method::<Judge>("compare", "Which of two answers is better, asked in both orders.")
            .param("prompt", Kind::Text, "What was asked.")
            .param("first", Kind::Text, "One answer.")
            .param("second", Kind::Text, "The other.")
            .returns("map")
            .fields(VERDICT)
            .example("let j = judge(load(\"embedded:judge\")); j.compare(\"the soup was\", \" lovely .\", \" awful .\").p_first > 0.5", "true")
            .run(|call| {
                let pair = Pair {
                    prompt: call.get("prompt")?,
                    first: call.get("first")?,
                    second: call.get("second")?,
                };
                Ok(verdict(&call.receiver::<Judge>()?.compare(&[pair], call)?[0]))
            }),
        method::<Judge>("compare_all", "The verdicts on pairs of samples of equal prompts, as maps.")
            .param("first", Kind::Array, "Samples as `generate` gives them.")
            .param("second", Kind::Array, "As many others.")
            .returns("array")
            .fields(VERDICT)
            .example("let j = judge(load(\"embedded:judge\")); let a = [#{prompt: \"the soup was\", completion: \" lovely .\"}]; format(j.compare_all(a, a)[0].p_first, 3)", "\"0.500\"")
            .run(|call| {
                let pairs = pairs(&call.get::<Vec<Map>>("first")?, &call.get::<Vec<Map>>("second")?)?;
                let verdicts = call.receiver::<Judge>()?.compare(&pairs, call)?;
                Ok(verdicts.iter().map(verdict).collect::<Vec<Map>>())
            }),
        method::<Judge>("card", "How far the judge can be trusted, on pairs whose first answer is the better one.")
            .param("pairs", Kind::Array, "Maps with prompt, first and second.")
            .returns("Table")
            .example("let j = judge(load(\"embedded:judge\")); [j.card([#{prompt: \"the soup was\", first: \" lovely .\", second: \" awful .\"}])]", "[Table(5 rows, 3 columns)]")
            .run(card),
    ]
}

fn judge(call: &mut Call) -> Result<Judge> {
    let wording = wording(call, Wording::of_text())?;
    let model = call.get::<Model>("model")?.0;
    Ok(Judge(Arc::new(LocalJudge::new(model, &wording)?)))
}

/// The wording that the options give, by default this one.
fn wording(call: &Call, default: Wording) -> Result<Wording> {
    let options = &call.options;
    let text = |name: &str| options.get::<Option<String>>(name);
    let labels = |name: &str| options.get::<Option<Vec<String>>>(name);
    Ok(Wording {
        score: text("score")?.unwrap_or(default.score),
        score_labels: labels("score_labels")?.unwrap_or(default.score_labels),
        compare: text("compare")?.unwrap_or(default.compare),
        compare_labels: labels("compare_labels")?.unwrap_or(default.compare_labels),
        mass_min: options.get("mass_min")?,
    })
}

impl Judge {
    /// Scores, and tells what is to be known of them.
    pub fn score(&self, items: &[Item], call: &Call) -> Result<Vec<Option<f64>>> {
        let scores = self.0.score(items);
        tell(call, self.0.news());
        scores
    }

    fn compare(&self, pairs: &[Pair], call: &Call) -> Result<Vec<Verdict>> {
        let verdicts = self.0.compare(pairs);
        tell(call, self.0.news());
        verdicts
    }
}

/// A text of a map.
pub(super) fn text_of(map: &Map, key: &str) -> Result<String> {
    match map
        .get(key)
        .and_then(|value| value.as_immutable_string_ref().ok().map(|t| t.to_string()))
    {
        Some(text) => Ok(text),
        None => fail!("a map needs \"{key}\", a string"),
    }
}

fn items(samples: &[Map]) -> Result<Vec<Item>> {
    let item = |s: &Map| {
        Ok(Item {
            prompt: text_of(s, "prompt")?,
            answer: text_of(s, "completion")?,
        })
    };
    samples.iter().map(item).collect()
}

fn pairs(first: &[Map], second: &[Map]) -> Result<Vec<Pair>> {
    if first.len() != second.len() {
        fail!(
            "there are {} first and {} second answers",
            first.len(),
            second.len()
        );
    }
    let pair = |(a, b): (&Map, &Map)| {
        let prompt = text_of(a, "prompt")?;
        if prompt != text_of(b, "prompt")? {
            fail!("the answers of a pair must have the same prompt, not \"{prompt}\" and another");
        }
        Ok(Pair {
            prompt,
            first: text_of(a, "completion")?,
            second: text_of(b, "completion")?,
        })
    };
    first.iter().zip(second).map(pair).collect()
}

fn verdict(verdict: &Verdict) -> Map {
    let number = |p: Option<f64>| p.map_or(Dynamic::UNIT, Dynamic::from_float);
    let by_order: Array = verdict.by_order.map(number).into();
    Map::from([
        ("p_first".into(), number(verdict.p_first)),
        ("by_order".into(), by_order.into()),
        ("order_flip".into(), verdict.order_flip().into()),
    ])
}

fn card(call: &mut Call) -> Result<Table> {
    let maps: Vec<Map> = call.get("pairs")?;
    let pair = |m: &Map| {
        Ok(Pair {
            prompt: text_of(m, "prompt")?,
            first: text_of(m, "first")?,
            second: text_of(m, "second")?,
        })
    };
    let pairs: Vec<Pair> = maps.iter().map(pair).collect::<Result<_>>()?;
    let judge = call.receiver::<Judge>()?;
    let card = feedback::card(&*judge.0, &pairs);
    tell(call, judge.0.news());
    let card = card?;
    let mut table = Table::new(judge.0.name(), ["measure", "value", "ideal"]);
    let rows = [
        ("accuracy", card.accuracy, "1"),
        ("abstained", card.abstained, "0"),
        ("order decided", card.order_flips, "0"),
        ("p(shown first)", card.p_shown_first, "0.5"),
        ("longer won", card.p_longer, "as often as it is better"),
    ];
    for (name, value, ideal) in rows {
        table.push([
            Cell::Text(name.into()),
            Cell::Real(value),
            Cell::Text(ideal.into()),
        ])?;
    }
    Ok(table)
}
