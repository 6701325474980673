//! What every layer uses: extents, position tables, masks and shapes.

use super::tables::{Masks, Ropes, Tables};
use super::{Decoder, Layout};
use crate::convert::builder::{Builder, In, Var};
use crate::diag::Result;
use crate::mil::{Dim, Type};
use crate::numeric::DType;

/// An extent that is known, or found when the program runs (`int32 [1]`).
#[derive(Clone)]
pub(super) enum Extent {
    Known(usize),
    Found(Var),
}

impl Extent {
    pub fn dim(&self) -> Dim {
        match self {
            Extent::Known(n) => Dim::Fixed(*n),
            Extent::Found(_) => Dim::Unknown,
        }
    }

    pub fn part(&self) -> In<'_> {
        match self {
            Extent::Known(n) => In::Int(*n as i64),
            Extent::Found(var) => In::Var(var),
        }
    }
}

/// Values that every layer uses.
pub(super) struct Frame {
    pub batch: Extent,
    pub length: Extent,
    /// cos and sin for the positions present, `[length, dim]`.
    pub ropes: Ropes,
    /// Added to attention scores, by window.
    pub masks: Masks,
    /// `[batch, length, heads, head_dim]` and so on, for `reshape`.
    pub split_q: Var,
    pub split_kv: Var,
    pub repeat_kv: Var,
    pub merge: Var,
}

impl Frame {
    /// For the tokens `ids`, `[batch, length]`.
    pub fn new(b: &mut Builder, model: &Decoder, layout: &Layout, ids: &Var) -> Result<Self> {
        let (batch, length) = extents(b, layout, ids)?;
        let tables = Tables::store(b, model, layout)?;
        let (ropes, masks) = tables.present(b, &length)?;
        let (heads, kv, d) = (model.heads, model.kv_heads, model.head_dim);
        let (n, s) = (|| batch.part(), || length.part());
        let int = |n: usize| In::Int(n as i64);
        Ok(Self {
            split_q: b.shape("split_q", &[n(), s(), int(heads), int(d)])?,
            split_kv: b.shape("split_kv", &[n(), s(), int(kv), int(d)])?,
            repeat_kv: b.shape("repeat_kv", &[n(), int(heads), s(), int(d)])?,
            merge: b.shape("merge", &[n(), s(), int(heads * d)])?,
            ropes,
            masks,
            batch,
            length,
        })
    }
}

fn extents(b: &mut Builder, layout: &Layout, ids: &Var) -> Result<(Extent, Extent)> {
    if layout.fixed {
        return Ok((Extent::Known(layout.batch), Extent::Known(layout.context)));
    }
    let ty = Type::tensor(DType::Int32, &[2]);
    let shape = b.op("shape", "ids_shape", ty, &[("x", In::Var(ids))])?;
    let batch = match layout.batch {
        1 => Extent::Known(1),
        _ => Extent::Found(entry(b, "batch", &shape, 0)?),
    };
    Ok((batch, Extent::Found(entry(b, "length", &shape, 1)?)))
}

/// Entry `i` of a shape, as `int32 [1]`.
fn entry(b: &mut Builder, name: &str, shape: &Var, i: i64) -> Result<Var> {
    let ty = Type::tensor(DType::Int32, &[1]);
    let inputs = [
        ("x", In::Var(shape)),
        ("begin", In::Ints(&[i])),
        ("end", In::Ints(&[i + 1])),
    ];
    b.op("slice_by_index", name, ty, &inputs)
}
