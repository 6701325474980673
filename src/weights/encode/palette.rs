//! Palettes: a table of entries for each group, and the nearest entry of each element or vector.

use super::clusters::{assign, centres, vector_centres};
use super::groups::Groups;
use super::numbers::Numbers;
use super::{Encoded, Job, Scheme};
use crate::diag::{Interrupt, Result};
use crate::fail;
use crate::numeric::DType;

/// What a palette is like.
pub(super) struct Palette<'a> {
    pub bits: usize,
    /// Tables along each axis of the array.
    pub groups: &'a [usize],
    /// Axis and length of the vectors that entries stand for.
    pub vectors: Option<(usize, usize)>,
    /// How the tables are stored.
    pub table: &'a Scheme,
}

impl Palette<'_> {
    /// Encodes the job's values; the tables and indices of `old` stay unless others are nearer.
    pub fn encode(&self, job: &Job, old: Option<&Encoded>) -> Result<Encoded> {
        let (axis, length) = self.vectors.unwrap_or((0, 1));
        let shape = self.index_shape(job.shape)?;
        let points = gather(job, axis, length, &shape)?;
        let groups = Groups::new(&shape, self.groups, job.mask)?;
        let clusters = Clusters {
            points: &points,
            length,
            entries: 1 << self.bits,
            groups: &groups,
        };
        let old = old.filter(|old| self.fits(old));
        let old_values = match old {
            Some(old) => Some(old.decode()?.to_f32s()),
            None => None,
        };
        let mut table_shape = self.groups.to_vec();
        table_shape.extend([clusters.entries, length]);
        let table = clusters.tables(old_values.as_deref(), &job.interrupt)?;
        job.interrupt.check()?;
        let table = Job {
            values: &table,
            shape: &table_shape,
            dtype: job.dtype,
            mask: None,
            interrupt: job.interrupt.clone(),
        };
        let new = self.table.encode(&table, old)?;
        let (mut indices, error) = clusters.assign(&new.decode()?.to_f32s());
        let mut lut = new;
        if let (Some(old), Some(values)) = (old, old_values) {
            let (old_indices, old_error) = clusters.assign(&values);
            if old_error <= error {
                (lut, indices) = (old.clone(), old_indices);
            }
        }
        let width = Numbers::of(palette_type(self.bits)?)?;
        let indices: Vec<f32> = indices.into_iter().map(f32::from).collect();
        let shape = match job.mask {
            Some(_) => vec![indices.len()],
            None => shape,
        };
        Ok(Encoded::Palette {
            indices: width.array(shape, &indices)?,
            lut: Box::new(lut),
            vector_axis: self.vectors.map(|(axis, _)| axis as i64),
        })
    }

    /// Shape of the indices of a dense array of `shape`.
    fn index_shape(&self, shape: &[usize]) -> Result<Vec<usize>> {
        let mut shape = shape.to_vec();
        if let Some((axis, length)) = self.vectors {
            match shape.get_mut(axis) {
                Some(extent) if length > 0 && *extent % length == 0 => *extent /= length,
                _ => {
                    fail!("vectors of {length} along axis {axis} do not divide the shape {shape:?}")
                }
            }
        }
        Ok(shape)
    }

    fn fits(&self, old: &Encoded) -> bool {
        let (_, length) = self.vectors.unwrap_or((0, 1));
        let mut shape = self.groups.to_vec();
        shape.extend([1 << self.bits, length]);
        old.shape() == shape
    }
}

/// The type of indices of `bits` bits.
pub fn palette_type(bits: usize) -> Result<DType> {
    Ok(match bits {
        1 => DType::Uint1,
        2 => DType::Uint2,
        3 => DType::Uint3,
        4 => DType::Uint4,
        6 => DType::Uint6,
        8 => DType::Uint8,
        other => fail!("palettes have 1, 2, 3, 4, 6 or 8 bits, not {other}"),
    })
}

/// The vectors along `axis` (elements, if `length` is 1) that are kept, in the order of their indices.
fn gather(job: &Job, axis: usize, length: usize, shape: &[usize]) -> Result<Vec<f32>> {
    let inner: usize = shape.iter().skip(axis + 1).product();
    let count: usize = shape.iter().product();
    let kept = |i: &usize| job.mask.is_none_or(|mask| mask[*i] != 0);
    let indices = (0..count).filter(kept);
    if length == 1 {
        return Ok(indices.map(|i| job.values[i]).collect());
    }
    let element = |i: usize, j: usize| {
        let (row, column) = (i / inner, i % inner);
        job.values[(row * length + j) * inner + column]
    };
    Ok(indices
        .flat_map(|i| (0..length).map(move |j| element(i, j)))
        .collect())
}

/// Points in groups, each group with a table of its own.
struct Clusters<'a> {
    points: &'a [f32],
    length: usize,
    entries: usize,
    groups: &'a Groups,
}

impl Clusters<'_> {
    fn of_group(&self, group: usize) -> Vec<f32> {
        let members = self.groups.members(group).iter();
        let point = |at: &u32| &self.points[*at as usize * self.length..][..self.length];
        members.flat_map(point).copied().collect()
    }

    /// The entries of all groups; for vectors, improved from the old ones if there are some.
    fn tables(&self, old: Option<&[f32]>, interrupt: &Interrupt) -> Result<Vec<f32>> {
        let size = self.entries * self.length;
        let table = |group: usize| {
            interrupt.check()?;
            let points = self.of_group(group);
            Ok(match self.length {
                1 => centres(&points, self.entries),
                length => {
                    let start = old.map(|old| old[group * size..][..size].to_vec());
                    vector_centres(&points, length, self.entries, start)
                }
            })
        };
        let tables: Result<Vec<_>> = (0..self.groups.len()).map(table).collect();
        Ok(tables?.concat())
    }

    /// The nearest entry of each point in the tables of its group, and the sum of squared distances.
    fn assign(&self, tables: &[f32]) -> (Vec<u8>, f64) {
        let size = self.entries * self.length;
        let mut error = 0.0;
        let mut by_group = Vec::with_capacity(self.points.len() / self.length);
        for group in 0..self.groups.len() {
            let points = self.of_group(group);
            let (indices, own) = assign(&points, self.length, &tables[group * size..][..size]);
            by_group.extend(indices);
            error += own;
        }
        (self.groups.scatter(by_group), error)
    }
}
