//! What programs tell of a whole text: classes, or an embedding.

use super::writer::Writer;
use super::{Head, Linear, Pool};
use crate::convert::builder::{In, Var};
use crate::diag::Result;
use crate::fail;
use crate::mil::{Dim, Type};
use crate::numeric::{Array, DType};

impl Writer<'_, '_> {
    /// The outputs of `head`, of the last hidden states `x` `[batch, length, hidden]`; `counts` is 1 for tokens
    /// that count.
    pub(super) fn whole_text(&mut self, head: &Head, x: &Var, counts: &Var) -> Result<Vec<Var>> {
        match head {
            Head::Tokens { .. } => fail!("logits of tokens are not of a whole text"),
            Head::Hidden => {
                let states = self.b.identity("last_hidden_state", x)?;
                let embedding = self.pooled("embedding", Pool::Mean, &states, counts)?;
                Ok(vec![states, embedding])
            }
            Head::Classes {
                pool,
                dense,
                norm,
                linear,
            } => {
                let mut one = self.pooled("pooled", *pool, x, counts)?;
                if let Some((dense, activation)) = dense {
                    let y = self.linear(dense, &one)?;
                    one = self.activation(*activation, "pooled", &y)?;
                }
                if let Some(norm) = norm {
                    one = self.norm(norm, &one, self.dtype())?;
                }
                Ok(vec![self.classes(linear, &one)?])
            }
        }
    }

    fn classes(&mut self, linear: &Linear, x: &Var) -> Result<Var> {
        self.linear_named("logits", linear, x)
    }

    /// `[batch, hidden]` of `[batch, length, hidden]`.
    fn pooled(&mut self, name: &str, pool: Pool, x: &Var, counts: &Var) -> Result<Var> {
        let dims = [x.dims()[0], x.dims()[2]];
        let ty = self.tensor(&dims);
        if pool == Pool::First {
            let inputs = [
                ("x", In::Var(x)),
                ("begin", In::Ints(&[0, 0, 0])),
                ("end", In::Ints(&[0, 1, 0])),
                ("begin_mask", In::Bools(&[true, false, true])),
                ("end_mask", In::Bools(&[true, false, true])),
                ("squeeze_mask", In::Bools(&[false, true, false])),
            ];
            return self.b.op("slice_by_index", name, ty, &inputs);
        }
        let shares = self.shares(pool, counts)?;
        let row = [shares.dims()[0], Dim::Fixed(1), shares.dims()[1]];
        let inputs = [("x", In::Var(&shares)), ("axes", In::Ints(&[1]))];
        let row = self.tensor(&row);
        let row = self
            .b
            .op("expand_dims", &format!("{name}_shares"), row, &inputs)?;
        let product = [
            ("x", In::Var(&row)),
            ("y", In::Var(x)),
            ("transpose_x", In::Bool(false)),
            ("transpose_y", In::Bool(false)),
        ];
        let flat = self.tensor(&[dims[0], Dim::Fixed(1), dims[1]]);
        let sum = self
            .b
            .op("matmul", &format!("{name}_sum"), flat, &product)?;
        let inputs = [("x", In::Var(&sum)), ("axes", In::Ints(&[1]))];
        self.b.op("squeeze", name, ty, &inputs)
    }

    /// How much of the result each position makes, `[batch, length]`.
    fn shares(&mut self, pool: Pool, counts: &Var) -> Result<Var> {
        let one = |dtype| Type::Tensor {
            dtype,
            dims: vec![counts.dims()[0], Dim::Fixed(1)],
        };
        let total = |x| {
            [
                ("x", In::Var(x)),
                ("axes", In::Ints(&[1])),
                ("keep_dims", In::Bool(true)),
            ]
        };
        let dtype = self.dtype();
        if pool == Pool::Mean {
            let counts = self.b.cast("pool_counts", counts, dtype)?;
            let sum = self
                .b
                .op("reduce_sum", "pool_total", one(dtype), &total(&counts))?;
            return self
                .b
                .binary("real_div", "pool_mean", &counts, In::Var(&sum));
        }
        let sum = self.b.op(
            "reduce_sum",
            "pool_total",
            one(DType::Int32),
            &total(counts),
        )?;
        let numbers: Vec<i32> = (1..=self.layout.context as i32).collect();
        let numbers = Array::from_i32(vec![1, numbers.len()], &numbers)?;
        let numbers = self.b.weight("pool_numbers", numbers);
        let span = &self.frame.span;
        let end = self.b.shape("pool_end", &[In::Int(1), span.end.part()])?;
        let dims = [Dim::Fixed(1), span.length.dim()];
        let present =
            super::tables::slice(&mut self.b, "pool_present", &numbers, &(None, end), &dims)?;
        let ty = Type::Tensor {
            dtype: DType::Bool,
            dims: counts.dims().to_vec(),
        };
        let pair = [("x", In::Var(&sum)), ("y", In::Var(&present))];
        let last = self.b.op("equal", "is_last", ty, &pair)?;
        self.b.cast("pool_last", &last, dtype)
    }
}
