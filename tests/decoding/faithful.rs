//! Decoding where results are rounded to fp16 as Core ML may, and sampled texts of models that keep the
//! past themselves.

use rlaif_repl::engine::portable::Precision;
use rlaif_repl::generate::NextLogits;
use rlaif_repl::models::{CoreMLModelWrapper, Decoding, LoadOptions};
use rlaif_repl::numeric::Rng;

use super::habits::{Habit, SLOTS, VOCAB, half};
use super::kept::{KEEPING, plain, tokens};
use super::texts::{Whole, ids, run};
use super::{apart, difference};
use rlaif_repl::generate::Sampling;

/// What a rounding more or less does to logits, of the largest.
const ROUNDED: f64 = 4e-3;

fn faithful() -> LoadOptions {
    LoadOptions {
        precision: Precision::Faithful,
        ..LoadOptions::default()
    }
}

#[test]
fn increments_round_as_whole_sequences_do() {
    let model = half(Habit::Stateless, &faithful());
    let worst = difference(&model, VOCAB as u64, SLOTS).unwrap();
    assert!(worst < ROUNDED, "{worst:e}");
    assert_eq!(model.decoding(), Some(Decoding::Incremental));
    let exact = half(Habit::Stateless, &LoadOptions::default());
    let row: &[u32] = &[3, 1, 4, 1, 5];
    let [a, b] = [&model, &exact].map(|model| model.next_logits(&[row]).unwrap().remove(0));
    let rounding = apart(&a, &b);
    assert!(rounding > 0.0 && rounding < ROUNDED, "{rounding:e}");
}

#[test]
fn caches_of_fp16_are_near_the_whole_sequence() {
    for options in [LoadOptions::default(), faithful()] {
        let twin = half(Habit::Stateless, &options);
        for (habit, _) in KEEPING {
            let model = half(habit, &options);
            let mut decoder = model.decoder(SLOTS).unwrap().unwrap();
            let row = tokens(&mut Rng::new(6), SLOTS);
            for end in 5..=SLOTS {
                let got = decoder.next(&[(0, &row[..end])]).unwrap().remove(0);
                let expected = twin.forward(&row[..end]).unwrap().row(end - 1).to_vec();
                let worst = apart(&expected, &got);
                assert!(worst < ROUNDED, "{habit:?} at {end}: {worst:e}");
            }
        }
    }
}

/// As the twin that computes all tokens again for each new one, and as the one that keeps increments.
#[test]
fn the_same_seed_samples_the_same_tokens() {
    let twin = plain(Habit::Stateless);
    let mut rng = Rng::new(8);
    let prompts = [1, 4, 2, 4].map(|n| tokens(&mut rng, n)).to_vec();
    let sampling = Sampling {
        temperature: 1.3,
        top_k: 9,
        seed: 11,
        max_new_tokens: SLOTS,
        eos: vec![2],
        ..Sampling::default()
    };
    let sampled = |model: &CoreMLModelWrapper| run(model, &prompts, &sampling);
    let expected = run(&Whole(&twin), &prompts, &sampling);
    assert_eq!(ids(&sampled(&twin)), ids(&expected));
    assert_eq!(twin.decoding(), Some(Decoding::Incremental));
    for (habit, _) in KEEPING {
        assert_eq!(ids(&sampled(&plain(habit))), ids(&expected), "{habit:?}");
    }
}
