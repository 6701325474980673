//! Boxes found in images: the best of those that overlap.

use candle_core::{DType as Candle, Tensor};

use super::{Op, integers, sample, sample_of, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[smooth(
    "non_maximum_suppression",
    non_maximum_suppression,
    &[
        sample(
            "tensor<fp32, [1, 4, 3]> c, tensor<fp32, [1, 1, 3]> s, tensor<int32, [1, 3]> i = non_maximum_suppression(boxes = tensor<fp32, [1, 4, 3]>([[[1.0, 1.25, 9.0], [2.0, 2.0, 2.0], [4.0, 4.0, 1.0], [2.0, 2.0, 1.0]]]), scores = tensor<fp32, [1, 1, 3]>([[[0.5, 0.75, -0.25]]]), iou_threshold = fp32(0.5), max_boxes = int32(3));",
            &[
                &[1.25, 9.0, 0.0, 2.0, 2.0, 0.0, 4.0, 1.0, 0.0, 2.0, 1.0, 0.0],
                &[0.75, -0.25, 0.0],
                &[1.0, 2.0, -1.0],
            ],
        ),
        sample_of(
            15,
            "tensor<fp32, [1, 2, 4]> c, tensor<fp32, [1, 2, 2]> s, tensor<int32, [1, 2]> i, tensor<int32, [1]> n = non_maximum_suppression(boxes = tensor<fp32, [1, 3, 4]>([[[1.0, 2.0, 4.0, 2.0], [1.25, 2.0, 4.0, 2.0], [9.0, 2.0, 1.0, 1.0]]]), scores = tensor<fp32, [1, 3, 2]>([[[0.5, 0.0], [0.25, 0.75], [0.125, 0.0]]]), iou_threshold = fp32(0.5), score_threshold = fp32(0.25), max_boxes = int32(2), per_class_suppression = bool(true));",
            &[
                &[1.25, 2.0, 4.0, 2.0, 1.0, 2.0, 4.0, 2.0],
                &[0.25, 0.75, 0.5, 0.0],
                &[1.0, 0.0],
                &[2.0],
            ],
        ),
    ],
)
.batch(Batch::Fold(
    &[("boxes", 0), ("scores", 0)],
    &[0, 0, 0, 0],
))];

/// What decides which boxes of an image stay.
struct Choice {
    overlap: f64,
    least: f64,
    most: usize,
    per_class: bool,
}

/// Boxes are (x, y, width, height) around their centre. Before iOS 17 they stand in rows, and a last
/// result counts those chosen; since then in columns. Places not taken are 0, with the index −1.
fn non_maximum_suppression(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let columns = call.opset >= 17;
    let rows = |name: &str| -> Result<Tensor> {
        let given = call.floats(name)?;
        match (given.rank(), columns) {
            (3, true) => Ok(given.transpose(1, 2)?.contiguous()?),
            (3, false) => Ok(given.contiguous()?),
            _ => fail!("\"{name}\" has three axes, got {:?}", given.dims()),
        }
    };
    let (boxes, scores) = (rows("boxes")?, rows("scores")?);
    let (images, count, classes) = scores.dims3()?;
    if boxes.dims() != [images, count, 4] || classes == 0 {
        fail!("boxes {:?} with scores {:?}", boxes.dims(), scores.dims());
    }
    let choice = Choice {
        overlap: call.float("iou_threshold")?,
        least: match columns {
            true => f64::NEG_INFINITY,
            false => call.float("score_threshold")?,
        },
        most: call.count("max_boxes")?,
        per_class: call.bool_or("per_class_suppression", false)?,
    };
    call.check_size(&[images, choice.most, classes.max(4)])?;
    let chosen: Vec<Vec<usize>> = (0..images)
        .map(|i| choice.of(&boxes.get(i)?, &scores.get(i)?))
        .collect::<Result<_>>()?;
    let mut results: Vec<Value> = Vec::new();
    for table in [&boxes, &scores] {
        let seen = picked(table, &chosen, choice.most)?;
        results.push(
            if columns {
                seen.transpose(1, 2)?.contiguous()?
            } else {
                seen
            }
            .into(),
        );
    }
    let indices = padded(&chosen, choice.most, -1);
    results.push(integers::tensor(indices, &[images, choice.most])?.into());
    if !columns {
        let counts = chosen.iter().map(|c| c.len() as i64).collect();
        results.push(integers::tensor(counts, &[images])?.into());
    }
    Ok(results)
}

impl Choice {
    /// Indices of the boxes `[B, 4]` that stay, best first. A box counts for its best class. If all score
    /// too low, the best one stays.
    fn of(&self, boxes: &Tensor, scores: &Tensor) -> Result<Vec<usize>> {
        let host = |t: &Tensor| t.detach().to_dtype(Candle::F64)?.to_vec2::<f64>();
        let (boxes, scores) = (host(boxes)?, host(scores)?);
        let best: Vec<(f64, usize)> = scores.iter().map(|row| best_class(row)).collect();
        let mut order: Vec<usize> = (0..best.len()).collect();
        order.sort_by(|a, b| best[*b].0.total_cmp(&best[*a].0));
        let mut chosen: Vec<usize> = Vec::new();
        for box_ in order.iter().copied() {
            if chosen.len() == self.most {
                break;
            }
            let rivals = chosen
                .iter()
                .filter(|other| !self.per_class || best[**other].1 == best[box_].1);
            let hidden = |other: &usize| overlap(&boxes[*other], &boxes[box_]) > self.overlap;
            if best[box_].0 >= self.least && !rivals.clone().any(hidden) {
                chosen.push(box_);
            }
        }
        if chosen.is_empty() {
            chosen.extend(order.first().filter(|_| self.most > 0));
        }
        Ok(chosen)
    }
}

/// The highest score, and the first class that has it.
fn best_class(scores: &[f64]) -> (f64, usize) {
    let first = (f64::NEG_INFINITY, 0);
    scores
        .iter()
        .enumerate()
        .fold(first, |best, (class, score)| match *score > best.0 {
            true => (*score, class),
            false => best,
        })
}

/// The area that two boxes share, over the area that they cover together.
fn overlap(a: &[f64], b: &[f64]) -> f64 {
    let shared = |axis: usize| {
        let low = (a[axis] - a[axis + 2] / 2.0).max(b[axis] - b[axis + 2] / 2.0);
        let high = (a[axis] + a[axis + 2] / 2.0).min(b[axis] + b[axis + 2] / 2.0);
        (high - low).max(0.0)
    };
    let both = shared(0) * shared(1);
    let covered = a[2] * a[3] + b[2] * b[3] - both;
    if covered > 0.0 { both / covered } else { 0.0 }
}

/// `most` indices for each image.
fn padded(chosen: &[Vec<usize>], most: usize, none: i64) -> Vec<i64> {
    let rows = chosen.iter().flat_map(|row| {
        let indices = row.iter().map(|i| *i as i64);
        indices.chain(std::iter::repeat_n(none, most - row.len()))
    });
    rows.collect()
}

/// The chosen rows of `table` `[N, B, W]`, then zeros.
fn picked(table: &Tensor, chosen: &[Vec<usize>], most: usize) -> Result<Tensor> {
    let (images, count, width) = table.dims3()?;
    let with_zeros = table.pad_with_zeros(1, 0, 1)?;
    let indices = padded(chosen, most, count as i64);
    let indices = integers::tensor(indices, &[images, most, 1])?.to_device(table.device())?;
    let indices = indices.broadcast_as((images, most, width))?.contiguous()?;
    Ok(with_zeros.contiguous()?.gather(&indices, 1)?)
}
