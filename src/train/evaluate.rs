//! What came out: win-rates with their intervals, and the distance from where training began.

use crate::diag::Result;
use crate::generate::Rollout;
use crate::models::{Policy, StudentModel};
use crate::numeric::stats;
use crate::objectives::values;

/// A win-rate over pairs; ties count half.
#[derive(Debug, Clone, PartialEq)]
pub struct WinRate {
    pub rate: f64,
    /// Wilson's 95 % interval.
    pub interval: [f64; 2],
    pub wins: usize,
    pub ties: usize,
    pub losses: usize,
    /// Pairs without a verdict; they count nowhere.
    pub missing: usize,
}

/// Sums up outcomes: 1 a win, ½ a tie, 0 a loss, `None` no verdict.
pub fn win_rate(outcomes: &[Option<f64>]) -> WinRate {
    let known: Vec<f64> = outcomes.iter().flatten().copied().collect();
    let count = |value: f64| known.iter().filter(|o| **o == value).count();
    let sum: f64 = known.iter().sum();
    WinRate {
        rate: stats::mean(&known).unwrap_or(f64::NAN),
        interval: stats::wilson(sum, known.len() as f64),
        wins: count(1.0),
        ties: count(0.5),
        losses: count(0.0),
        missing: outcomes.len() - known.len(),
    }
}

/// Mean over the tokens of `rollouts` (sampled from the student as it is) of log π − log ρ: an unbiased
/// estimate of KL(student ‖ start), nats per token.
pub fn kl_to_reference(
    student: &StudentModel,
    rollouts: &[Rollout],
    temperature: f64,
) -> Result<f64> {
    let logprobs = |policy: &Policy, rows: &[&[u32]]| -> Result<(Vec<f64>, usize)> {
        let scores = policy.score(rows, temperature)?.logprobs;
        Ok((values(&scores)?, scores.dim(1)?))
    };
    let ids: Vec<Vec<u32>> = rollouts.iter().map(Rollout::ids).collect();
    let rows: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
    let (policy, width) = logprobs(&student.policy()?, &rows)?;
    let (reference, _) = logprobs(&student.reference(), &rows)?;
    let mut differences = Vec::new();
    for (i, rollout) in rollouts.iter().enumerate() {
        let first = i * width + rollout.prompt.len() - 1;
        let tokens = first..first + rollout.completion.len();
        differences.extend(
            policy[tokens.clone()]
                .iter()
                .zip(&reference[tokens])
                .map(|(a, b)| a - b),
        );
    }
    Ok(stats::mean(&differences).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half_and_the_missing_nowhere() {
        let rate = win_rate(&[Some(1.0), Some(0.5), Some(0.0), None]);
        assert_eq!(
            (rate.rate, rate.wins, rate.ties, rate.losses, rate.missing),
            (0.5, 1, 1, 1, 1)
        );
    }
}
