//! Tables of positions and masks: whole in the program, and as much of them as a call has tokens.

use super::frame::Span;
use super::mask;
use super::rope::Rope;
use super::{Layout, Sight, Transformer};
use crate::convert::builder::{Builder, In, Var};
use crate::diag::Result;
use crate::fail;
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
    /// Whole masks, or the positions that they are computed from.
    masks: Vec<(Option<usize>, Option<Var>)>,
    layout: Layout,
    /// Whether a mask comes from outside, which hides what does not count or comes later.
    given: bool,
    sight: Sight,
}

impl Tables {
    pub fn store(b: &mut Builder, model: &Transformer, layout: &Layout) -> Result<Self> {
        let mut tables = Self {
            ropes: Vec::new(),
            masks: Vec::new(),
            layout: *layout,
            given: layout.stateful || model.sight == Sight::Both,
            sight: model.sight,
        };
        for layer in &model.layers {
            if let Some(rope) = &layer.attention.rope
                && !tables.ropes.iter().any(|(known, ..)| known == rope)
            {
                let (cos, sin) = rope.tables(layout.context, tables.dtype())?;
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

    /// A table of the whole mask where it is small, else of the positions that it is computed from; nothing
    /// where the mask is given.
    fn store_mask(&self, b: &mut Builder, window: Option<usize>) -> Result<Option<Var>> {
        let context = self.layout.context;
        if self.is_small() {
            let table = mask::table(context, window, self.dtype())?;
            return Ok(Some(b.weight("causal_mask", table)));
        }
        if self.given && window.is_none() {
            return Ok(None);
        }
        if let Some(positions) = self.masks.iter().find_map(|(_, known)| known.clone()) {
            return Ok(Some(positions));
        }
        let positions: Vec<i32> = (0..context as i32).collect();
        let positions = Array::from_i32(vec![context], &positions)?;
        Ok(Some(b.weight("positions", positions)))
    }

    fn dtype(&self) -> DType {
        self.layout.precision.dtype()
    }

    fn is_small(&self) -> bool {
        self.layout.context <= mask::TABLE && !self.given
    }

    /// What of the tables the tokens of a call use; `given` is a mask that comes from outside.
    pub fn present(
        self,
        b: &mut Builder,
        span: &Span,
        given: Option<&Var>,
    ) -> Result<(Ropes, Masks)> {
        let mut bounds = Vec::new();
        for (rope, ..) in &self.ropes {
            bounds.push(span.rows(b, "rope", rope.dim)?);
        }
        let mask_end = match self.is_small() {
            true => Some(b.shape("mask_end", &[span.end.part(), span.end.part()])?),
            false => None,
        };
        let mut ropes = Vec::new();
        for ((rope, cos, sin), bounds) in self.ropes.iter().zip(&bounds) {
            let dims = [span.length.dim(), Dim::Fixed(rope.dim)];
            let cos = slice(b, "cos", cos, bounds, &dims)?;
            let sin = slice(b, "sin", sin, bounds, &dims)?;
            ropes.push((rope.clone(), cos, sin));
        }
        let mut masks = Vec::new();
        for (window, stored) in &self.masks {
            let square = [span.length.dim(), span.end.dim()];
            let own = match (&mask_end, stored) {
                (_, None) => None,
                (Some(end), Some(table)) => {
                    let bounds = (None, end.clone());
                    Some(slice(b, "mask", table, &bounds, &square)?)
                }
                (None, Some(positions)) => Some(self.computed(b, *window, positions, span)?),
            };
            let mask = match (own, given) {
                (Some(own), Some(given)) => self.both(b, &own, given)?,
                (Some(own), None) => own,
                (None, Some(given)) => given.clone(),
                (None, None) => fail!("there is no mask of the window {window:?}"),
            };
            masks.push((*window, mask));
        }
        Ok((ropes, masks))
    }

    /// What hides as much as both masks.
    fn both(&self, b: &mut Builder, own: &Var, given: &Var) -> Result<Var> {
        let (&[batch, ..], &[rows, columns]) = (given.dims(), own.dims()) else {
            fail!(
                "masks of {:?} and {:?} do not go together",
                given.dims(),
                own.dims()
            );
        };
        let ty = Type::Tensor {
            dtype: self.dtype(),
            dims: vec![batch, Dim::Fixed(1), rows, columns],
        };
        let inputs = [("x", In::Var(given)), ("y", In::Var(own))];
        b.op("add", "mask", ty, &inputs)
    }

    /// The mask of the positions present, from their numbers. A mask that is given hides later ones already.
    fn computed(
        &self,
        b: &mut Builder,
        window: Option<usize>,
        positions: &Var,
        span: &Span,
    ) -> Result<Var> {
        let (rows, columns) = (span.length.dim(), span.end.dim());
        let end = b.shape("positions_end", &[span.end.part()])?;
        let present = (span.begin.clone(), end.clone());
        let queries = slice(b, "query_positions", positions, &present, &[rows])?;
        let keys = slice(b, "key_positions", positions, &(None, end), &[columns])?;
        let queries = line(b, "queries", &queries, 1)?;
        let keys = line(b, "keys", &keys, 0)?;
        let square = |dtype| Type::Tensor {
            dtype,
            dims: vec![rows, columns],
        };
        let pair = || [("x", In::Var(&queries)), ("y", In::Var(&keys))];
        let mut sees = match self.given {
            false => Some(b.op("greater_equal", "is_past", square(DType::Bool), &pair())?),
            true => None,
        };
        if let Some(window) = window {
            let distance = b.op("sub", "distance", square(DType::Int32), &pair())?;
            let (distance, limit) = match self.sight {
                Sight::Causal => (distance, window),
                // On either side: the square is not beyond that of the window.
                Sight::Both => {
                    let square =
                        b.binary("mul", "distance_square", &distance, In::Var(&distance))?;
                    (square, window * window + 1)
                }
            };
            let inputs = [("x", In::Var(&distance)), ("y", In::Int(limit as i64))];
            let near = b.op("less", "is_near", square(DType::Bool), &inputs)?;
            sees = Some(match sees {
                Some(past) => b.binary("logical_and", "is_seen", &past, In::Var(&near))?,
                None => near,
            });
        }
        let Some(sees) = sees else {
            fail!("a mask that hides nothing");
        };
        let dtype = self.dtype();
        let sees = b.cast("seen", &sees, dtype)?;
        let unseen = b.binary("sub", "unseen", &sees, In::Float(1.0))?;
        b.binary("mul", "mask", &unseen, In::Float(-mask::hidden(dtype)))
    }
}

/// A vector as a row (`axis` 0) or a column (1).
fn line(b: &mut Builder, name: &str, vector: &Var, axis: usize) -> Result<Var> {
    let mut dims = vector.dims().to_vec();
    dims.insert(axis, Dim::Fixed(1));
    let dtype = vector.dtype();
    let inputs = [("x", In::Var(vector)), ("axes", In::Ints(&[axis as i64]))];
    b.op("expand_dims", name, Type::Tensor { dtype, dims }, &inputs)
}

/// The window, if it hides anything of a context.
pub(super) fn seen(window: Option<usize>, context: usize) -> Option<usize> {
    window.filter(|window| *window < context)
}

/// Where a slice begins (at the first entries if absent) and ends.
pub(super) type Bounds = (Option<Var>, Var);

/// A part of a table.
pub(super) fn slice(
    b: &mut Builder,
    name: &str,
    table: &Var,
    (begin, end): &Bounds,
    dims: &[Dim],
) -> Result<Var> {
    if table.dims() == dims {
        return Ok(table.clone());
    }
    let ty = Type::Tensor {
        dtype: table.dtype(),
        dims: dims.to_vec(),
    };
    let zeros = vec![0; dims.len()];
    let begin = match begin {
        Some(begin) => In::Var(begin),
        None => In::Ints(&zeros),
    };
    let inputs = [
        ("x", In::Var(table)),
        ("begin", begin),
        ("end", In::Var(end)),
    ];
    b.op("slice_by_index", name, ty, &inputs)
}
