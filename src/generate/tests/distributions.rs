//! Every option against transformers' processors and against the distribution it stands for.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::*;

/// Fails where counts are out of what probabilities allow, by Pearson's χ² at one in ten thousand.
fn agree(counts: &[usize], probabilities: &[f64], what: &str) {
    let total: usize = counts.iter().sum();
    let (mut statistic, mut cells, mut rest) = (0.0, 0.0, (0.0, 0.0));
    let mut add = |got: f64, expected: f64| {
        statistic += (got - expected).powi(2) / expected;
        cells += 1.0;
    };
    for (count, probability) in counts.iter().zip(probabilities) {
        let (got, expected) = (*count as f64, probability * total as f64);
        assert!(expected > 0.0 || got == 0.0, "{what}: {counts:?}");
        match expected < 5.0 {
            true => rest = (rest.0 + got, rest.1 + expected),
            false => add(got, expected),
        }
    }
    if rest.1 > 0.0 {
        add(rest.0, rest.1);
    }
    // Wilson and Hilferty's approximation of the quantile.
    let freedom = f64::max(cells - 1.0, 1.0);
    let spread = 2.0 / (9.0 * freedom);
    let most = freedom * (1.0 - spread + 3.719 * spread.sqrt()).powi(3);
    assert!(
        statistic < most,
        "{what}: χ² {statistic:.1} > {most:.1}: {counts:?} {probabilities:?}"
    );
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scores.iter().map(|s| (s - best).exp()).sum();
    scores.iter().map(|s| (s - best).exp() / sum).collect()
}

/// A case of `tests/fixtures/generate/processors.json`, which `processors.py` beside it makes.
struct Case {
    name: String,
    logits: Vec<f32>,
    sampling: Sampling,
    allowed: Option<Mask>,
    scores: Vec<f64>,
}

fn golden() -> (Vec<u32>, Vec<u32>, Vec<Case>) {
    let path = "tests/fixtures/generate/processors.json";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let cases = json["cases"].as_array().unwrap().iter().map(case);
    (
        ids(&json["prompt"]),
        ids(&json["completion"]),
        cases.collect(),
    )
}

fn case(json: &Value) -> Case {
    let options = &json["options"];
    let number = |name: &str, default: f64| options[name].as_f64().unwrap_or(default);
    let scores: Vec<Option<f64>> = serde_json::from_value(json["scores"].clone()).unwrap();
    let biases = options.get("logit_bias");
    let allowed = options.get("allowed");
    Case {
        name: options.to_string(),
        logits: serde_json::from_value(json["logits"].clone()).unwrap(),
        scores: scores
            .into_iter()
            .map(|s| s.unwrap_or(f64::NEG_INFINITY))
            .collect(),
        allowed: allowed.map(|ids| {
            serde_json::from_value::<Vec<u32>>(ids.clone())
                .unwrap()
                .into_iter()
                .collect()
        }),
        sampling: Sampling {
            temperature: number("temperature", 1.0),
            top_k: number("top_k", 0.0) as usize,
            top_p: number("top_p", 1.0),
            min_p: number("min_p", 0.0),
            repetition_penalty: number("repetition_penalty", 1.0),
            presence_penalty: number("presence_penalty", 0.0),
            frequency_penalty: number("frequency_penalty", 0.0),
            logit_bias: biases
                .map_or_else(Vec::new, |b| serde_json::from_value(b.clone()).unwrap()),
            ..Sampling::default()
        },
    }
}

/// Each processor, each pair of them and all together give transformers' scores, and draws have their
/// frequencies.
#[test]
fn scores_are_those_of_transformers() {
    let (prompt, completion, cases) = golden();
    assert!(cases.len() > 40);
    let mut rng = Rng::new(11);
    for case in cases {
        let past = Past {
            prompt: &prompt,
            completion: &completion,
            allowed: case.allowed.as_ref(),
        };
        let got = scores(&case.logits, &past, &case.sampling).unwrap();
        for (a, b) in got.iter().zip(&case.scores) {
            assert!(
                a == b || (a - b).abs() < 1e-5,
                "{}: {got:?} {:?}",
                case.name,
                case.scores
            );
        }
        let mut counts = vec![0; got.len()];
        for _ in 0..2000 {
            counts[draw(&got, case.sampling.temperature, &mut rng) as usize] += 1;
        }
        agree(&counts, &softmax(&case.scores), &case.name);
    }
}

/// Pairs of tokens come as often as the chain says, with a penalty that makes the second depend on both.
#[test]
fn sequences_have_the_frequencies_of_their_distribution() {
    let sampling = Sampling {
        temperature: 0.8,
        presence_penalty: 0.7,
        frequency_penalty: 0.4,
        logit_bias: vec![(2, -0.5)],
        max_new_tokens: 2,
        seed: 9,
        eos: Vec::new(),
        ..options()
    };
    let rollouts = run(&vec![vec![3]; 6000], &sampling).unwrap();
    let mut counts = vec![0; 64];
    for rollout in &rollouts {
        counts[(rollout.completion[0] * 8 + rollout.completion[1]) as usize] += 1;
    }
    let step = |last: u32, had: Option<u32>| {
        let mut scores: Vec<f64> = chain_logits(last).into_iter().map(f64::from).collect();
        scores[2] -= 0.5;
        if let Some(id) = had {
            scores[id as usize] -= 0.7 + 0.4;
        }
        softmax(&scores.iter().map(|s| s / 0.8).collect::<Vec<_>>())
    };
    let first = step(3, None);
    let pairs = (0..64)
        .map(|pair| first[pair / 8] * step(pair as u32 / 8, Some(pair as u32 / 8))[pair % 8]);
    agree(&counts, &pairs.collect::<Vec<_>>(), "pairs");
}

/// Which choice comes is the product of its tokens' shares among those that the choices allow; a choice
/// can be written in several ways.
#[test]
fn choices_have_the_frequencies_of_their_tokens() {
    let choices = ["ab", "aba", "é", "b b"];
    let sampling = Sampling {
        constraint: Some(Constraint::Choices(choices.map(str::to_owned).to_vec())),
        seed: 4,
        ..options()
    };
    let rollouts = run(&vec![vec![0]; 5000], &sampling).unwrap();
    let texts = texts(&rollouts, &sampling);
    let count = |choice: &&str| texts.iter().filter(|text| text == choice).count();
    let counts = choices.iter().map(count).collect::<Vec<_>>();
    assert_eq!(counts.iter().sum::<usize>(), rollouts.len(), "{texts:?}");
    assert!(rollouts.iter().all(|r| r.finish == Finish::Eos));
    let mut reached = BTreeMap::new();
    spread(&choices, 0, Vec::new(), 1.0, &mut reached);
    let probabilities = choices.map(|choice| reached[choice.as_bytes()]);
    agree(&counts, &probabilities, "choices");
}

/// The probability of every text, by following all tokens that lead to a choice.
fn spread(
    choices: &[&str],
    last: u32,
    text: Vec<u8>,
    p: f64,
    reached: &mut BTreeMap<Vec<u8>, f64>,
) {
    let leads = |id: u32| {
        let grown = [&text, PIECES[id as usize]].concat();
        match id {
            EOS => choices.iter().any(|c| c.as_bytes() == grown),
            _ => choices.iter().any(|c| c.as_bytes().starts_with(&grown)),
        }
    };
    let masked = chain_logits(last)
        .into_iter()
        .enumerate()
        .map(|(id, l)| match leads(id as u32) {
            true => f64::from(l),
            false => f64::NEG_INFINITY,
        });
    for (id, share) in softmax(&masked.collect::<Vec<_>>()).into_iter().enumerate() {
        match id as u32 {
            _ if share == 0.0 => {}
            EOS => *reached.entry(text.clone()).or_default() += p * share,
            id => spread(
                choices,
                id,
                [&text, PIECES[id as usize]].concat(),
                p * share,
                reached,
            ),
        }
    }
}
