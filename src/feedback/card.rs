//! A judge's report card: how far it can be trusted, measured on pairs whose better answer is known.

use super::{Judge, Pair};
use crate::diag::Result;

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    pub pairs: usize,
    /// Share of pairs without a verdict.
    pub abstained: f64,
    /// Share of verdicts that agree with the known better answer; ties count half.
    pub accuracy: f64,
    /// Share of verdicts that the order of showing decided.
    pub order_flips: f64,
    /// Mean probability given to the answer shown first; ½ is unbiased.
    pub p_shown_first: f64,
    /// Share of pairs of different length in which the longer answer won; ½ is unbiased.
    pub p_longer: f64,
}

/// Puts `judge` to the test on pairs in which the *first* answer is known to be better.
pub fn card(judge: &dyn Judge, pairs: &[Pair]) -> Result<Card> {
    // Every other pair is turned round, so that a judge can't win by liking first arguments.
    let turned: Vec<Pair> = pairs
        .iter()
        .enumerate()
        .map(|(i, p)| turn(p, i % 2 == 1))
        .collect();
    let verdicts = judge.compare(&turned)?;
    let mut card = Card {
        pairs: pairs.len(),
        abstained: verdicts.iter().filter(|v| v.p_first.is_none()).count() as f64,
        accuracy: 0.0,
        order_flips: verdicts.iter().filter(|v| v.order_flip()).count() as f64,
        p_shown_first: 0.0,
        p_longer: 0.0,
    };
    let mut uneven = 0.0;
    for (i, (pair, verdict)) in turned.iter().zip(&verdicts).enumerate() {
        let (Some(win), [Some(a), Some(b)]) = (verdict.outcome(0.0), verdict.by_order) else {
            continue;
        };
        card.accuracy += if i % 2 == 1 { 1.0 - win } else { win };
        card.p_shown_first += (a + 1.0 - b) / 2.0;
        let (first, second) = (pair.first.len(), pair.second.len());
        if first != second {
            uneven += 1.0;
            card.p_longer += if first > second { win } else { 1.0 - win };
        }
    }
    let given = pairs.len() as f64 - card.abstained;
    card.abstained /= (pairs.len() as f64).max(1.0);
    for share in [
        &mut card.accuracy,
        &mut card.order_flips,
        &mut card.p_shown_first,
    ] {
        *share /= given.max(1.0);
    }
    card.p_longer /= f64::max(uneven, 1.0);
    Ok(card)
}

fn turn(pair: &Pair, turned: bool) -> Pair {
    let mut pair = pair.clone();
    if turned {
        std::mem::swap(&mut pair.first, &mut pair.second);
    }
    pair
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::{Item, Verdict};

    /// Always prefers what is shown first.
    struct First;

    impl Judge for First {
        fn name(&self) -> String {
            "first".into()
        }

        fn score(&self, items: &[Item]) -> Result<Vec<Option<f64>>> {
            Ok(vec![None; items.len()])
        }

        fn compare(&self, pairs: &[Pair]) -> Result<Vec<Verdict>> {
            Ok(vec![Verdict::of_orders(Some(0.9), Some(0.1)); pairs.len()])
        }
    }

    #[test]
    fn a_judge_that_likes_the_first_is_found_out() {
        let pair = Pair {
            prompt: "p".into(),
            first: "long".into(),
            second: "s".into(),
        };
        let card = card(&First, &[pair.clone(), pair]).unwrap();
        assert_eq!(
            (card.accuracy, card.order_flips, card.abstained),
            (0.5, 1.0, 0.0)
        );
        assert!((card.p_shown_first - 0.9).abs() < 1e-12);
    }
}
