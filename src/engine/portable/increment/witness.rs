//! Shows that a program's mask hides later positions, whatever the scores are.
//!
//! Where queries meet keys, the unknown scores are replaced by the worst there could be: +[`WORST`] for
//! every later position and −[`WORST`] for the others, and the other way round (an operation between may
//! turn the sign). They go through the same operations as the scores. What a softmax then gives to later
//! positions must vanish, and stay 0 until the weights meet the values.

use std::collections::BTreeMap;

use candle_core::{DType as Candle, Device, Tensor};

use super::sight::{Operand, Sight};
use super::way::{Feed, Origin, Proof, Tag, Way};
use crate::diag::Result;
use crate::engine::portable::call::Arg;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::plan::Step;
use crate::engine::portable::value::Value;
use crate::fail;

/// No score is larger, before what a program divides them by. A mask of −10⁴ hides such scores, once
/// they are divided by √(head size); one of −1000 does not.
const WORST: f64 = 4000.0;

/// exp(−110) is 0 in f32, and 1e-48 of a sum that is at least 1 in f64.
const VANISHES: f64 = 110.0;

/// Worst scores by the slot that holds them, one for each sign.
#[derive(Default)]
pub struct Witnesses {
    scores: BTreeMap<usize, Vec<Tensor>>,
}

impl Witnesses {
    /// Follows the worst scores through a step, and fails where they show later positions.
    pub fn follow<'a>(
        &mut self,
        sight: &Sight,
        way: &Way,
        step: &'a Step,
        ctx: &mut Ctx<'a>,
    ) -> Result<()> {
        let scores = match (way.proof, way.tags.first()) {
            (Proof::None, _) => return Ok(()),
            (Proof::Masks, _) => return masked(sight, ctx),
            (Proof::Starts, Some(Tag::Scores { row, key })) => {
                let rank = (*row).max(*key) + 1;
                let rank = rank.max(rank_of(step));
                worst(rank, (*row, *key), sight.capacity, ctx.scope.float)?
            }
            (Proof::Normalises, _) => {
                for (scores, (row, key)) in self.of(sight)? {
                    hidden(&scores, row, key)?;
                }
                self.carried(sight, way, step, ctx)?
            }
            (Proof::Weighs, _) => {
                for (weights, (row, key)) in self.of(sight)? {
                    zero(&weights, row, key)?;
                }
                return Ok(());
            }
            _ => self.carried(sight, way, step, ctx)?,
        };
        for slot in &step.outputs {
            self.scores.insert(*slot, scores.clone());
        }
        Ok(())
    }

    /// The worst scores among a step's arguments, with their axes.
    fn of(&self, sight: &Sight) -> Result<Vec<(Tensor, (usize, usize))>> {
        let mut found = Vec::new();
        for operand in sight.operands() {
            if let Tag::Scores { row, key } = operand.tag {
                let both = self.signs(operand)?.iter();
                found.extend(both.map(|t| (t.clone(), (row, key))));
            }
        }
        Ok(found)
    }

    fn signs(&self, operand: &Operand) -> Result<&[Tensor]> {
        let known = match operand.origin {
            Origin::Slot(slot) => self.scores.get(&slot),
            Origin::Literal(_) => None,
        };
        match known {
            Some(signs) => Ok(signs),
            None => fail!("makes attention scores in a way that can't be followed"),
        }
    }

    /// What the step makes of the worst scores. Everything else that depends on tokens counts as 1.
    fn carried<'a>(
        &self,
        sight: &Sight,
        way: &Way,
        step: &'a Step,
        ctx: &mut Ctx<'a>,
    ) -> Result<Vec<Tensor>> {
        // An operation on the shape wants it whole; entry by entry, extents of 1 do.
        let whole = way.each().any(|feed| matches!(feed, Feed::Ints { .. }));
        let mut made = Vec::new();
        for sign in 0..2 {
            let mut args = Vec::with_capacity(sight.args.len());
            for (name, several, operands) in &sight.args {
                let stand_in = |operand: &Operand| self.stand_in(operand, sign, whole);
                let mut values: Vec<Value> =
                    operands.iter().map(stand_in).collect::<Result<_>>()?;
                let arg = match several {
                    true => Arg::Many(values),
                    false => Arg::One(values.remove(0)),
                };
                args.push((*name, arg));
            }
            let results = ctx.results(step, args)?;
            let [result] = results.as_slice() else {
                fail!("makes several things of attention scores");
            };
            made.push(result.tensor()?.clone());
        }
        Ok(made)
    }

    fn stand_in(&self, operand: &Operand, sign: usize, whole: bool) -> Result<Value> {
        if let Some(value) = &operand.value {
            return Ok(value.clone());
        }
        if let Tag::Rows { .. } = operand.tag {
            let ones = vec![1; operand.shape.len()];
            return Ok(Tensor::ones(ones, Candle::F32, &Device::Cpu)?.into());
        }
        let scores = &self.signs(operand)?[sign];
        Ok(match whole {
            true => scores.broadcast_as(operand.shape.as_slice())?.into(),
            false => scores.clone().into(),
        })
    }
}

/// The rank that a step's first result is declared with.
fn rank_of(step: &Step) -> usize {
    let declared = step.types.first().and_then(|ty| ty.dims());
    declared.map_or(0, <[_]>::len)
}

/// The worst scores of either sign: of full length at the two axes, of extent 1 elsewhere.
fn worst(rank: usize, (row, key): (usize, usize), n: usize, float: Candle) -> Result<Vec<Tensor>> {
    let mut shape = vec![1; rank];
    (shape[row], shape[key]) = (n, n);
    let later = |i: usize| match row < key {
        true => i % n > i / n,
        false => i / n > i % n,
    };
    let signs = [WORST, -WORST].map(|sign| -> Result<Tensor> {
        let scores = (0..n * n).map(|i| if later(i) { sign } else { -sign });
        let scores =
            Tensor::from_vec(scores.collect::<Vec<f64>>(), shape.as_slice(), &Device::Cpu)?;
        Ok(scores.to_dtype(float)?)
    });
    signs.into_iter().collect()
}

/// Attention that masks its scores itself.
fn masked(sight: &Sight, ctx: &Ctx) -> Result<()> {
    let mask = sight.operand("attn_mask")?;
    let Some(value) = &mask.value else {
        fail!("makes its mask of the tokens");
    };
    let mask = value.tensor()?;
    let rank = mask.rank().max(2);
    let (row, key) = (rank - 2, rank - 1);
    let mask = match mask.dtype().is_float() {
        true => mask.clone(),
        false => {
            let hidden = Tensor::full(f32::NEG_INFINITY, mask.shape(), &Device::Cpu)?;
            let shown = Tensor::zeros(mask.shape(), Candle::F32, &Device::Cpu)?;
            mask.to_dtype(Candle::U8)?.where_cond(&shown, &hidden)?
        }
    };
    for scores in worst(rank, (row, key), sight.capacity, ctx.scope.float)? {
        let mask = mask.to_dtype(scores.dtype())?.to_device(&Device::Cpu)?;
        hidden(&scores.broadcast_add(&mask)?, row, key)?;
    }
    Ok(())
}

/// Fails unless a softmax over `key` gives nothing to positions after `row`.
fn hidden(scores: &Tensor, row: usize, key: usize) -> Result<()> {
    each_row(scores, row, key, |own, later| {
        let best = own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let shown = later.iter().any(|s| s.is_nan() || *s > best - VANISHES);
        if shown || !best.is_finite() {
            fail!("has no mask that hides later positions from earlier ones");
        }
        Ok(())
    })
}

/// Fails unless every weight of a position after `row` is 0.
fn zero(weights: &Tensor, row: usize, key: usize) -> Result<()> {
    each_row(weights, row, key, |_, later| {
        match later.iter().all(|w| w.abs() < 1e-40) {
            true => Ok(()),
            false => fail!("uses weights of attention that let positions see later ones"),
        }
    })
}

/// Tells `check` of each row its entries up to the diagonal, and those behind it.
fn each_row(
    scores: &Tensor,
    row: usize,
    key: usize,
    check: impl Fn(&[f64], &[f64]) -> Result<()>,
) -> Result<()> {
    let n = scores.dim(key)?;
    if scores.dim(row)? != n {
        fail!("has a mask that is the same for all positions");
    }
    let mut order: Vec<usize> = (0..scores.rank())
        .filter(|a| *a != row && *a != key)
        .collect();
    order.extend([row, key]);
    let entries = scores
        .permute(order)?
        .flatten_all()?
        .to_dtype(Candle::F64)?;
    for (i, entries) in entries.to_vec1::<f64>()?.chunks_exact(n).enumerate() {
        let (own, later) = entries.split_at(i % n + 1);
        check(own, later)?;
    }
    Ok(())
}
