//! Scaled dot-product attention, a block of positions at a time: scores stay in the cache.
//!
//! Query heads may share key/value heads in groups (Ainslie et al. 2023); nothing is repeated in memory.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

use super::gemm::{Matrix, gemm};
use super::matmul::matmul;
use super::real::{Real, on_cpu, with_real};
use super::rows;
use super::softmax::{soften, softmax, softmax_gradient};

/// Positions that one task handles at most.
const BLOCK: usize = 64;

/// softmax(`scale` · Q Kᵀ + mask) V with `q` `[batch, heads, length, width]`, `k` and `v`
/// `[batch, groups, positions, width]`, `groups` a divisor of `heads`; `mask` broadcasts to
/// `[batch, heads, length, positions]`. What it takes, [`attention_fits`] tells.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    mask: Option<&Tensor>,
    scale: f64,
) -> Result<Tensor> {
    let (batch, heads, length, _) = q.dims4()?;
    let positions = k.dim(2)?;
    let mask = match mask {
        Some(mask) => Some(mask.broadcast_as((batch, heads, length, positions))?),
        None => None,
    };
    let empty = q.elem_count() == 0 || k.elem_count() == 0 || v.elem_count() == 0;
    if !on_cpu(q) || empty || mask.as_ref().is_some_and(Tensor::track_op) {
        return grouped_product(&weights(q, k, mask.as_ref(), scale)?, v);
    }
    q.apply_op3(k, v, Attention { mask, scale })?
        .transpose(1, 2)
}

/// `x` `[batch, heads, n, p]` times `y` `[batch, groups, p, m]`.
fn grouped_product(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let (batch, heads, n, _) = x.dims4()?;
    matmul(&grouped(x, y.dim(1)?)?, y, false)?.reshape((batch, heads, n, y.dim(3)?))
}

/// The heads of a group one below the other: `[batch, groups, heads / groups · n, width]`.
fn grouped(x: &Tensor, groups: usize) -> Result<Tensor> {
    let (batch, heads, n, width) = x.dims4()?;
    match heads == groups {
        true => Ok(x.clone()),
        false => x.reshape((batch, groups, heads / groups * n, width)),
    }
}

/// What each position takes from each other one: `[batch, heads, length, positions]`.
fn weights(q: &Tensor, k: &Tensor, mask: Option<&Tensor>, scale: f64) -> Result<Tensor> {
    let (batch, heads, length, _) = q.dims4()?;
    let scores = matmul(&grouped(&(q * scale)?, k.dim(1)?)?, k, true)?;
    let scores = scores.reshape((batch, heads, length, k.dim(2)?))?;
    softmax(&match mask {
        Some(mask) => (scores + mask)?,
        None => scores,
    })
}

/// Whether [`attention`] takes these.
pub fn attention_fits([q, k, v]: [&Tensor; 3], mask: Option<&Tensor>) -> bool {
    let (&[batch, heads, length, width], &[_, groups, positions, _]) = (q.dims(), k.dims()) else {
        return false;
    };
    let scores = [batch, heads, length, positions];
    let broadcasts = |mask: &Tensor| {
        let pairs = mask.dims().iter().rev().zip(scores.iter().rev());
        mask.rank() <= 4
            && pairs
                .into_iter()
                .all(|(own, full)| own == full || *own == 1)
    };
    k.dims() == [batch, groups, positions, width]
        && v.rank() == 4
        && v.dims()[..3] == [batch, groups, positions]
        && groups > 0
        && heads.is_multiple_of(groups)
        && mask.is_none_or(broadcasts)
}

struct Attention {
    mask: Option<Tensor>,
    scale: f64,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    /// The result is `[batch, length, heads, width]`: so programs go on with it.
    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let held = self.mask.as_ref().map(Tensor::storage_and_layout);
        let mask = match &held {
            Some((storage, layout)) => match &**storage {
                candle_core::Storage::Cpu(storage) => Some((storage, *layout)),
                _ => candle_core::bail!("attention got a mask on another device"),
            },
            None => None,
        };
        let (batch, heads, length, _) = q_layout.shape().dims4()?;
        let shape = Shape::from((batch, length, heads, v_layout.dims()[3]));
        with_real!(q, self.name(), R => {
            let mask: Option<(&[R], &Layout)> = match mask {
                Some((storage, layout)) => Some((R::cpu_storage_as_slice(storage)?, layout)),
                None => None,
            };
            let work = Work {
                q: (R::cpu_storage_as_slice(q)?, q_layout),
                k: (R::cpu_storage_as_slice(k)?, k_layout),
                v: (R::cpu_storage_as_slice(v)?, v_layout),
                mask,
                scale: R::of(self.scale),
            };
            let mut result = vec![R::of(0.0); shape.elem_count()];
            work.run(&mut result);
            Ok((R::to_cpu_storage_owned(result), shape))
        })
    }

    /// With P the weights: dV = Pᵀ g, dS = P · (dP − Σ dP·P) with dP = g Vᵀ, dQ = scale · dS K,
    /// dK = scale · dSᵀ Q. P is computed again rather than kept.
    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [detached_q, detached_k, detached_v] = [q, k, v].map(Tensor::detach);
        let grad = grad.transpose(1, 2)?.contiguous()?;
        let p = weights(&detached_q, &detached_k, self.mask.as_ref(), self.scale)?;
        let groups = k.dim(1)?;
        let turned = |x: &Tensor, y: &Tensor| {
            matmul(
                &grouped(x, groups)?.transpose(2, 3)?,
                &grouped(y, groups)?,
                false,
            )
        };
        let wide_v = v.track_op().then(|| turned(&p, &grad)).transpose()?;
        if !q.track_op() && !k.track_op() {
            return Ok((None, None, wide_v));
        }
        let dp = matmul(&grouped(&grad, groups)?, &detached_v, true)?;
        let ds = (softmax_gradient(&p, &dp.reshape(p.shape())?)? * self.scale)?;
        let wide_q = q.track_op().then(|| grouped_product(&ds, &detached_k));
        let wide_k = k.track_op().then(|| turned(&ds, &detached_q.contiguous()?));
        Ok((wide_q.transpose()?, wide_k.transpose()?, wide_v))
    }
}

/// Operands with their layouts.
struct Work<'a, R> {
    q: (&'a [R], &'a Layout),
    k: (&'a [R], &'a Layout),
    v: (&'a [R], &'a Layout),
    mask: Option<(&'a [R], &'a Layout)>,
    scale: R,
}

impl<R: Real> Work<'_, R> {
    fn run(&self, result: &mut [R]) {
        let [_, heads, length, _] = extents(self.q.1);
        let width = extents(self.v.1)[3];
        let threads = rayon::current_num_threads();
        // Results of one task lie side by side: positions of all heads, or heads of one position.
        let (positions, share) = match length {
            1 => (1, heads.div_ceil(2 * threads)),
            _ => (length.div_ceil(2 * threads).min(BLOCK), heads),
        };
        let line = heads * width;
        let tasks = result.chunks_mut(length * line).enumerate();
        let tasks = tasks.flat_map(|(batch, example)| {
            let blocks = example.chunks_mut(positions * line).enumerate();
            blocks.flat_map(move |(block, rows)| {
                let parts = rows.chunks_mut(if length == 1 {
                    share * width
                } else {
                    usize::MAX
                });
                let part = move |(i, part)| (batch, block * positions, i * share, part);
                parts.enumerate().map(part)
            })
        });
        let tasks: Vec<(usize, usize, usize, &mut [R])> = tasks.collect();
        tasks.into_par_iter().for_each(|(batch, row, head, part)| {
            let count = if length == 1 {
                part.len() / width
            } else {
                heads
            };
            let rows = part.len() / (count * width);
            let mut scores = Vec::new();
            for i in 0..count {
                let part = &mut part[i * width..];
                self.block(
                    batch,
                    head + i,
                    (row, rows),
                    (part, count * width),
                    &mut scores,
                );
            }
        });
    }

    /// `rows` positions from `row` on of one head.
    fn block(
        &self,
        batch: usize,
        head: usize,
        (row, rows): (usize, usize),
        result: (&mut [R], usize),
        scores: &mut Vec<R>,
    ) {
        let [_, heads, length, _] = extents(self.q.1);
        let [_, groups, positions, _] = extents(self.k.1);
        let group = head / (heads / groups);
        let q = matrix(self.q, batch, head);
        let q = Matrix {
            data: &q.data[row * q.row_step..],
            rows,
            ..q
        };
        let k = matrix(self.k, batch, group);
        scores.resize(rows * positions, R::of(0.0));
        gemm((scores, positions), q, k.turned(), self.scale, false);
        for (i, scores) in scores.chunks_mut(positions).enumerate() {
            if let Some((mask, layout)) = self.mask {
                let start = rows::start(layout, (batch * heads + head) * length + row + i);
                let step = layout.stride()[3];
                for (j, score) in scores.iter_mut().enumerate() {
                    *score += mask[start + j * step];
                }
            }
            soften(scores);
        }
        let weights = Matrix::rows(scores, rows, positions);
        gemm(
            result,
            weights,
            matrix(self.v, batch, group),
            R::of(1.0),
            false,
        );
    }
}

fn extents(layout: &Layout) -> [usize; 4] {
    std::array::from_fn(|i| layout.dims()[i])
}

/// One head of one example.
fn matrix<'a, R>((data, layout): (&'a [R], &Layout), batch: usize, head: usize) -> Matrix<'a, R> {
    let stride = layout.stride();
    let [_, _, rows, columns] = extents(layout);
    Matrix {
        data: &data[layout.start_offset() + batch * stride[0] + head * stride[1]..],
        rows,
        columns,
        row_step: stride[2],
        column_step: stride[3],
    }
}
