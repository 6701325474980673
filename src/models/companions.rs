//! Inputs beside the tokens: positions and masks, as a causal model wants them for rows that start at
//! their first token. Padding stands on the right, where no token that counts can see it.

use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType};
use crate::package::{Feature, FeatureKind, Flexibility};

/// What an input beside the tokens is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// 1 for every token, `[batch, length]`.
    Ones,
    /// 0, 1, 2, …, `[batch, length]`.
    Positions,
    /// 0 where a position (a row) may look, [`HIDDEN`] at later ones, `[…, length, length]`.
    Causal,
}

/// Low enough to hide what it is added to, and finite in fp16.
const HIDDEN: i64 = -30_000;

/// An input beside the tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Companion {
    pub name: String,
    fill: Fill,
    dtype: DType,
    rank: usize,
    /// Whether its first extent follows the number of rows.
    batched: bool,
}

impl Companion {
    /// Recognises an input by its name, type and rank.
    pub fn of(feature: &Feature) -> Result<Self> {
        let FeatureKind::Array {
            dtype,
            shape,
            flexibility,
            ..
        } = &feature.kind
        else {
            fail!("don't know what to give input \"{}\"", feature.name);
        };
        let name = feature.name.to_lowercase();
        let rank = shape.len();
        let fill = match rank {
            1 | 2 if name.contains("position") && dtype.is_int() => Fill::Positions,
            2.. if name.contains("mask") && (rank > 2 || name.contains("causal")) => Fill::Causal,
            1 | 2 if name.contains("mask") => Fill::Ones,
            _ => fail!("don't know what to give input \"{}\"", feature.name),
        };
        if fill == Fill::Causal && !dtype.is_float() {
            fail!(
                "don't know what to give input \"{}\" of {dtype}",
                feature.name
            );
        }
        let batched = match flexibility {
            Flexibility::Fixed => shape.first().is_some_and(|n| *n > 1),
            Flexibility::Ranges(ranges) => ranges.first().is_some_and(|r| r.1 != Some(1)),
            Flexibility::Enumerated(shapes) => shapes.iter().any(|s| s.first() > Some(&1)),
        };
        Ok(Self {
            name: feature.name.clone(),
            fill,
            dtype: *dtype,
            rank,
            batched: batched && rank > 1 + usize::from(fill == Fill::Causal),
        })
    }

    /// The input for `rows` rows of `length` tokens.
    pub fn array(&self, rows: usize, length: usize) -> Result<Array> {
        let tail = match self.fill {
            Fill::Causal => vec![length, length],
            _ => vec![length],
        };
        let mut shape = vec![1; self.rank - tail.len()];
        if let Some(first) = shape.first_mut().filter(|_| self.batched) {
            *first = rows;
        }
        let copies: usize = shape.iter().product();
        let one: Vec<i64> = match self.fill {
            Fill::Ones => vec![1; length],
            Fill::Positions => (0..length as i64).collect(),
            Fill::Causal => {
                let later = |i: usize| i64::from(i % length > i / length);
                (0..length * length).map(|i| later(i) * HIDDEN).collect()
            }
        };
        shape.extend(tail);
        let values = one.repeat(copies);
        if self.dtype.is_float() {
            let values: Vec<f64> = values.into_iter().map(|v| v as f64).collect();
            return Array::from_f64s(self.dtype, shape, &values);
        }
        Array::from_i64s(self.dtype, shape, &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn companion(name: &str, dtype: DType, shape: &[usize]) -> Result<Companion> {
        Companion::of(&Feature {
            name: name.to_owned(),
            description: String::new(),
            optional: false,
            kind: FeatureKind::Array {
                dtype,
                shape: shape.to_vec(),
                flexibility: Flexibility::Ranges(
                    shape
                        .iter()
                        .map(|n| (1, (*n != 1).then_some(64)).max((1, Some(*n))))
                        .collect(),
                ),
                default: None,
            },
        })
    }

    #[test]
    fn inputs_are_known_by_name_type_and_rank() {
        let check = |name, dtype, shape: &[usize], expected: &[f64]| {
            let array = companion(name, dtype, shape).unwrap().array(1, 2).unwrap();
            assert_eq!(array.to_f64s(), expected, "{name}");
            assert_eq!((array.shape().len(), array.dtype()), (shape.len(), dtype));
        };
        check("attention_mask", DType::Int32, &[1, 8], &[1.0, 1.0]);
        check("mask", DType::Fp16, &[8], &[1.0, 1.0]);
        check("position_ids", DType::Int32, &[1, 8], &[0.0, 1.0]);
        let causal = [0.0, HIDDEN as f64, 0.0, 0.0];
        check("causalMask", DType::Fp32, &[8, 8], &causal);
        check("attention_mask", DType::Fp32, &[1, 1, 8, 8], &causal);
        for (name, dtype) in [("labels", DType::Int32), ("position_ids", DType::Fp32)] {
            let error = companion(name, dtype, &[1, 8]).unwrap_err().to_string();
            assert!(error.contains("don't know what to give"), "{error}");
        }
    }
}
