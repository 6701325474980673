//! Inputs beside the tokens: positions and masks, as a causal model wants them for the tokens of one call.
//! Padding stands on the right, where no token that counts can see it.

use std::ops::Range;

use super::extents::{Bounds, bounds};
use crate::diag::{Error, Result};
use crate::fail;
use crate::numeric::{Array, DType};
use crate::package::{Feature, FeatureKind};

/// Where the tokens of a call stand in their sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub rows: usize,
    /// Tokens of each sequence that earlier calls took.
    pub done: usize,
    /// Tokens of this call, its padding included.
    pub new: usize,
    /// The same without the padding.
    pub real: usize,
    /// Entries of the cache before those of this call's tokens, as masks count them.
    pub before: usize,
    /// Which of these belong to the sequence.
    pub seen: Range<usize>,
}

impl Span {
    /// Whole rows, from their first token on.
    pub fn whole(rows: usize, length: usize) -> Self {
        Self {
            rows,
            done: 0,
            new: length,
            real: length,
            before: 0,
            seen: 0..0,
        }
    }

    /// One sequence's tokens, `done` of which stand in a cache in their order.
    pub fn after(done: usize, new: usize, real: usize) -> Self {
        Self {
            rows: 1,
            done,
            new,
            real,
            before: done,
            seen: 0..done,
        }
    }

    /// Whether the `i`-th token of the call may look at the `key`-th entry, at most `window` back.
    fn sees(&self, i: usize, key: usize, window: usize) -> bool {
        let at = match key.checked_sub(self.before) {
            Some(new) => self.done + new,
            None if self.seen.contains(&key) => key - self.seen.start,
            None => return false,
        };
        at <= self.done + i && at + window > self.done + i
    }
}

/// What an input beside the tokens is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// 1 for every token so far, `[batch, entries]`.
    Ones,
    /// 0 for every token.
    Zeros,
    /// done, done + 1, …, `[batch, new]`; or the first of them alone.
    Positions,
    /// How many tokens there are after the call.
    End,
    /// 1 at the entries that the call's tokens are written to, 0 elsewhere.
    Written,
    /// Which entries (columns) a token (row) may look at, `[…, new, entries]`: all earlier ones, or those
    /// less than `window` before.
    Causal { window: usize },
}

/// Low enough to hide what it is added to, and finite in fp16.
const HIDDEN: f64 = -30_000.0;

/// Words in the names of inputs that count the tokens before the call, or after it.
const STARTS: [&str; 6] = ["past", "offset", "start", "current", "seen", "write"];
const ENDS: [&str; 5] = ["end", "total", "full", "seq", "len"];

/// An input beside the tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Companion {
    pub name: String,
    fill: Fill,
    dtype: DType,
    bounds: Vec<Bounds>,
}

impl Companion {
    /// Recognises an input by its name, type and rank. `window` is what the bundle says of sliding
    /// attention.
    pub fn of(feature: &Feature, window: Option<usize>) -> Result<Self> {
        let FeatureKind::Array { dtype, .. } = &feature.kind else {
            fail!("don't know what to give input \"{}\"", feature.name);
        };
        let bounds = bounds(feature)?;
        let fill = match fill(feature, *dtype, bounds.len()) {
            Some(Fill::Causal { .. }) if feature.name.to_lowercase().contains("sliding") => {
                let Some(window) = window else {
                    let message = format!("input \"{}\" needs a window's size", feature.name);
                    return Err(Error::new(message).hint(
                        "the bundle's metadata tells it as co.huggingface.exporters.sliding_window",
                    ));
                };
                Fill::Causal { window }
            }
            Some(fill) => fill,
            None => fail!("don't know what to give input \"{}\"", feature.name),
        };
        Ok(Self {
            name: feature.name.clone(),
            fill,
            dtype: *dtype,
            bounds,
        })
    }

    /// The most entries that its masks speak of, if it is one of those.
    pub fn entries(&self) -> Option<&Bounds> {
        match self.fill {
            Fill::Ones | Fill::Causal { .. } => self.bounds.last(),
            Fill::Written => self.bounds.iter().max_by_key(|b| b.most),
            _ => None,
        }
    }

    /// Whether it tells the program which positions its tokens have.
    pub fn places(&self) -> bool {
        matches!(self.fill, Fill::Positions | Fill::End | Fill::Written)
    }

    /// The input for a call.
    pub fn array(&self, span: &Span) -> Result<Array> {
        let entries = span.before + span.new;
        let tail = match self.fill {
            Fill::Causal { .. } => vec![span.new, entries],
            Fill::Ones => vec![entries],
            Fill::Positions | Fill::Zeros => vec![span.new],
            Fill::End => vec![1],
            Fill::Written => vec![entries, 1],
        };
        let rank = self.bounds.len();
        let tail = &tail[tail.len().saturating_sub(rank)..];
        let mut shape = vec![1; rank - tail.len()];
        if let Some(first) = shape.first_mut() {
            *first = span.rows;
        }
        shape.extend(tail);
        for (extent, bounds) in shape.iter_mut().zip(&self.bounds) {
            *extent = bounds.nearest(*extent);
        }
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|i| self.value(i, &shape, span)).collect();
        if self.dtype.is_float() {
            return Array::from_f64s(self.dtype, shape, &values);
        }
        let values: Vec<i64> = values.into_iter().map(|v| v as i64).collect();
        Array::from_i64s(self.dtype, shape, &values)
    }

    /// The `i`-th element of an array of `shape`.
    fn value(&self, i: usize, shape: &[usize], span: &Span) -> f64 {
        let column = i % shape.last().copied().unwrap_or(1).max(1);
        let flag = |set: bool| f64::from(u8::from(set));
        match self.fill {
            Fill::Zeros => 0.0,
            Fill::Ones => flag(match column.checked_sub(span.before) {
                Some(new) => new < span.real,
                None => span.seen.contains(&column),
            }),
            Fill::Positions => (span.done + column) as f64,
            Fill::End => (span.done + span.real) as f64,
            Fill::Written => {
                let places = shape.iter().product::<usize>() / shape.first().copied().unwrap_or(1);
                let place = i % places.max(1);
                flag((span.before..span.before + span.real).contains(&place))
            }
            Fill::Causal { window } => {
                let [.., rows, columns] = *shape else {
                    return 0.0;
                };
                // A mask of one row for several tokens tells which entries there are.
                let row = match rows {
                    1 => span.new - 1,
                    _ => i / columns % rows,
                };
                let sees = span.sees(row, column, window);
                match self.dtype.is_float() {
                    true => flag(!sees) * HIDDEN,
                    false => flag(sees),
                }
            }
        }
    }
}

/// What an input of this name, type and rank is.
fn fill(feature: &Feature, dtype: DType, rank: usize) -> Option<Fill> {
    let name = feature.name.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match rank {
        _ if has(&["mask"]) && has(&["update", "write"]) => Some(Fill::Written),
        2.. if has(&["mask"]) && (rank > 2 || has(&["causal"])) => Some(Fill::Causal {
            window: usize::MAX / 2,
        }),
        1 | 2 if has(&["mask"]) => Some(Fill::Ones),
        1 | 2 if !dtype.is_int() => None,
        1 | 2 if has(&["token_type", "tokentype", "segment"]) => Some(Fill::Zeros),
        1 | 2 if has(&["pos"]) || has(&STARTS) => Some(Fill::Positions),
        1 | 2 if has(&ENDS) => Some(Fill::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Flexibility;

    /// An input whose extents above 1 may be anything up to them, or are those.
    fn companion(name: &str, dtype: DType, shape: &[usize], ranged: bool) -> Result<Companion> {
        let ranges = shape.iter().map(|n| (1, Some(*n))).collect();
        let kind = FeatureKind::Array {
            dtype,
            shape: shape.to_vec(),
            flexibility: match ranged {
                true => Flexibility::Ranges(ranges),
                false => Flexibility::Fixed,
            },
            default: None,
        };
        let feature = Feature::array(name, dtype, shape);
        Companion::of(&Feature { kind, ..feature }, None)
    }

    const H: f64 = HIDDEN;

    #[test]
    fn inputs_are_known_by_name_type_and_rank() {
        let check = |name, dtype, shape: &[usize], expected: &[f64]| {
            let companion = companion(name, dtype, shape, true).unwrap();
            let array = companion.array(&Span::whole(1, 2)).unwrap();
            assert_eq!(array.to_f64s(), expected, "{name}");
            assert_eq!((array.shape().len(), array.dtype()), (shape.len(), dtype));
        };
        check("attention_mask", DType::Int32, &[1, 8], &[1.0, 1.0]);
        check("mask", DType::Fp16, &[8], &[1.0, 1.0]);
        check("position_ids", DType::Int32, &[1, 8], &[0.0, 1.0]);
        check("token_type_ids", DType::Int32, &[1, 8], &[0.0, 0.0]);
        check("seq_len", DType::Int32, &[1], &[2.0]);
        check("causalMask", DType::Fp32, &[8, 8], &[0.0, H, 0.0, 0.0]);
        let causal = [0.0, H, 0.0, 0.0];
        check("attention_mask", DType::Fp32, &[1, 1, 8, 8], &causal);
        let flags = [1.0, 0.0, 1.0, 1.0];
        check("attention_mask", DType::Int32, &[1, 1, 8, 8], &flags);
        for (name, dtype) in [("labels", DType::Int32), ("position_ids", DType::Fp32)] {
            let error = companion(name, dtype, &[1, 8], true).unwrap_err();
            assert!(
                error.to_string().contains("don't know what to give"),
                "{error}"
            );
        }
        let error = companion("slidingMask", DType::Fp16, &[1, 1, 8, 8], true).unwrap_err();
        assert!(error.to_string().contains("a window's size"), "{error}");
    }

    /// Two tokens of three that a call takes, after two others.
    #[test]
    fn later_calls_know_where_they_stand() {
        let check = |name, dtype, shape: &[usize], ranged, span: &Span, expected: &[f64]| {
            let companion = companion(name, dtype, shape, ranged).unwrap();
            assert_eq!(
                companion.array(span).unwrap().to_f64s(),
                expected,
                "{name} {shape:?}"
            );
        };
        let (int, float) = (DType::Int32, DType::Fp32);
        let span = Span::after(2, 3, 2);
        check("position_ids", int, &[3], false, &span, &[2.0, 3.0, 4.0]);
        check("current_pos", int, &[1], false, &span, &[2.0]);
        check("total_length", int, &[1], false, &span, &[4.0]);
        let ones = [1.0, 1.0, 1.0, 1.0, 0.0];
        check("attention_mask", int, &[1, 8], true, &span, &ones);
        let six = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        check("update_mask", float, &[1, 1, 6, 1], false, &span, &six);
        let rows = [
            [0.0, 0.0, 0.0, H, H, H],
            [0.0, 0.0, 0.0, 0.0, H, H],
            [0.0, 0.0, 0.0, 0.0, 0.0, H],
        ];
        check(
            "causal_mask",
            float,
            &[1, 1, 3, 6],
            false,
            &span,
            rows.as_flattened(),
        );
        // A cache of four before the new ones, at its left and at its right.
        let single = |seen| Span {
            before: 4,
            seen,
            ..Span::after(2, 1, 1)
        };
        let shape = [1, 1, 1, 5];
        let left = [0.0, 0.0, H, H, 0.0];
        check("causal_mask", float, &shape, false, &single(0..2), &left);
        let right = [H, H, 0.0, 0.0, 0.0];
        check("causal_mask", float, &shape, false, &single(2..4), &right);
    }

    #[test]
    fn sliding_masks_hide_what_is_far() {
        let feature = Feature::array("slidingAttentionMask", DType::Fp32, &[1, 1, 2, 5]);
        let companion = Companion::of(&feature, Some(2)).unwrap();
        let array = companion.array(&Span::after(3, 2, 2)).unwrap();
        assert_eq!(array.to_f64s(), [H, H, 0.0, 0.0, H, H, H, H, 0.0, 0.0]);
    }
}
