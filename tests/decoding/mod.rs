//! Decoding by new tokens alone gives what computing everything gives, at every step.

mod cut;
mod faithful;
mod habits;
mod kept;
mod models;
mod pipelines;
mod ports;
mod programs;
mod texts;

use rlaif_repl::diag::Result;
use rlaif_repl::generate::NextLogits;
use rlaif_repl::numeric::Rng;

/// How far logits may be from those of the whole sequence, of the largest: sums in another order.
const EXACT: f64 = 1e-5;

/// Rows of different lengths, grown token by token to `longest`: at each step the largest difference from
/// the plain run, of the largest logit.
fn difference(model: &dyn NextLogits, vocab: u64, longest: usize) -> Result<f64> {
    let mut rng = Rng::new(7);
    let mut draw = |n: usize| -> Vec<u32> {
        let id = |_| (rng.uniform() * vocab as f64) as u32;
        (0..n).map(id).collect()
    };
    let mut rows: Vec<Vec<u32>> = [1, longest / 2, 3].map(&mut draw).into();
    let mut decoder = model.decoder(longest)?.expect("it decodes incrementally");
    let mut worst: f64 = 0.0;
    while rows.iter().any(|row| row.len() <= longest) {
        let all = rows.iter().map(Vec::as_slice).enumerate();
        let open: Vec<(usize, &[u32])> = all.filter(|(_, row)| row.len() <= longest).collect();
        let got = decoder.next(&open)?;
        for ((_, row), got) in open.iter().zip(&got) {
            let expected = model.next_logits(&[row])?.remove(0);
            worst = worst.max(apart(&expected, got));
        }
        for row in &mut rows {
            row.extend(draw(1));
        }
    }
    Ok(worst)
}

fn apart(expected: &[f32], got: &[f32]) -> f64 {
    let scale = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
    let pairs = expected.iter().zip(got);
    let most = pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    f64::from(most / scale)
}
