//! What every layer uses: extents, position tables, masks and shapes.

use super::cache::Cache;
use super::tables::{Bounds, Masks, Ropes, Tables};
use super::{Layout, Sight, Transformer, mask};
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

/// Which positions the tokens of a call stand at.
pub(super) struct Span {
    /// The first one, `int32 [1]`; 0 if absent.
    pub begin: Option<Var>,
    pub length: Extent,
    /// The one after the last.
    pub end: Extent,
}

impl Span {
    /// Where the rows of a table of this width lie.
    pub fn rows(&self, b: &mut Builder, name: &str, width: usize) -> Result<Bounds> {
        let width = width as i64;
        let begin = match &self.begin {
            Some(begin) => {
                let parts = [In::Var(begin), In::Int(0)];
                Some(b.shape(&format!("{name}_begin"), &parts)?)
            }
            None => None,
        };
        let parts = [self.end.part(), In::Int(width)];
        Ok((begin, b.shape(&format!("{name}_end"), &parts)?))
    }
}

/// Values that every layer uses.
pub(super) struct Frame {
    pub batch: Extent,
    pub span: Span,
    /// cos and sin for the positions present, `[length, dim]`.
    pub ropes: Ropes,
    /// Added to attention scores, by window.
    pub masks: Masks,
    /// `[batch, length, heads, head_dim]` and so on, for `reshape`.
    pub split_q: Var,
    pub split_kv: Var,
    pub repeat_kv: Var,
    pub merge: Var,
    /// Where keys and values are kept, if they are.
    pub cache: Option<Cache>,
}

impl Frame {
    /// For whole rows of tokens `ids`, `[batch, length]`; `counts` is 1 for those that count, 0 for padding.
    pub fn whole(
        b: &mut Builder,
        (model, layout): (&Transformer, &Layout),
        (ids, counts): (&Var, Option<&Var>),
    ) -> Result<Self> {
        let (batch, length) = extents(b, layout, ids)?;
        let span = Span {
            begin: None,
            end: length.clone(),
            length,
        };
        let given = match counts.filter(|_| model.sight == Sight::Both) {
            Some(counts) => Some(padding_mask(b, counts, layout.precision.dtype())?),
            None => None,
        };
        Self::new(b, (model, layout), (batch, span), (given.as_ref(), None))
    }

    /// For tokens after others that a cache holds: `mask`, `[1, 1, length, end]`, tells by its columns where
    /// they stand.
    pub fn after(
        b: &mut Builder,
        (model, layout): (&Transformer, &Layout),
        (ids, mask): (&Var, &Var),
        cache: Cache,
    ) -> Result<Self> {
        let length = match ids.dims() {
            [_, Dim::Fixed(length)] => Extent::Known(*length),
            _ => {
                let shape = shape(b, "ids_shape", ids)?;
                Extent::Found(entry(b, "length", &shape, 1)?)
            }
        };
        let mask_shape = shape(b, "mask_shape", mask)?;
        let end = entry(b, "end", &mask_shape, 3)?;
        let count = b.shape("length_now", &[length.part()])?;
        let begin = b.binary("sub", "begin", &end, In::Var(&count))?;
        let span = Span {
            begin: Some(begin),
            length,
            end: Extent::Found(end),
        };
        let mask = b.cast("mask_cast", mask, layout.precision.dtype())?;
        let given = (Some(&mask), Some(cache));
        Self::new(b, (model, layout), (Extent::Known(1), span), given)
    }

    fn new(
        b: &mut Builder,
        (model, layout): (&Transformer, &Layout),
        (batch, span): (Extent, Span),
        (mask, cache): (Option<&Var>, Option<Cache>),
    ) -> Result<Self> {
        let tables = Tables::store(b, model, layout)?;
        let (ropes, masks) = tables.present(b, &span, mask)?;
        let (heads, kv, d) = (model.heads, model.kv_heads, model.head_dim);
        let (n, s, all) = (|| batch.part(), || span.length.part(), || span.end.part());
        let int = |n: usize| In::Int(n as i64);
        Ok(Self {
            split_q: b.shape("split_q", &[n(), s(), int(heads), int(d)])?,
            split_kv: b.shape("split_kv", &[n(), s(), int(kv), int(d)])?,
            repeat_kv: b.shape("repeat_kv", &[n(), int(heads), all(), int(d)])?,
            merge: b.shape("merge", &[n(), s(), int(heads * d)])?,
            ropes,
            masks,
            batch,
            span,
            cache,
        })
    }
}

/// 0 where a key counts, a large negative number elsewhere, `[batch, 1, 1, length]`.
fn padding_mask(b: &mut Builder, counts: &Var, dtype: DType) -> Result<Var> {
    let counts = b.cast("counted", counts, dtype)?;
    let uncounted = b.binary("sub", "uncounted", &counts, In::Float(1.0))?;
    let hidden = In::Float(-mask::hidden(dtype));
    let flat = b.binary("mul", "padding", &uncounted, hidden)?;
    let mut dims = flat.dims().to_vec();
    dims.splice(1..1, [Dim::Fixed(1); 2]);
    let inputs = [("x", In::Var(&flat)), ("axes", In::Ints(&[1, 2]))];
    b.op(
        "expand_dims",
        "padding_mask",
        Type::Tensor { dtype, dims },
        &inputs,
    )
}

fn extents(b: &mut Builder, layout: &Layout, ids: &Var) -> Result<(Extent, Extent)> {
    if layout.fixed {
        return Ok((Extent::Known(layout.batch), Extent::Known(layout.context)));
    }
    let shape = shape(b, "ids_shape", ids)?;
    let batch = match layout.batch {
        1 => Extent::Known(1),
        _ => Extent::Found(entry(b, "batch", &shape, 0)?),
    };
    Ok((batch, Extent::Found(entry(b, "length", &shape, 1)?)))
}

fn shape(b: &mut Builder, name: &str, x: &Var) -> Result<Var> {
    let ty = Type::tensor(DType::Int32, &[x.dims().len()]);
    b.op("shape", name, ty, &[("x", In::Var(x))])
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
