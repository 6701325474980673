//! Keys and values of the past in states of iOS 18, `[layers, 1, heads, context, head_dim]`, as Apple's stateful
//! Llama and Mistral keep them.

use super::frame::Span;
use crate::convert::builder::{Builder, In, Var};
use crate::diag::Result;
use crate::mil::{Dim, Type};
use crate::numeric::DType;

/// The states, and what parts of them a call writes and sees.
pub(super) struct Cache {
    keys: Var,
    values: Var,
}

/// What Core ML keeps states in.
pub(super) const STATE: DType = DType::Fp16;

impl Cache {
    /// Declares the states, of `shape`.
    pub fn declare(b: &mut Builder, shape: &[usize]) -> Self {
        let state = || Type::State(Box::new(Type::tensor(STATE, shape)));
        Self {
            keys: b.input("keyCache", state()),
            values: b.input("valueCache", state()),
        }
    }

    /// Puts the keys and values of new positions, `[1, heads, length, head_dim]`, into layer `i`; gives
    /// those of all positions so far, `[1, heads, end, head_dim]`.
    pub fn extend(
        &self,
        b: &mut Builder,
        i: usize,
        span: &Span,
        [k, v]: [&Var; 2],
    ) -> Result<[Var; 2]> {
        let layer = |n: usize| In::Int(n as i64);
        let zero = || In::Int(0);
        let first = match &span.begin {
            Some(begin) => In::Var(begin),
            None => In::Int(0),
        };
        let begin = [layer(i), zero(), zero(), first, zero()];
        let begin = b.shape(&format!("layer_{i}_begin"), &begin)?;
        let end = [layer(i + 1), zero(), zero(), span.end.part(), zero()];
        let end = b.shape(&format!("layer_{i}_end"), &end)?;
        let place = Place {
            layer: i,
            begin,
            end,
            seen: span.end.dim(),
        };
        Ok([
            place.extend(b, &self.keys, k)?,
            place.extend(b, &self.values, v)?,
        ])
    }
}

/// Where a layer's new entries go.
struct Place {
    layer: usize,
    begin: Var,
    end: Var,
    seen: Dim,
}

impl Place {
    fn extend(&self, b: &mut Builder, state: &Var, new: &Var) -> Result<Var> {
        let label = format!("layer_{}_{}", self.layer, state.name);
        let whole = Type::Tensor {
            dtype: STATE,
            dims: state.dims().to_vec(),
        };
        let before = [("input", In::Var(state))];
        let before = b.op(
            "read_state",
            &format!("{label}_before"),
            whole.clone(),
            &before,
        )?;
        let narrow = b.cast(&format!("{label}_narrow"), new, STATE)?;
        let mut dims = new.dims().to_vec();
        dims.insert(0, Dim::Fixed(1));
        let one = Type::Tensor { dtype: STATE, dims };
        let inputs = [("x", In::Var(&narrow)), ("axes", In::Ints(&[0]))];
        let update = b.op("expand_dims", &format!("{label}_new"), one, &inputs)?;
        let inputs = [
            ("x", In::Var(&before)),
            ("update", In::Var(&update)),
            ("begin", In::Var(&self.begin)),
            ("end", In::Var(&self.end)),
            ("stride", In::Ints(&[1; 5])),
            ("begin_mask", In::Bools(&[false, true, true, false, true])),
            ("end_mask", In::Bools(&[false, true, true, false, true])),
            ("squeeze_mask", In::Bools(&[false; 5])),
        ];
        let name = format!("{label}_updated");
        let updated = b.op("slice_update", &name, whole.clone(), &inputs)?;
        let write = [("input", In::Var(state)), ("data", In::Var(&updated))];
        b.op_many("write_state", &format!("{label}_write"), Vec::new(), &write)?;
        let after = [("input", In::Var(state))];
        let after = b.op("read_state", &format!("{label}_after"), whole, &after)?;
        self.seen(b, &label, &after, new)
    }

    /// The layer's entries so far, in the type of the new ones.
    fn seen(&self, b: &mut Builder, label: &str, state: &Var, new: &Var) -> Result<Var> {
        let mut dims = new.dims().to_vec();
        dims[2] = self.seen;
        let ty = Type::Tensor { dtype: STATE, dims };
        let inputs = [
            ("x", In::Var(state)),
            ("begin", In::Ints(&[self.layer as i64, 0, 0, 0, 0])),
            ("end", In::Var(&self.end)),
            ("begin_mask", In::Bools(&[false, true, true, true, true])),
            ("end_mask", In::Bools(&[false, true, true, false, true])),
            (
                "squeeze_mask",
                In::Bools(&[true, false, false, false, false]),
            ),
        ];
        let seen = b.op("slice_by_index", &format!("{label}_seen"), ty, &inputs)?;
        b.cast(&format!("{label}_wide"), &seen, new.dtype())
    }
}
