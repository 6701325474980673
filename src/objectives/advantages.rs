//! From rewards to advantages, per group of completions of one prompt.
//!
//! A reward may be missing (the judge abstained or failed): such a completion counts in no mean and
//! gets advantage 0, as in TRL. It is never scored 0.

use crate::diag::{Result, named};
use crate::fail;
use crate::numeric::stats::{mean, std};

named! {
    /// By what GRPO divides the centred rewards (TRL's `scale_rewards`).
    "scale" Scale {
        /// The sample standard deviation of the group, plus 1e-4.
        Group = "group",
        /// That of the whole batch, plus 1e-4.
        Batch = "batch",
        /// Nothing, as Dr. GRPO does (2503.20783): the scaling changes the effective KL weight.
        None = "none",
    }
}

/// GRPO (2402.03300): A = (r − mean of the group) / (std + 1e-4), std with n − 1 as in TRL and verl
/// (verl adds 1e-6, mlx-lm-lora divides by n). A group of one, or of equal rewards, gives 0.
pub fn advantages(rewards: &[Option<f64>], group: usize, scale: Scale) -> Result<Vec<f64>> {
    let known: Vec<f64> = rewards.iter().flatten().copied().collect();
    let of_batch = std(&known).unwrap_or(0.0);
    by_group(rewards, group, |known, reward| {
        let centred = reward - mean(known).unwrap_or(reward);
        match scale {
            Scale::Group => centred / (std(known).unwrap_or(0.0) + 1e-4),
            Scale::Batch => centred / (of_batch + 1e-4),
            Scale::None => centred,
        }
    })
}

/// RLOO (2402.14740): A = r − mean of the *other* rewards of the group; 0 without others.
pub fn rloo_advantages(rewards: &[Option<f64>], group: usize) -> Result<Vec<f64>> {
    by_group(rewards, group, |known, reward| {
        let others = known.len() - 1;
        let sum: f64 = known.iter().sum();
        if others == 0 {
            0.0
        } else {
            reward - (sum - reward) / others as f64
        }
    })
}

/// REINFORCE++ (2501.03262): normalised over the whole batch by the population standard deviation.
pub fn reinforce_advantages(rewards: &[Option<f64>]) -> Result<Vec<f64>> {
    by_group(rewards, rewards.len(), |known, reward| {
        let centre = mean(known).unwrap_or(reward);
        let variance = known.iter().map(|r| (r - centre).powi(2)).sum::<f64>() / known.len() as f64;
        (reward - centre) / (variance.sqrt() + 1e-8)
    })
}

/// Applies `advantage(known rewards of the group, reward)` to each known reward.
fn by_group(
    rewards: &[Option<f64>],
    group: usize,
    advantage: impl Fn(&[f64], f64) -> f64,
) -> Result<Vec<f64>> {
    if rewards.is_empty() {
        return Ok(Vec::new());
    }
    if group == 0 || !rewards.len().is_multiple_of(group) {
        fail!("{} rewards don't make groups of {group}", rewards.len());
    }
    if let Some(index) = rewards.iter().flatten().position(|r| !r.is_finite()) {
        fail!("reward {index} is not finite");
    }
    let of_group = |group: &[Option<f64>]| -> Vec<f64> {
        let known: Vec<f64> = group.iter().flatten().copied().collect();
        let one = |reward: &Option<f64>| reward.map_or(0.0, |r| advantage(&known, r));
        group.iter().map(one).collect()
    };
    Ok(rewards.chunks(group).flat_map(of_group).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(rewards: &[f64]) -> Vec<Option<f64>> {
        rewards.iter().copied().map(Some).collect()
    }

    fn close(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 5e-7, "{got:?} {want:?}");
        }
    }

    /// TRL's numbers for the same rewards.
    #[test]
    fn golden_grpo() {
        let check = |rewards: &[f64], scale, expected: &[f64]| {
            close(
                &advantages(&some(rewards), rewards.len(), scale).unwrap(),
                expected,
            );
        };
        let (four, three) = ([1.0, 0.0, 0.5, 0.5], [2.0, -1.0, 0.0]);
        check(&four, Scale::Group, &[1.224445, -1.224445, 0.0, 0.0]);
        check(&three, Scale::Group, &[1.091018, -0.872814, -0.218204]);
        check(&four, Scale::None, &[0.5, -0.5, 0.0, 0.0]);
        check(&three, Scale::None, &[1.666667, -1.333333, -0.333333]);
        check(&[0.3, 0.3], Scale::Group, &[0.0, 0.0]);
        check(&[0.3], Scale::Group, &[0.0]);
    }

    #[test]
    fn batch_scale_shares_one_deviation() {
        let got = advantages(&some(&[1.0, 0.0, 5.0, 5.0]), 2, Scale::Batch).unwrap();
        let deviation = std(&[1.0, 0.0, 5.0, 5.0]).unwrap() + 1e-4;
        close(&got, &[0.5 / deviation, -0.5 / deviation, 0.0, 0.0]);
    }

    #[test]
    fn golden_rloo_and_reinforce() {
        let rloo = |rewards: &[f64]| rloo_advantages(&some(rewards), rewards.len()).unwrap();
        close(
            &rloo(&[1.0, 0.0, 0.5, 0.5]),
            &[0.666667, -0.666667, 0.0, 0.0],
        );
        close(&rloo(&[2.0, -1.0, 0.0]), &[2.5, -2.0, -0.5]);
        let all = some(&[1.0, 0.0, 0.5, 0.5, 2.0, -1.0, 0.0]);
        close(
            &reinforce_advantages(&all).unwrap(),
            &[
                0.662085, -0.496564, 0.082761, 0.082761, 1.820733, -1.655212, -0.496564,
            ],
        );
    }

    #[test]
    fn a_missing_reward_is_not_zero() {
        let rewards = [Some(1.0), None, Some(0.0)];
        close(
            &advantages(&rewards, 3, Scale::None).unwrap(),
            &[0.5, 0.0, -0.5],
        );
        close(&rloo_advantages(&rewards, 3).unwrap(), &[1.0, 0.0, -1.0]);
        close(
            &rloo_advantages(&[Some(1.0), None], 2).unwrap(),
            &[0.0, 0.0],
        );
    }

    #[test]
    fn bad_rewards_are_errors() {
        let error = |rewards: &[f64]| advantages(&some(rewards), 2, Scale::Group).unwrap_err();
        assert_eq!(
            error(&[1.0; 3]).to_string(),
            "3 rewards don't make groups of 2"
        );
        assert_eq!(
            error(&[1.0, f64::NAN]).to_string(),
            "reward 1 is not finite"
        );
    }
}
