//! Layers by name: weights and operations called `model_layers_0_self_attn_q_proj` and the like.
//!
//! coremltools keeps a PyTorch module's path in the names of weights and adds endings of its own; most
//! operations are called after Python variables, with numbers that mean nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::scopes::Step;

/// A step with a name that places it in a layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Anchor {
    pub step: usize,
    /// What follows the layer's number.
    pub rest: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    pub number: u64,
    /// At least one, in program order.
    pub anchors: Vec<Anchor>,
}

/// Layers that are numbered alike, two or more, in program order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// What stands before the number.
    pub name: String,
    pub layers: Vec<Layer>,
}

/// A name taken apart at a number.
struct Placed {
    step: usize,
    number: u64,
    rest: Vec<String>,
}

/// The series of a block, none within or over another; the one with the most names wins.
pub(super) fn series(steps: &[Step]) -> Vec<Series> {
    let mut placed: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
    for (i, step) in steps.iter().enumerate() {
        for name in step.weights.iter().chain([&step.label]) {
            for (prefix, number, rest) in numbers(name) {
                let step = i;
                placed
                    .entry(prefix)
                    .or_default()
                    .push(Placed { step, number, rest });
            }
        }
    }
    let mut candidates: Vec<(String, Vec<Placed>)> = placed.into_iter().collect();
    candidates.sort_by_key(|(name, placed)| (std::cmp::Reverse(placed.len()), name.clone()));
    let mut found: Vec<Series> = Vec::new();
    for (name, placed) in candidates {
        let Some(layers) = layers(placed) else {
            continue;
        };
        let extent = |layers: &[Layer]| {
            let steps = layers.iter().flat_map(|layer| &layer.anchors);
            let steps: Vec<usize> = steps.map(|anchor| anchor.step).collect();
            (steps[0], steps[steps.len() - 1])
        };
        let (first, last) = extent(&layers);
        let apart = |other: &Series| {
            let (a, b) = extent(&other.layers);
            last < a || b < first
        };
        if found.iter().all(apart) {
            found.push(Series { name, layers });
        }
    }
    found
}

/// Layers out of names with the same prefix: at least two different names occur in two layers or more
/// (`x_3_bias`, `x_7_bias` make no layers), and no layer is taken up again once the next has begun.
fn layers(placed: Vec<Placed>) -> Option<Vec<Layer>> {
    let mut numbers_of: BTreeMap<&[String], BTreeSet<u64>> = BTreeMap::new();
    for place in &placed {
        numbers_of
            .entry(&place.rest)
            .or_default()
            .insert(place.number);
    }
    let repeated = numbers_of.values().filter(|numbers| numbers.len() > 1);
    if repeated.count() < 2 {
        return None;
    }
    let mut layers: Vec<Layer> = Vec::new();
    for place in placed {
        let anchor = Anchor {
            step: place.step,
            rest: place.rest,
        };
        match layers.iter_mut().rposition(|l| l.number == place.number) {
            Some(at) if at + 1 == layers.len() => layers[at].anchors.push(anchor),
            Some(_) => return None,
            None => layers.push(Layer {
                number: place.number,
                anchors: vec![anchor],
            }),
        }
    }
    let last_step = |layer: &Layer| layer.anchors.last().map(|a| a.step);
    let apart = |pair: &[Layer]| last_step(&pair[0]) < pair[1].anchors.first().map(|a| a.step);
    (layers.len() > 1 && layers.windows(2).all(apart)).then_some(layers)
}

/// Endings that coremltools adds.
const ENDINGS: [&str; 9] = [
    "to",
    "fp16",
    "fp32",
    "cast",
    "quantized",
    "palettized",
    "sparsified",
    "uint16",
    "int16",
];

/// Each number of `name` that has words before and after it: (before, number, after).
fn numbers(name: &str) -> Vec<(String, u64, Vec<String>)> {
    let mut words: Vec<&str> = name
        .split(['_', '.', '/'])
        .filter(|w| !w.is_empty())
        .collect();
    while words.last().is_some_and(|word| ENDINGS.contains(word)) {
        words.pop();
    }
    let is_word = |word: &&str| !word.bytes().all(|b| b.is_ascii_digit());
    let mut found = Vec::new();
    for (i, word) in words.iter().enumerate() {
        let (before, after) = (&words[..i], &words[i + 1..]);
        let (Ok(number), true) = (word.parse(), word.bytes().all(|b| b.is_ascii_digit())) else {
            continue;
        };
        // Parameters that coremltools makes up end in a number: `x_3_bias_0`.
        if before.iter().any(is_word) && after.last().is_some_and(is_word) {
            let rest = after.iter().map(|word| (*word).to_owned()).collect();
            found.push((before.join("_"), number, rest));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], expected: &[(&str, &[u64])]) {
        let steps: Vec<Step> = names
            .iter()
            .map(|name| Step {
                op: "linear",
                label: "",
                weights: vec![name],
            })
            .collect();
        let found = series(&steps);
        let found: Vec<(&str, Vec<u64>)> = found
            .iter()
            .map(|s| (s.name.as_str(), s.layers.iter().map(|l| l.number).collect()))
            .collect();
        let expected: Vec<(&str, Vec<u64>)> = expected
            .iter()
            .map(|(name, n)| (*name, n.to_vec()))
            .collect();
        assert_eq!(found, expected, "{names:?}");
    }

    #[test]
    fn module_paths_make_layers_and_variable_numbers_do_not() {
        check(
            &[
                "m_wte_weight",
                "m_h_0_ln_1_weight",
                "m_h_0_attn_q_weight_to_fp16_quantized",
                "m_h_1_ln_1_weight",
                "m_h_1_attn_q_weight_to_fp16_quantized",
                "m_ln_f_weight",
            ],
            &[("m_h", &[0, 1])],
        );
        check(
            &[
                "x_3_bias_0",
                "x_7_bias_0",
                "linear_0_bias_0",
                "linear_1_bias_0",
            ],
            &[],
        );
        // A module used twice: no layer may be taken up again.
        check(&["a.0.q", "a.0.k", "a.1.q", "a.1.k", "a.0.q", "a.0.k"], &[]);
        check(
            &[
                "enc_0_q", "enc_0_k", "enc_2_q", "enc_2_k", "dec_0_q", "dec_0_k", "dec_1_q",
                "dec_1_k",
            ],
            &[("dec", &[0, 1]), ("enc", &[0, 2])],
        );
    }
}
