//! Rows of a small chain: how they end, what they keep, what they do not depend on.

mod distributions;

use std::sync::Arc;

use super::*;
use crate::numeric::Rng;
use crate::tokenizer::Vocabulary;

/// Text of the tokens of [`Chain`]: halves of a character among them; the last ends.
const PIECES: [&[u8]; 8] = [b"a", b"b", b"ab", b" ", b"\xc3", b"\xa9", b"ba", b""];
const EOS: u32 = 7;

/// The next token depends on the last one alone.
struct Chain {
    max_len: usize,
}

fn chain_logits(last: u32) -> Vec<f32> {
    let mut rng = Rng::named(u64::from(last), "chain");
    PIECES.map(|_| rng.normal() as f32).to_vec()
}

impl NextLogits for Chain {
    fn next_logits(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let last = |row: &&[u32]| chain_logits(row[row.len() - 1]);
        Ok(rows.iter().map(last).collect())
    }

    fn max_len(&self) -> usize {
        self.max_len
    }
}

fn options() -> Sampling {
    Sampling {
        eos: vec![EOS],
        vocabulary: Some(Arc::new(Vocabulary::new(PIECES))),
        max_new_tokens: 12,
        ..Sampling::default()
    }
}

fn run(prompts: &[Vec<u32>], sampling: &Sampling) -> Result<Vec<Rollout>> {
    let model = Chain { max_len: 64 };
    let mut open = |_| ();
    generate(&model, prompts, sampling, &Interrupt::default(), &mut open)
}

fn texts(rollouts: &[Rollout], sampling: &Sampling) -> Vec<String> {
    let vocabulary = sampling.vocabulary.as_ref().unwrap();
    rollouts.iter().map(|r| r.text(vocabulary)).collect()
}

#[test]
fn a_regular_expression_holds_from_end_to_end() {
    let check = |pattern: &str, expected: &dyn Fn(&str) -> bool| {
        let sampling = Sampling {
            constraint: Some(Constraint::Pattern(pattern.to_owned())),
            max_new_tokens: 30,
            ..options()
        };
        let rollouts = run(&vec![vec![1]; 60], &sampling).unwrap();
        for (rollout, text) in rollouts.iter().zip(texts(&rollouts, &sampling)) {
            assert_eq!(rollout.finish, Finish::Eos, "{pattern}: {text}");
            assert!(expected(&text), "{pattern}: {text}");
        }
    };
    check("(é ){1,2}", &|t| t == "é " || t == "é é ");
    check("a|ab|abé", &|t| ["a", "ab", "abé"].contains(&t));
    check("^ab?$", &|t| t == "a" || t == "ab");
    check("[a-z]{3}", &|t| t.len() == 3 && !t.contains(' '));
    check("(?:a+?b){0,3}", &|t| t.is_empty() || t.ends_with('b'));
    check(r"\w{2} ?\w", &|t| {
        t.chars().filter(|c| *c != ' ').count() == 3
    });
}

#[test]
fn constraints_that_cannot_be_met_are_errors() {
    let check = |constraint: Constraint, eos: &[u32], expected: &str| {
        let sampling = Sampling {
            constraint: Some(constraint),
            eos: eos.to_vec(),
            ..options()
        };
        let error = run(&[vec![0]], &sampling).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let pattern = |text: &str| Constraint::Pattern(text.to_owned());
    let dead = "no token of the vocabulary goes on from \"ba \"";
    check(pattern("ba x"), &[EOS], dead);
    check(pattern("x"), &[EOS], "goes on from \"\"");
    check(
        pattern("(a"),
        &[EOS],
        "the pattern can't be used: unclosed group",
    );
    check(pattern(r"a\b"), &[EOS], "the pattern can't be used");
    check(pattern("a[b&&c]"), &[EOS], "goes on from \"a\"");
    check(
        Constraint::Choices(Vec::new()),
        &[EOS],
        "nothing to choose from",
    );
}

/// A model without an end-of-sequence token is done where nothing may follow.
#[test]
fn a_constraint_ends_rows_that_have_no_other_end() {
    let sampling = Sampling {
        constraint: Some(Constraint::Pattern("ab*é|".to_owned())),
        eos: Vec::new(),
        max_new_tokens: 40,
        ..options()
    };
    let rollouts = run(&vec![vec![0]; 20], &sampling).unwrap();
    for (rollout, text) in rollouts.iter().zip(texts(&rollouts, &sampling)) {
        assert!(
            rollout.finish == Finish::Complete && text.ends_with('é'),
            "{text}"
        );
    }
}

#[test]
fn a_stop_string_ends_the_text_and_leaves_the_ids() {
    let sampling = Sampling {
        stop: vec!["ba".to_owned(), "b ".to_owned()],
        max_new_tokens: 40,
        ..options()
    };
    let free = Sampling {
        stop: Vec::new(),
        ..sampling.clone()
    };
    let prompts = vec![vec![0]; 40];
    let (stopped, all) = (
        run(&prompts, &sampling).unwrap(),
        run(&prompts, &free).unwrap(),
    );
    let both = texts(&stopped, &sampling)
        .into_iter()
        .zip(texts(&all, &free));
    let mut stops = 0;
    for ((a, b), (cut, whole)) in stopped.iter().zip(&all).zip(both) {
        assert!(b.completion.starts_with(&a.completion));
        let places = ["ba", "b "].into_iter().filter_map(|stop| whole.find(stop));
        match places.min() {
            Some(end) => {
                assert_eq!((a.finish.name(), cut.as_str()), ("stop", &whole[..end]));
                stops += 1;
            }
            None => assert_eq!(a, b),
        }
    }
    assert!(stops > 10, "{stops}");
}

/// Rows in batches of other lengths and order, with a seed each, are as they are alone.
#[test]
fn a_row_does_not_depend_on_its_batch() {
    let prompts: Vec<Vec<u32>> = (0..6).map(|i| vec![i % 4; 1 + i as usize]).collect();
    let check = |sampling: Sampling| {
        let seeded = |seeds: Vec<u64>| Sampling {
            seeds: Some(seeds),
            ..sampling.clone()
        };
        let together = run(&prompts, &seeded(vec![5, 6, 7, 8, 9, 10])).unwrap();
        for (i, prompt) in prompts.iter().enumerate() {
            let seed = 5 + i as u64;
            let alone = run(std::slice::from_ref(prompt), &seeded(vec![seed])).unwrap();
            assert_eq!(alone[0], together[i]);
            let by_seed = Sampling {
                seed,
                ..sampling.clone()
            };
            assert_eq!(alone, run(std::slice::from_ref(prompt), &by_seed).unwrap());
        }
        // Without seeds of their own rows are told apart by their number.
        let of_batch = run(&prompts, &sampling).unwrap();
        assert_eq!(of_batch[..2], run(&prompts[..2], &sampling).unwrap());
    };
    check(options());
    check(Sampling {
        top_p: 0.8,
        presence_penalty: 0.5,
        stop: vec!["ab".to_owned()],
        likeliest: 2,
        ..options()
    });
    check(Sampling {
        constraint: Some(Constraint::Pattern("[ab ]{2,6}".to_owned())),
        ..options()
    });
}

/// What comes piece by piece is the text; logprobs are the model's own, whatever was done to the scores.
#[test]
fn pieces_and_logprobs_of_a_generation() {
    let sampling = Sampling {
        temperature: 0.7,
        top_k: 3,
        frequency_penalty: 0.5,
        stop: vec!["a a".to_owned()],
        likeliest: 3,
        ..options()
    };
    let model = Chain { max_len: 64 };
    let prompts = vec![vec![0]; 8];
    let mut generation = Generation::start(&model, &prompts, &sampling).unwrap();
    assert_eq!(generation.way(), Way::Recompute);
    let mut pieces = vec![String::new(); 8];
    while generation.open() > 0 {
        generation.step().unwrap();
        for (row, text) in pieces.iter_mut().enumerate() {
            text.push_str(&generation.news(row));
        }
    }
    let rollouts = generation.finish();
    assert_eq!(texts(&rollouts, &sampling), pieces);
    for rollout in rollouts {
        let ids = rollout.ids();
        for (i, id) in rollout.completion.iter().enumerate() {
            let logits = chain_logits(ids[i]);
            assert_eq!(
                rollout.logprobs[i],
                Distribution::new(&logits, 0.7).logprob(*id)
            );
            let step = &rollout.likeliest[i];
            assert!(step.len() == 3 && step.is_sorted_by(|a, b| a.1 >= b.1));
            let (best, most) = step[0];
            assert!(logits.iter().all(|l| *l <= logits[best as usize]));
            assert_eq!(most, Distribution::new(&logits, 0.7).logprob(best));
        }
    }
}

#[test]
fn a_generation_that_is_given_up_keeps_what_came() {
    let model = Chain { max_len: 64 };
    let sampling = Sampling {
        eos: Vec::new(),
        ..options()
    };
    let mut generation = Generation::start(&model, &[vec![0]], &sampling).unwrap();
    generation.step().unwrap();
    generation.step().unwrap();
    let rollout = generation.finish().remove(0);
    assert_eq!(
        (rollout.finish, rollout.completion.len()),
        (Finish::Unfinished, 2)
    );
}

#[test]
fn eos_is_kept_in_the_completion_and_ends_it() {
    for rollout in run(&vec![vec![0]; 20], &options()).unwrap() {
        let ends = rollout.completion.iter().filter(|id| **id == EOS).count();
        assert_eq!(ends, usize::from(rollout.finish == Finish::Eos));
        assert_eq!(rollout.logprobs.len(), rollout.completion.len());
        assert!(!rollout.text_ids().contains(&EOS));
    }
}

#[test]
fn what_cannot_be_sampled_is_an_error() {
    let check = |prompt: Vec<u32>, sampling: Sampling, expected: &str| {
        let error = run(&[prompt], &sampling).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(vec![0; 64], options(), "between 1 and 63 fit the model");
    check(Vec::new(), options(), "prompt 0 has 0 tokens");
    let with = |change: &dyn Fn(&mut Sampling)| {
        let mut sampling = options();
        change(&mut sampling);
        sampling
    };
    let one = || vec![0];
    check(
        one(),
        with(&|s| s.top_p = 0.0),
        "top_p is 0, out of its range",
    );
    check(
        one(),
        with(&|s| s.presence_penalty = f64::NAN),
        "presence_penalty is NaN",
    );
    check(
        one(),
        with(&|s| s.logit_bias = vec![(8, 1.0)]),
        "there is no token 8",
    );
    check(
        one(),
        with(&|s| s.seeds = Some(vec![1, 2])),
        "2 seeds for 1 prompts",
    );
    check(
        one(),
        with(&|s| s.stop = vec![String::new()]),
        "a stop string is empty",
    );
    let nothing = (0..8).map(|id| (id, f64::NEG_INFINITY)).collect::<Vec<_>>();
    check(
        one(),
        with(&|s| s.logit_bias = nothing.clone()),
        "no token is left",
    );
    let past = Past {
        prompt: &[],
        completion: &[],
        allowed: None,
    };
    let error = scores(&[0.0, f32::NAN], &past, &options()).unwrap_err();
    assert_eq!(*error.kind(), crate::diag::Kind::NonFinite);
}
