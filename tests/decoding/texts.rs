//! Sampled texts: the same whatever is in the batch, and whether the past is kept or computed again.

use rlaif_repl::diag::{Interrupt, Result};
use rlaif_repl::generate::{Constraint, Generation, NextLogits, Rollout, Sampling, Way, generate};
use rlaif_repl::models::{CoreMLModelWrapper, LoadOptions, embedded};

/// The model without what keeps its past.
pub struct Whole<'a>(pub &'a CoreMLModelWrapper);

impl NextLogits for Whole<'_> {
    fn next_logits(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        self.0.next_logits(rows)
    }

    fn max_len(&self) -> usize {
        self.0.max_len()
    }
}

pub fn run(model: &dyn NextLogits, prompts: &[Vec<u32>], sampling: &Sampling) -> Vec<Rollout> {
    let mut progress = |_| ();
    generate(
        model,
        prompts,
        sampling,
        &Interrupt::default(),
        &mut progress,
    )
    .unwrap()
}

#[test]
fn the_same_seed_gives_the_same_text() {
    let model = embedded("student", &LoadOptions::default()).unwrap();
    let tokenizer = model.tokenizer().unwrap().clone();
    let prompts = [
        "tea",
        "the soup at the old hotel was",
        "the bed",
        "the music at the",
    ];
    let prompts = prompts.map(|text| tokenizer.encode(text, true).unwrap());
    let plain = Sampling {
        seeds: Some(vec![7, 8, 9, 10]),
        max_new_tokens: 16,
        eos: tokenizer.ends(),
        vocabulary: Some(tokenizer.vocabulary().clone()),
        ..Sampling::default()
    };
    let cut = Sampling {
        top_p: 0.9,
        repetition_penalty: 1.2,
        stop: vec![" and".to_owned()],
        ..plain.clone()
    };
    let bound = Sampling {
        constraint: Some(Constraint::Pattern("( [a-z]+){2,5} \\.".to_owned())),
        frequency_penalty: 0.3,
        ..plain.clone()
    };
    for sampling in [plain, cut, bound] {
        let together = run(&model, &prompts, &sampling);
        assert_eq!(
            ids(&run(&Whole(&model), &prompts, &sampling)),
            ids(&together)
        );
        for (i, prompt) in prompts.iter().enumerate() {
            let sampling = Sampling {
                seeds: Some(vec![7 + i as u64]),
                ..sampling.clone()
            };
            let alone = run(&model, std::slice::from_ref(prompt), &sampling);
            assert_eq!(ids(&alone), ids(&together[i..=i]));
        }
    }
}

/// What sums in another order leave as it is.
pub fn ids(rollouts: &[Rollout]) -> Vec<(&[u32], &str)> {
    let rows = rollouts.iter();
    rows.map(|r| (r.completion.as_slice(), r.finish.name()))
        .collect()
}

#[test]
fn a_generation_tells_its_way() {
    let model = embedded("student", &LoadOptions::default()).unwrap();
    let way = |model: &dyn NextLogits| {
        let generation = Generation::start(model, &[vec![1, 2]], &Sampling::default());
        generation.unwrap().way()
    };
    assert_eq!(way(&model), Way::Increments);
    assert_eq!(way(&Whole(&model)), Way::Recompute);
}
