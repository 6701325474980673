//! Compression of weights: the way back from dense values to what the `constexpr_*` operations read.
//!
//! Linear quantisation rounds to the nearest number and fits each block's scale (and offset) to the
//! numbers by least squares; palettes are the k-means of their values; sparse weights keep the elements
//! of a mask. Decoding is [`super::codec`]'s, bit for bit what Core ML does.

mod clusters;
mod describe;
mod fidelity;
mod groups;
mod linear;
mod numbers;
mod palette;
mod sparse;
#[cfg(test)]
mod tests;

pub use fidelity::Fidelity;

use self::groups::Groups;
use self::linear::{Line, Quantiser};
use self::numbers::Numbers;
use self::palette::Palette;
pub use self::palette::palette_type;
use super::codec;
use crate::diag::{Error, Interrupt, Kind, Result};
use crate::fail;
use crate::numeric::{Array, DType};

/// A way to store a weight.
#[derive(Debug, Clone, PartialEq)]
pub enum Scheme {
    /// Each element in the dense type.
    Dense,
    /// `scale · (q − offset)`.
    Linear {
        /// Of q: int4, uint4, int8 or uint8; fp16 or fp32 for a table that is scaled.
        data: DType,
        /// Scales along each axis: each divides the extent.
        grid: Vec<usize>,
        offset: Offset,
    },
    /// Indices into tables of 2^bits entries.
    Palette {
        /// 1, 2, 3, 4, 6 or 8.
        bits: usize,
        /// Tables along each axis: each divides the extent.
        groups: Vec<usize>,
        /// Axis and length of the vectors that entries stand for.
        vectors: Option<(usize, usize)>,
        /// How the tables are stored.
        table: Box<Scheme>,
    },
    /// Some elements, stored by `values` (dense, linear or a palette); the others are 0.
    Sparse { keep: Keep, values: Box<Scheme> },
    /// Stored as another float type.
    Cast { stored: DType, values: Box<Scheme> },
    /// The coarse way where what it loses is at most this part of the norm, else the fine one.
    Within {
        relative_rms: f64,
        coarse: Box<Scheme>,
        fine: Box<Scheme>,
    },
}

/// Offsets of linear quantisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    /// There are none: the range is symmetric around 0.
    None,
    /// All are the middle of the range, in this type.
    Middle(DType),
    /// Fitted to each block, in this type.
    Fitted(DType),
}

/// Elements of a sparse weight that are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Keep {
    /// Where this uint1 array (of the dense shape; of vectors, that of the indices) is 1.
    Mask(Array),
    /// This part of all, those of the largest magnitude.
    Largest(f64),
}

/// A weight as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoded {
    Dense(Array),
    Linear {
        data: Array,
        /// Of the rank of the dense array, a scale for each block.
        scale: Array,
        offset: Option<Array>,
    },
    Palette {
        indices: Array,
        /// Decodes to groups along each axis, entries, and the length of an entry.
        lut: Box<Encoded>,
        vector_axis: Option<i64>,
    },
    Sparse {
        /// As in [`Keep::Mask`].
        mask: Array,
        /// Whose data or indices are the kept ones, in one dimension.
        values: Box<Encoded>,
    },
    Cast {
        source: Box<Encoded>,
        dtype: DType,
    },
}

/// Compresses `values` of `shape`; they decode to `dtype`, fp16 or fp32.
///
/// The same values always give the same pieces. Values that already lie on such a grid or in such tables
/// decode to themselves where the fitted scales do; see [`Encoded::again`] for a way that is exact.
/// Fails if the scheme does not fit the shape, or a value is not finite.
pub fn encode(values: &[f32], shape: &[usize], dtype: DType, scheme: &Scheme) -> Result<Encoded> {
    encode_until(values, shape, dtype, scheme, &Interrupt::default())
}

/// As [`encode`], but fails once `interrupt` is set: large weights take seconds.
pub fn encode_until(
    values: &[f32],
    shape: &[usize],
    dtype: DType,
    scheme: &Scheme,
    interrupt: &Interrupt,
) -> Result<Encoded> {
    let job = Job {
        interrupt: interrupt.clone(),
        ..Job::new(values, shape, dtype)?
    };
    scheme.encode(&job, None)
}

/// What is to be encoded.
struct Job<'a> {
    /// Dense values, also of a sparse weight.
    values: &'a [f32],
    shape: &'a [usize],
    /// Of the decoded array.
    dtype: DType,
    /// Elements that count: all, or those that are not 0 here.
    mask: Option<&'a [u8]>,
    interrupt: Interrupt,
}

impl<'a> Job<'a> {
    fn new(values: &'a [f32], shape: &'a [usize], dtype: DType) -> Result<Self> {
        if shape.iter().product::<usize>() != values.len() {
            fail!("{} values for a weight of shape {shape:?}", values.len());
        }
        let largest = if dtype == DType::Fp16 {
            65519.0
        } else {
            f32::MAX
        };
        if let Some(i) = values.iter().position(|v| v.is_nan() || v.abs() > largest) {
            let message = format!("{} at element {i} does not fit {dtype}", values[i]);
            return Err(Error::new(message).kind_of(Kind::NonFinite));
        }
        Ok(Self {
            values,
            shape,
            dtype,
            mask: None,
            interrupt: Interrupt::default(),
        })
    }

    /// The values that count.
    fn kept(&self) -> Vec<f32> {
        let all = self.values.iter().enumerate();
        all.filter(|(i, _)| self.mask.is_none_or(|mask| mask[*i] != 0))
            .map(|(_, value)| *value)
            .collect()
    }

    /// Shape of the stored elements.
    fn stored_shape(&self, kept: usize) -> Vec<usize> {
        match self.mask {
            Some(_) => vec![kept],
            None => self.shape.to_vec(),
        }
    }
}

impl Scheme {
    fn encode(&self, job: &Job, old: Option<&Encoded>) -> Result<Encoded> {
        match self {
            Scheme::Dense => {
                let kept = job.kept();
                let shape = job.stored_shape(kept.len());
                Ok(Encoded::Dense(Numbers::of(job.dtype)?.array(shape, &kept)?))
            }
            Scheme::Linear { data, grid, offset } => linear(job, *data, grid, *offset, old),
            Scheme::Palette {
                bits,
                groups,
                vectors,
                table,
            } => {
                let palette = Palette {
                    bits: *bits,
                    groups,
                    vectors: *vectors,
                    table,
                };
                let old = match old {
                    Some(Encoded::Palette { lut, .. }) => Some(&**lut),
                    _ => None,
                };
                palette.encode(job, old)
            }
            Scheme::Sparse { keep, values } => sparse::encode(job, keep, values, old),
            Scheme::Cast { stored, values } => {
                let inner = Job {
                    dtype: *stored,
                    interrupt: job.interrupt.clone(),
                    ..Job::new(job.values, job.shape, *stored)?
                };
                let old = match old {
                    Some(Encoded::Cast { source, .. }) => Some(&**source),
                    _ => None,
                };
                Ok(Encoded::Cast {
                    source: Box::new(values.encode(&inner, old)?),
                    dtype: job.dtype,
                })
            }
            Scheme::Within {
                relative_rms,
                coarse,
                fine,
            } => {
                let encoded = coarse.encode(job, old)?;
                let lost = Fidelity::of(job.values, &encoded.decode()?).relative_rms;
                match lost <= *relative_rms {
                    true => Ok(encoded),
                    false => fine.encode(job, old),
                }
            }
        }
    }
}

fn linear(
    job: &Job,
    data: DType,
    grid: &[usize],
    offset: Offset,
    old: Option<&Encoded>,
) -> Result<Encoded> {
    let offsets = match offset {
        Offset::None => None,
        Offset::Middle(dtype) | Offset::Fitted(dtype) => Some(Numbers::of(dtype)?),
    };
    let quantiser = Quantiser {
        data: Numbers::of(data)?,
        scale: Numbers::of(job.dtype)?,
        offset: offsets.filter(|_| matches!(offset, Offset::Fitted(_))),
    };
    if offset == Offset::None && quantiser.data.middle() != 0.0 {
        fail!("{data} without offsets holds no negative weights");
    }
    let groups = Groups::new(job.shape, grid, job.mask)?;
    let kept = job.kept();
    let lines = old.and_then(|old| old.lines(grid));
    let quantised = quantiser.encode(&kept, &groups, lines.as_deref(), &job.interrupt);
    job.interrupt.check()?;
    let along = |part: fn(&Line) -> f32| quantised.lines.iter().map(part).collect::<Vec<f32>>();
    let offset = match offsets {
        Some(offsets) => Some(offsets.array(grid.to_vec(), &along(|line| line.offset))?),
        None => None,
    };
    Ok(Encoded::Linear {
        data: quantiser
            .data
            .array(job.stored_shape(kept.len()), &quantised.numbers)?,
        scale: quantiser
            .scale
            .array(grid.to_vec(), &along(|line| line.scale))?,
        offset,
    })
}

impl Encoded {
    /// The dense array.
    pub fn decode(&self) -> Result<Array> {
        match self {
            Encoded::Dense(array) => Ok(array.clone()),
            Encoded::Linear {
                data,
                scale,
                offset,
            } => codec::blockwise_shift_scale(data, scale, offset.as_ref()),
            Encoded::Palette {
                indices,
                lut,
                vector_axis,
            } => codec::lut_to_dense(indices, &lut.decode()?, *vector_axis),
            Encoded::Sparse { mask, values } => sparse::decode(mask, values),
            Encoded::Cast { source, dtype } => codec::cast(&source.decode()?, *dtype),
        }
    }

    /// Stores other values of the same shape in the same scheme. What is stored now is where the search
    /// starts from, and stays unless something nearer is found: values that were decoded from it are
    /// decoded to just themselves again. A mask stays as it is.
    pub fn again(&self, values: &[f32]) -> Result<Encoded> {
        let (shape, dtype) = (self.shape(), self.dtype());
        let job = Job::new(values, &shape, dtype)?;
        self.scheme()?.encode(&job, Some(self))
    }

    /// How it is stored.
    pub fn scheme(&self) -> Result<Scheme> {
        Ok(match self {
            Encoded::Dense(_) => Scheme::Dense,
            Encoded::Linear {
                data,
                scale,
                offset,
            } => Scheme::Linear {
                data: data.dtype(),
                grid: scale.shape().to_vec(),
                offset: offset_of(data, offset.as_ref())?,
            },
            Encoded::Palette {
                indices,
                lut,
                vector_axis,
            } => palette_of(indices, lut, *vector_axis)?,
            Encoded::Sparse { mask, values } => Scheme::Sparse {
                keep: Keep::Mask(mask.clone()),
                values: Box::new(values.scheme()?),
            },
            Encoded::Cast { source, .. } => Scheme::Cast {
                stored: source.dtype(),
                values: Box::new(source.scheme()?),
            },
        })
    }

    /// Shape of the dense array; of the kept values of a sparse one, in one dimension.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Encoded::Dense(array) => array.shape().to_vec(),
            Encoded::Linear { data, .. } => data.shape().to_vec(),
            Encoded::Palette {
                indices,
                lut,
                vector_axis,
            } => stretched(indices.shape(), lut, *vector_axis),
            Encoded::Sparse { mask, values } => match &**values {
                Encoded::Palette {
                    lut, vector_axis, ..
                } => stretched(mask.shape(), lut, *vector_axis),
                _ => mask.shape().to_vec(),
            },
            Encoded::Cast { source, .. } => source.shape(),
        }
    }

    /// Element type of the dense array.
    pub fn dtype(&self) -> DType {
        match self {
            Encoded::Dense(array) => array.dtype(),
            Encoded::Linear { scale, .. } => scale.dtype(),
            Encoded::Palette { lut, .. } => lut.dtype(),
            Encoded::Sparse { values, .. } => values.dtype(),
            Encoded::Cast { dtype, .. } => *dtype,
        }
    }

    /// As stored, in bytes: elements below a byte are packed.
    pub fn bytes(&self) -> u64 {
        let bytes = |array: &Array| (array.len() * array.dtype().bits()).div_ceil(8) as u64;
        match self {
            Encoded::Dense(array) => bytes(array),
            Encoded::Linear {
                data,
                scale,
                offset,
            } => bytes(data) + bytes(scale) + offset.as_ref().map_or(0, bytes),
            Encoded::Palette { indices, lut, .. } => bytes(indices) + lut.bytes(),
            Encoded::Sparse { mask, values } => bytes(mask) + values.bytes(),
            Encoded::Cast { source, .. } => source.bytes(),
        }
    }

    /// The lines of linear quantisation over `grid`.
    fn lines(&self, grid: &[usize]) -> Option<Vec<Line>> {
        let Encoded::Linear { scale, offset, .. } = self else {
            return None;
        };
        let scales = scale.to_f32s();
        let offsets = offset.as_ref().map(Array::to_f32s);
        let offsets = offsets.unwrap_or_else(|| vec![0.0; scales.len()]);
        let lines = scales.into_iter().zip(offsets);
        let lines = lines.map(|(scale, offset)| Line { scale, offset });
        (scale.shape() == grid).then(|| lines.collect())
    }
}

fn stretched(indices: &[usize], lut: &Encoded, vector_axis: Option<i64>) -> Vec<usize> {
    let mut shape = indices.to_vec();
    let length = lut.shape().last().copied().unwrap_or(1);
    if let Some((axis, length)) = vectors(shape.len(), length, vector_axis) {
        shape[axis] *= length;
    }
    shape
}

/// Axis and length of vectors, if the axis exists.
fn vectors(rank: usize, length: usize, axis: Option<i64>) -> Option<(usize, usize)> {
    let axis = axis?;
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    let axis = usize::try_from(axis).ok().filter(|axis| *axis < rank)?;
    Some((axis, length))
}

fn offset_of(data: &Array, offset: Option<&Array>) -> Result<Offset> {
    let Some(offset) = offset else {
        return Ok(Offset::None);
    };
    let middle = Numbers::of(data.dtype())?.middle();
    Ok(match offset.to_f32s().iter().all(|z| *z == middle) {
        true => Offset::Middle(offset.dtype()),
        false => Offset::Fitted(offset.dtype()),
    })
}

fn palette_of(indices: &Array, lut: &Encoded, vector_axis: Option<i64>) -> Result<Scheme> {
    let bits = indices.dtype().bits();
    let table = lut.shape();
    let Some((groups, &[entries, length])) = table.len().checked_sub(2).and_then(|rank| {
        Some((
            &table[..rank],
            <&[usize; 2]>::try_from(&table[rank..]).ok()?,
        ))
    }) else {
        fail!("a look-up table of shape {table:?}");
    };
    if entries != 1 << bits {
        fail!("a look-up table of {entries} entries for indices of {bits} bits");
    }
    Ok(Scheme::Palette {
        bits,
        groups: groups.to_vec(),
        vectors: vectors(groups.len(), length, vector_axis),
        table: Box::new(lut.scheme()?),
    })
}
