//! Models that keep the past themselves give what their stateless twin gives, at every step.

use std::fmt::Debug;
use std::sync::Arc;

use rlaif_repl::generate::{NextLogits, Way};
use rlaif_repl::models::{CoreMLModelWrapper, LoadOptions, StudentModel, Trainable};
use rlaif_repl::numeric::Rng;
use rlaif_repl::optim::AdamWOptions;

use super::habits::{Habit, SLOTS, VOCAB, model};
use super::{EXACT, apart};

pub const KEEPING: [(Habit, Way); 7] = [
    (Habit::States, Way::States),
    (Habit::Slots, Way::States),
    (Habit::Growing { lead: 0 }, Way::ExplicitCache),
    (Habit::Growing { lead: 1 }, Way::ExplicitCache),
    (Habit::Fixed, Way::ExplicitCache),
    (Habit::Fresh, Way::ExplicitCache),
    (Habit::Shifting, Way::ExplicitCache),
];

pub fn plain(habit: Habit) -> CoreMLModelWrapper {
    model(habit, &LoadOptions::default())
}

pub fn tokens(rng: &mut Rng, count: usize) -> Vec<u32> {
    let id = |_| (rng.uniform() * VOCAB as f64) as u32;
    (0..count).map(id).collect()
}

/// The logits after each row's last token, as the twin computes them from all its tokens.
pub fn expected(twin: &CoreMLModelWrapper, rows: &[(usize, &[u32])]) -> Vec<Vec<f32>> {
    let last = |row: &[u32]| {
        let logits = twin.forward(row).unwrap();
        logits.row(row.len() - 1).to_vec()
    };
    rows.iter().map(|(_, row)| last(row)).collect()
}

#[test]
fn rows_of_different_lengths_grow_to_the_end() {
    let twin = plain(Habit::Stateless);
    for (habit, way) in KEEPING {
        let model = plain(habit);
        let mut rng = Rng::new(7);
        let mut rows: Vec<Vec<u32>> = [1, 6, 3, 5].map(|n| tokens(&mut rng, n)).into();
        rows.push(rows[1].clone());
        let mut decoder = model.decoder(SLOTS).unwrap().expect("it keeps the past");
        assert_eq!(decoder.way(), way);
        while rows.iter().any(|row| row.len() <= SLOTS) {
            let open = rows.iter().map(Vec::as_slice).enumerate();
            let open: Vec<_> = open.filter(|(_, row)| row.len() <= SLOTS).collect();
            agree(
                habit,
                &expected(&twin, &open),
                &decoder.next(&open).unwrap(),
            );
            rows.iter_mut()
                .for_each(|row| row.extend(tokens(&mut rng, 1)));
        }
        assert_eq!(model.remark(), None, "{habit:?}");
    }
}

pub fn agree(what: impl Debug, expected: &[Vec<f32>], got: &[Vec<f32>]) {
    assert_eq!(expected.len(), got.len());
    for (i, (expected, got)) in expected.iter().zip(got).enumerate() {
        let worst = apart(expected, got);
        assert!(worst < EXACT, "{what:?}, row {i}: {worst:e}");
    }
}

/// Rows go back, to the start too, become others, end and come again.
#[test]
fn rows_are_taken_back() {
    let twin = plain(Habit::Stateless);
    for (habit, _) in KEEPING {
        let model = plain(habit);
        let mut rng = Rng::new(3);
        let (a, b) = (tokens(&mut rng, 9), tokens(&mut rng, 7));
        let mixed = [&a[..4], &b[4..]].concat();
        let mut decoder = model.decoder(SLOTS).unwrap().unwrap();
        let steps: [&[(usize, &[u32])]; 6] = [
            &[(0, &a), (1, &b)],
            &[(0, &a[..5]), (1, &mixed)],
            &[(0, &a[..5]), (1, &b[..1])],
            &[(1, &a)],
            &[(0, &b), (1, &a[..8])],
            &[(2, &b), (0, &mixed)],
        ];
        for rows in steps {
            agree(habit, &expected(&twin, rows), &decoder.next(rows).unwrap());
        }
    }
}

#[test]
fn whole_rows_have_the_logits_of_all_their_tokens() {
    let twin = plain(Habit::Stateless);
    for (habit, _) in KEEPING {
        let model = plain(habit);
        let mut rng = Rng::new(9);
        let rows = [SLOTS, 1, 7, PIECES].map(|n| tokens(&mut rng, n));
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let got = model.forward_batch(&rows).unwrap();
        for ((row, got), expected) in rows
            .iter()
            .zip(&got)
            .zip(twin.forward_batch(&rows).unwrap())
        {
            assert_eq!(got.dim(), (row.len(), VOCAB), "{habit:?}");
            let (got, expected) = (got.as_slice().unwrap(), expected.as_slice().unwrap());
            let worst = apart(expected, got);
            assert!(worst < EXACT, "{habit:?}: {worst:e}");
        }
        let long = vec![1; SLOTS + 1];
        let error = model.forward(&long).unwrap_err().to_string();
        assert!(error.contains("the model takes 12 at most"), "{error}");
    }
}

/// Two whole pieces of a prompt function.
const PIECES: usize = 2 * super::habits::PIECE;

/// With fresh states a function that takes any number of tokens is as a stateless one: it learns.
#[test]
fn a_stateful_student_has_the_logits_of_its_twin() {
    let twin = plain(Habit::Stateless);
    let student = |habit| {
        let model = Arc::new(plain(habit));
        StudentModel::new(model, &Trainable::default(), AdamWOptions::default(), 0)
    };
    let mut rng = Rng::new(1);
    let rows = [5, SLOTS, 2].map(|n| tokens(&mut rng, n));
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let learner = student(Habit::States).unwrap();
    let got = learner.policy().unwrap().rows(&rows).unwrap();
    for (got, expected) in got.iter().zip(twin.forward_batch(&rows).unwrap()) {
        let worst = apart(expected.as_slice().unwrap(), got.as_slice().unwrap());
        assert!(worst < EXACT, "{worst:e}");
    }
    for habit in [Habit::Slots, Habit::Fixed] {
        let error = student(habit).err().unwrap().to_string();
        assert!(error.contains("takes tokens in pieces"), "{error}");
    }
}
