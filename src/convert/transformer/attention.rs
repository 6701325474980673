//! Attention: projections by heads, rotary positions, shared key and value heads.

use super::tables::seen;
use super::writer::Writer;
use super::{Attention, Linear, Norm, QkNorm, QkNormOver, Rope};
use crate::convert::builder::{In, Var};
use crate::diag::Result;
use crate::fail;
use crate::mil::Dim;

impl Writer<'_, '_> {
    /// Attention of layer `i`.
    pub(super) fn attention(&mut self, i: usize, attention: &Attention, x: &Var) -> Result<Var> {
        let label = attention.name.replace('.', "_");
        let norms = attention.qk_norm.as_ref();
        let many = (self.model.heads, self.frame.split_q.clone());
        let few = (self.model.kv_heads, self.frame.split_kv.clone());
        let mut q = self.heads(&attention.q, x, &many, norms.map(|n| (n, &n.q)))?;
        let mut k = self.heads(&attention.k, x, &few, norms.map(|n| (n, &n.k)))?;
        let mut v = self.heads(&attention.v, x, &few, None)?;
        if let Some(rope) = &attention.rope {
            q = self.rotate(&format!("{label}_q"), &q, rope)?;
            k = self.rotate(&format!("{label}_k"), &k, rope)?;
        }
        if let Some(cache) = &self.frame.cache {
            [k, v] = cache.extend(&mut self.b, i, &self.frame.span, [&k, &v])?;
        }
        let k = self.repeat(&format!("{label}_k"), &k)?;
        let v = self.repeat(&format!("{label}_v"), &v)?;
        let attended = self.attend(attention, &label, [&q, &k, &v])?;
        let attended = self
            .b
            .transpose(&format!("{label}_back"), &attended, &[0, 2, 1, 3])?;
        let dims = [
            self.frame.batch.dim(),
            self.frame.span.length.dim(),
            Dim::Fixed(attention.o.inputs),
        ];
        let merged = format!("{label}_merged");
        let merged = self
            .b
            .reshape(&merged, &attended, &self.frame.merge, &dims)?;
        self.linear(&attention.o, &merged)
    }

    /// A projection split into heads: `[batch, heads, length, head_dim]`.
    fn heads(
        &mut self,
        linear: &Linear,
        x: &Var,
        (heads, split): &(usize, Var),
        norm: Option<(&QkNorm, &Norm)>,
    ) -> Result<Var> {
        let label = linear.label().replace('.', "_");
        let mut projected = self.linear(linear, x)?;
        if let Some((
            QkNorm {
                over: QkNormOver::Width,
                ..
            },
            norm,
        )) = norm
        {
            projected = self.norm(norm, &projected, self.dtype())?;
        }
        let dims = [
            self.frame.batch.dim(),
            self.frame.span.length.dim(),
            Dim::Fixed(*heads),
            Dim::Fixed(self.model.head_dim),
        ];
        let mut parts = self
            .b
            .reshape(&format!("{label}_split"), &projected, split, &dims)?;
        if let Some((
            QkNorm {
                over: QkNormOver::Head,
                ..
            },
            norm,
        )) = norm
        {
            parts = self.norm(norm, &parts, self.dtype())?;
        }
        self.b
            .transpose(&format!("{label}_heads"), &parts, &[0, 2, 1, 3])
    }

    /// softmax(scale · q kᵀ + mask) v.
    fn attend(&mut self, attention: &Attention, label: &str, [q, k, v]: [&Var; 3]) -> Result<Var> {
        let window = seen(attention.window, self.layout.context);
        let masks = self.frame.masks.iter();
        let Some((_, mask)) = masks.clone().find(|(known, _)| *known == window) else {
            fail!("there is no mask of the window {window:?}");
        };
        let mask = mask.clone();
        if let Some(cap) = attention.softcap {
            return self.attend_capped((attention.scale, cap), label, [q, k, v], &mask);
        }
        // The operation itself divides by √head_dim.
        let factor = attention.scale * (self.model.head_dim as f64).sqrt();
        let q = match (factor - 1.0).abs() < 1e-9 {
            true => q.clone(),
            false => {
                let name = format!("{label}_q_scaled");
                self.b.binary("mul", &name, q, In::Float(factor))?
            }
        };
        self.b.op(
            "scaled_dot_product_attention",
            &format!("{label}_sdpa"),
            q.ty.clone(),
            &[
                ("query", In::Var(&q)),
                ("key", In::Var(k)),
                ("value", In::Var(v)),
                ("attn_mask", In::Var(&mask)),
            ],
        )
    }

    /// The same with scores kept within ±cap, which the operation of iOS 18 has not.
    fn attend_capped(
        &mut self,
        (scale, cap): (f64, f64),
        label: &str,
        [q, k, v]: [&Var; 3],
        mask: &Var,
    ) -> Result<Var> {
        let q_scaled = format!("{label}_q_scaled");
        let q_scaled = self.b.binary("mul", &q_scaled, q, In::Float(scale))?;
        let mut dims = q.dims().to_vec();
        dims[3] = k.dims()[2];
        let ty = self.tensor(&dims);
        let product = [
            ("x", In::Var(&q_scaled)),
            ("y", In::Var(k)),
            ("transpose_x", In::Bool(false)),
            ("transpose_y", In::Bool(true)),
        ];
        let scores = self
            .b
            .op("matmul", &format!("{label}_scores"), ty, &product)?;
        let scores = self.capped(&format!("{label}_scores_capped"), &scores, cap)?;
        let scores = self
            .b
            .binary("add", &format!("{label}_masked"), &scores, In::Var(mask))?;
        let softmax = [("x", In::Var(&scores)), ("axis", In::Int(-1))];
        let weights = format!("{label}_softmax");
        let weights = self
            .b
            .op("softmax", &weights, scores.ty.clone(), &softmax)?;
        let sum = [
            ("x", In::Var(&weights)),
            ("y", In::Var(v)),
            ("transpose_x", In::Bool(false)),
            ("transpose_y", In::Bool(false)),
        ];
        self.b
            .op("matmul", &format!("{label}_attended"), q.ty.clone(), &sum)
    }

    /// cap · tanh(x / cap), called `name`.
    pub(super) fn capped(&mut self, name: &str, x: &Var, cap: f64) -> Result<Var> {
        let small = format!("{name}_small");
        let small = self.b.binary("mul", &small, x, In::Float(1.0 / cap))?;
        let tanh = [("x", In::Var(&small))];
        let bent = self
            .b
            .op("tanh", &format!("{name}_tanh"), x.ty.clone(), &tanh)?;
        self.b.binary("mul", name, &bent, In::Float(cap))
    }

    /// Rotary positions on the first entries of each head.
    fn rotate(&mut self, label: &str, x: &Var, rope: &Rope) -> Result<Var> {
        let d = self.model.head_dim;
        if rope.dim == d {
            return self.rotate_all(label, x, rope);
        }
        let [turned, rest] = [rope.dim, d - rope.dim].map(|width| {
            let mut dims = x.dims().to_vec();
            dims[3] = Dim::Fixed(width);
            self.tensor(&dims)
        });
        let sizes = [rope.dim as i64, (d - rope.dim) as i64];
        let inputs = [
            ("x", In::Var(x)),
            ("split_sizes", In::Ints(&sizes)),
            ("axis", In::Int(-1)),
        ];
        let name = format!("{label}_partial");
        let parts = self
            .b
            .op_many("split", &name, vec![turned, rest], &inputs)?;
        let turned = self.rotate_all(label, &parts[0], rope)?;
        let inputs = [
            ("values", In::Vars(&[&turned, &parts[1]])),
            ("axis", In::Int(-1)),
            ("interleave", In::Bool(false)),
        ];
        self.b
            .op("concat", &format!("{label}_whole"), x.ty.clone(), &inputs)
    }

    fn rotate_all(&mut self, label: &str, x: &Var, rope: &Rope) -> Result<Var> {
        let tables = self.frame.ropes.iter().find(|(known, ..)| known == rope);
        let Some((_, cos, sin)) = tables.cloned() else {
            fail!("there are no tables of the rotary positions of \"{label}\"");
        };
        let mut half = x.dims().to_vec();
        half[3] = Dim::Fixed(rope.dim / 2);
        let half = self.tensor(&half);
        let inputs = [
            ("x", In::Var(x)),
            ("num_splits", In::Int(2)),
            ("axis", In::Int(-1)),
        ];
        let name = format!("{label}_half");
        let halves = self
            .b
            .op_many("split", &name, vec![half.clone(), half], &inputs)?;
        let negated = self
            .b
            .binary("mul", &format!("{label}_neg"), &halves[1], In::Float(-1.0))?;
        let inputs = [
            ("values", In::Vars(&[&negated, &halves[0]])),
            ("axis", In::Int(-1)),
            ("interleave", In::Bool(false)),
        ];
        let name = format!("{label}_turned");
        let turned = self.b.op("concat", &name, x.ty.clone(), &inputs)?;
        let along = self
            .b
            .binary("mul", &format!("{label}_cos"), x, In::Var(&cos))?;
        let across = self
            .b
            .binary("mul", &format!("{label}_sin"), &turned, In::Var(&sin))?;
        self.b
            .binary("add", &format!("{label}_rope"), &along, In::Var(&across))
    }

    /// Each key/value head repeated for the query heads that share it.
    fn repeat(&mut self, label: &str, x: &Var) -> Result<Var> {
        let group = self.model.heads / self.model.kv_heads;
        if group == 1 {
            return Ok(x.clone());
        }
        let &[batch, kv, length, d] = x.dims() else {
            fail!("heads of \"{label}\" have the extents {:?}", x.dims());
        };
        let expanded = self.b.op(
            "expand_dims",
            &format!("{label}_expanded"),
            self.tensor(&[batch, kv, Dim::Fixed(1), length, d]),
            &[("x", In::Var(x)), ("axes", In::Ints(&[2]))],
        )?;
        let tiled = self.b.op(
            "tile",
            &format!("{label}_tiled"),
            self.tensor(&[batch, kv, Dim::Fixed(group), length, d]),
            &[
                ("x", In::Var(&expanded)),
                ("reps", In::Ints(&[1, 1, group as i64, 1, 1])),
            ],
        )?;
        let dims = [batch, Dim::Fixed(self.model.heads), length, d];
        let name = format!("{label}_repeated");
        self.b.reshape(&name, &tiled, &self.frame.repeat_kv, &dims)
    }
}
