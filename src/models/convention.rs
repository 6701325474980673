//! How a program wants its tokens and gives its logits: names, ranks, fixed and flexible extents.
//!
//! The stateless convention: integer `input_ids` `[batch, length]` (or `[length]`), perhaps masks and
//! positions beside them, and float logits for every position `[batch, length, vocab]` or for the last
//! one.

use super::companions::Companion;
use crate::diag::{Error, Result};
use crate::engine::Features;
use crate::fail;
use crate::numeric::{Array, DType};
use crate::package::{Feature, FeatureKind, Flexibility, FunctionDescription};

/// What a causal language model's function looks like from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Convention {
    /// Name of the token input.
    pub ids: String,
    /// Whether that input has a batch extent.
    pub batched: bool,
    /// Rows that one call takes, at least and at most.
    pub batch: (usize, usize),
    /// The one length it takes, if fixed.
    pub length_fixed: Option<usize>,
    pub length_max: usize,
    /// Inputs beside the tokens: masks and positions.
    pub companions: Vec<Companion>,
    /// Name of the logits output.
    pub logits: String,
}

/// What an unbounded length is taken for.
const UNBOUNDED: usize = 1 << 20;

impl Convention {
    /// Recognises the convention of a function, or says why it is none.
    pub fn of(function: &FunctionDescription) -> Result<Self> {
        if let Some(state) = function.states.first() {
            let message = format!("the function keeps a state (\"{}\")", state.name);
            return Err(Error::new(message).hint(
                "stateful models predict with `predict`; decoding needs a stateless function",
            ));
        }
        let ids = token_input(function)?;
        let bounds = extents(ids)?;
        let others = function.inputs.iter();
        let others = others.filter(|f| f.name != ids.name && !f.optional);
        let companions = others.map(Companion::of).collect::<Result<_>>()?;
        let (batched, length) = match bounds.as_slice() {
            [length] => (false, *length),
            [_, length] => (true, *length),
            _ => fail!(
                "input \"{}\" has shape {}, expected [batch, length]",
                ids.name,
                ids.shapes()
            ),
        };
        let (fewest, most) = if batched { bounds[0] } else { (1, 1) };
        Ok(Self {
            ids: ids.name.clone(),
            batched,
            batch: (fewest.max(1), most.max(1)),
            length_fixed: (length.0 == length.1).then_some(length.1),
            length_max: length.1,
            companions,
            logits: logits_output(function)?,
        })
    }

    /// The rows in portions that are run in one pass.
    pub fn batches<'r, 'i>(&self, rows: &'r [&'i [u32]]) -> impl Iterator<Item = &'r [&'i [u32]]> {
        let longest = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        let length = self.length_fixed.unwrap_or(longest).max(1);
        let fitting = (TOKENS_MAX / length).min(BATCH_MAX);
        rows.chunks(fitting.max(self.batch.0))
    }

    /// Rows of ids as calls of the model, padded on the right to a common or the fixed length. Where one
    /// call does not take all rows, several share them evenly; the last is filled up with rows of zeros.
    pub fn calls(&self, rows: &[&[u32]]) -> Result<Calls> {
        let longest = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        if longest == 0 || longest > self.length_max {
            fail!(
                "a row has {longest} tokens; the model takes 1 to {}",
                self.length_max
            );
        }
        let length = self.length_fixed.unwrap_or(longest);
        let (fewest, most) = self.batch;
        let count = rows.len().div_ceil(most);
        let each = rows.len().div_ceil(count).max(fewest);
        let inputs = rows
            .chunks(each)
            .map(|part| self.inputs(part, each, length));
        Ok(Calls {
            rows: each,
            length,
            inputs: inputs.collect::<Result<_>>()?,
        })
    }

    /// The inputs of one call that takes `count` rows of `length` tokens.
    fn inputs(&self, rows: &[&[u32]], count: usize, length: usize) -> Result<Features> {
        let empty: &[u32] = &[];
        let rows = rows.iter().copied().chain(std::iter::repeat(empty));
        let padded = |row: &[u32]| {
            let ids = row.iter().map(|id| i64::from(*id));
            ids.chain(std::iter::repeat(0))
                .take(length)
                .collect::<Vec<_>>()
        };
        let ids: Vec<i64> = rows.take(count).flat_map(padded).collect();
        let shape = match self.batched {
            true => vec![count, length],
            false => vec![length],
        };
        let mut inputs = Features::new();
        for companion in &self.companions {
            let array = companion.array(count, length)?;
            inputs.insert(companion.name.clone(), array);
        }
        inputs.insert(
            self.ids.clone(),
            Array::from_i64s(DType::Int32, shape, &ids)?,
        );
        Ok(inputs)
    }
}

/// Rows as calls of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// Rows in each call.
    pub rows: usize,
    /// Tokens in each row, the padding included.
    pub length: usize,
    pub inputs: Vec<Features>,
}

/// Rows run together at most, so that memory stays bounded whatever is asked.
const BATCH_MAX: usize = 64;

/// Tokens run together at most: more of them make a matrix product no faster.
const TOKENS_MAX: usize = 2048;

fn token_input(function: &FunctionDescription) -> Result<&Feature> {
    let ints: Vec<&Feature> = function
        .inputs
        .iter()
        .filter(|f| matches!(&f.kind, FeatureKind::Array { dtype, .. } if dtype.is_int()))
        .collect();
    let named = ["input_ids", "inputIds", "tokens", "ids"];
    let by_name = ints.iter().find(|f| named.contains(&f.name.as_str()));
    match (by_name, ints.as_slice()) {
        (Some(feature), _) => Ok(feature),
        (None, [only]) => Ok(only),
        _ => {
            let names: Vec<&str> = function.inputs.iter().map(|f| f.name.as_str()).collect();
            Err(Error::new(format!("no token input among {names:?}"))
                .hint("a language model takes integers called \"input_ids\""))
        }
    }
}

/// Lower and upper bound of each extent.
fn extents(feature: &Feature) -> Result<Vec<(usize, usize)>> {
    let FeatureKind::Array {
        shape, flexibility, ..
    } = &feature.kind
    else {
        fail!("input \"{}\" is not an array", feature.name);
    };
    let bounds = match flexibility {
        Flexibility::Fixed => shape.iter().map(|n| (*n, *n)).collect(),
        Flexibility::Ranges(ranges) => ranges
            .iter()
            .map(|(low, high)| (*low, high.unwrap_or(UNBOUNDED)))
            .collect(),
        Flexibility::Enumerated(shapes) => {
            let extent = |i: usize| shapes.iter().filter_map(move |s| s.get(i).copied());
            let bound = |i| (extent(i).max().unwrap_or(1), extent(i).max().unwrap_or(1));
            (0..shape.len()).map(bound).collect()
        }
    };
    Ok(bounds)
}

fn logits_output(function: &FunctionDescription) -> Result<String> {
    let float = |dtype: &DType| dtype.is_float();
    let outputs: Vec<&Feature> = function
        .outputs
        .iter()
        .filter(|f| matches!(&f.kind, FeatureKind::Array { dtype, .. } if float(dtype)))
        .collect();
    match (
        outputs.iter().find(|f| f.name == "logits"),
        outputs.as_slice(),
    ) {
        (Some(logits), _) => Ok(logits.name.clone()),
        (None, [only]) => Ok(only.name.clone()),
        _ => {
            let names: Vec<&str> = function.outputs.iter().map(|f| f.name.as_str()).collect();
            fail!("no output \"logits\" among {names:?}")
        }
    }
}
