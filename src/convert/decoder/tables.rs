//! Tables of positions and masks: whole in the program, and as much of them as a call has tokens.

use super::frame::Extent;
use super::mask;
use super::rope::Rope;
use super::{Decoder, Layout};
use crate::convert::builder::{Builder, In, Var};
use crate::diag::Result;
use crate::mil::{Dim, Type};
use crate::numeric::{Array, DType};

/// cos and sin for the positions present, `[length, dim]`.
pub(super) type Ropes = Vec<(Rope, Var, Var)>;

/// What is added to attention scores, by window, `[length, length]`.
pub(super) type Masks = Vec<(Option<usize>, Var)>;

/// The tables of a program, each kind that its layers use once.
pub(super) struct Tables {
    /// cos and sin, `[context, dim]`.
    ropes: Vec<(Rope, Var, Var)>,
    masks: Vec<(Option<usize>, Var)>,
    context: usize,
    dtype: DType,
}

impl Tables {
    pub fn store(b: &mut Builder, model: &Decoder, layout: &Layout) -> Result<Self> {
        let mut tables = Self {
            ropes: Vec::new(),
            masks: Vec::new(),
            context: layout.context,
            dtype: layout.precision.dtype(),
        };
        for layer in &model.layers {
            if let Some(rope) = &layer.attention.rope
                && !tables.ropes.iter().any(|(known, ..)| known == rope)
            {
                let (cos, sin) = rope.tables(layout.context, tables.dtype)?;
                let (cos, sin) = (b.weight("rope_cos", cos), b.weight("rope_sin", sin));
                tables.ropes.push((rope.clone(), cos, sin));
            }
        }
        for layer in &model.layers {
            let window = seen(layer.attention.window, layout.context);
            if !tables.masks.iter().any(|(known, _)| *known == window) {
                let mask = tables.store_mask(b, window)?;
                tables.masks.push((window, mask));
            }
        }
        Ok(tables)
    }

    /// A table of the whole mask where it is small, else of the positions that it is computed from.
    fn store_mask(&self, b: &mut Builder, window: Option<usize>) -> Result<Var> {
        if self.context <= mask::TABLE {
            let table = mask::table(self.context, window, self.dtype)?;
            return Ok(b.weight("causal_mask", table));
        }
        if let Some((_, positions)) = self.masks.first() {
            return Ok(positions.clone());
        }
        let positions: Vec<i32> = (0..self.context as i32).collect();
        Ok(b.weight(
            "positions",
            Array::from_i32(vec![self.context], &positions)?,
        ))
    }

    /// What of the tables a call with `length` tokens uses.
    pub fn present(self, b: &mut Builder, length: &Extent) -> Result<(Ropes, Masks)> {
        let mut ends = Vec::new();
        for (rope, ..) in &self.ropes {
            let parts = [length.part(), In::Int(rope.dim as i64)];
            ends.push(b.shape("rope_end", &parts)?);
        }
        let mask_end = match self.context <= mask::TABLE {
            true => Some(b.shape("mask_end", &[length.part(), length.part()])?),
            false => None,
        };
        let mut ropes = Vec::new();
        for ((rope, cos, sin), end) in self.ropes.iter().zip(&ends) {
            let dims = [length.dim(), Dim::Fixed(rope.dim)];
            let cos = first(b, "cos", cos, end, &dims)?;
            let sin = first(b, "sin", sin, end, &dims)?;
            ropes.push((rope.clone(), cos, sin));
        }
        let mut masks = Vec::new();
        for (window, stored) in &self.masks {
            let mask = match &mask_end {
                Some(end) => first(b, "mask", stored, end, &[length.dim(); 2])?,
                None => self.computed(b, *window, stored, length)?,
            };
            masks.push((*window, mask));
        }
        Ok((ropes, masks))
    }

    /// The mask of the first positions, from their numbers.
    fn computed(
        &self,
        b: &mut Builder,
        window: Option<usize>,
        positions: &Var,
        length: &Extent,
    ) -> Result<Var> {
        let end = b.shape("positions_end", &[length.part()])?;
        let present = first(b, "positions_present", positions, &end, &[length.dim()])?;
        let [row, column] = [1, 0].map(|axis| (axis, [length.dim(), length.dim()]));
        let line = |b: &mut Builder, name: &str, (axis, mut dims): (i64, [Dim; 2])| {
            dims[axis as usize] = Dim::Fixed(1);
            let ty = Type::Tensor {
                dtype: DType::Int32,
                dims: dims.to_vec(),
            };
            let inputs = [("x", In::Var(&present)), ("axes", In::Ints(&[axis]))];
            b.op("expand_dims", name, ty, &inputs)
        };
        let (row, column) = (line(b, "queries", row)?, line(b, "keys", column)?);
        let square = |dtype| Type::Tensor {
            dtype,
            dims: vec![length.dim(); 2],
        };
        let pair = [("x", In::Var(&row)), ("y", In::Var(&column))];
        let mut sees = b.op("greater_equal", "is_past", square(DType::Bool), &pair)?;
        if let Some(window) = window {
            let pair = [("x", In::Var(&row)), ("y", In::Var(&column))];
            let distance = b.op("sub", "distance", square(DType::Int32), &pair)?;
            let inputs = [("x", In::Var(&distance)), ("y", In::Int(window as i64))];
            let near = b.op("less", "is_near", square(DType::Bool), &inputs)?;
            sees = b.binary("logical_and", "is_seen", &sees, In::Var(&near))?;
        }
        let sees = b.cast("seen", &sees, self.dtype)?;
        let unseen = b.binary("sub", "unseen", &sees, In::Float(1.0))?;
        b.binary("mul", "mask", &unseen, In::Float(-mask::hidden(self.dtype)))
    }
}

/// The window, if it hides anything of a context.
pub(super) fn seen(window: Option<usize>, context: usize) -> Option<usize> {
    window.filter(|window| *window < context)
}

/// The first entries of a table, up to `end` on each axis.
pub(super) fn first(
    b: &mut Builder,
    name: &str,
    table: &Var,
    end: &Var,
    dims: &[Dim],
) -> Result<Var> {
    if table.dims() == dims {
        return Ok(table.clone());
    }
    let ty = Type::Tensor {
        dtype: table.dtype(),
        dims: dims.to_vec(),
    };
    let inputs = [
        ("x", In::Var(table)),
        ("begin", In::Ints(&vec![0; dims.len()])),
        ("end", In::Var(end)),
    ];
    b.op("slice_by_index", name, ty, &inputs)
}
