//! AI feedback: judges that give probabilities, see both orders, and may abstain.
//!
//! A verdict that could not be had is `None`, never a number: it counts in no mean and trains nothing.

mod card;
mod local;
mod questions;
pub mod remote;
mod template;

pub use card::{Card, card};
pub use local::LocalJudge;
pub use questions::Wording;
pub use template::Template;

use crate::diag::Result;

/// One answer to be scored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub prompt: String,
    pub answer: String,
}

/// Two answers to be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    pub prompt: String,
    pub first: String,
    pub second: String,
}

/// What a judge says of a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Probability that the first answer is better, averaged over both orders; `None` if it abstained.
    pub p_first: Option<f64>,
    /// The same probability as seen with the first answer shown first, and shown second.
    pub by_order: [Option<f64>; 2],
}

impl Verdict {
    /// Combines what was said of the pair in either order of showing.
    pub fn of_orders(shown_first: Option<f64>, shown_second: Option<f64>) -> Self {
        let p_first = shown_first.zip(shown_second).map(|(a, b)| (a + b) / 2.0);
        Self {
            p_first,
            by_order: [shown_first, shown_second],
        }
    }

    /// Whether the order of showing decided which answer seemed better.
    pub fn order_flip(&self) -> bool {
        matches!(self.by_order, [Some(a), Some(b)] if (a > 0.5) != (b > 0.5))
    }

    /// 1 for a win of the first, 0 for a loss, ½ within `margin` of a tie; `None` if abstained.
    pub fn outcome(&self, margin: f64) -> Option<f64> {
        self.p_first.map(|p| match p - 0.5 {
            d if d.abs() <= margin => 0.5,
            d if d > 0.0 => 1.0,
            _ => 0.0,
        })
    }
}

/// Something that judges answers.
pub trait Judge: Send + Sync {
    fn name(&self) -> String;

    /// How good each answer is, 0 to 1; `None` where the judge abstained.
    fn score(&self, items: &[Item]) -> Result<Vec<Option<f64>>>;

    /// Which of two answers is better, each pair seen in both orders.
    fn compare(&self, pairs: &[Pair]) -> Result<Vec<Verdict>>;

    /// SHA-256 in hex of what decides on its verdicts; nothing where that is out of reach.
    fn content(&self) -> Option<String> {
        None
    }

    /// What the user should know and has not been told.
    fn news(&self) -> Vec<String> {
        Vec::new()
    }

    /// What was asked of a server so far; nothing where there is none.
    fn usage(&self) -> Option<remote::Usage> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstention_is_no_verdict() {
        let verdict = Verdict::of_orders(Some(0.9), None);
        assert_eq!(
            (verdict.p_first, verdict.outcome(0.0), verdict.order_flip()),
            (None, None, false)
        );
    }

    #[test]
    fn orders_are_averaged_and_flips_seen() {
        let verdict = Verdict::of_orders(Some(0.9), Some(0.3));
        assert!((verdict.p_first.unwrap() - 0.6).abs() < 1e-12);
        assert!(verdict.order_flip());
        assert_eq!(verdict.outcome(0.2), Some(0.5));
    }
}
