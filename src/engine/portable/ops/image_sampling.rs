//! Images seen at points of free form: between pixels by bilinear weights, outside by padding.

use candle_core::{DType as Candle, Device, Tensor};

use super::image_resizing::grid;
use super::{Op, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "affine",
        affine,
        &[sample(
            "tensor<fp32, [1, 1, 2, 5]> y = affine(x = tensor<fp32, [1, 1, 2, 2]>([[[[11.0, 22.0], [33.0, 44.0]]]]), transform_matrix = tensor<fp32, [1, 6]>([[-1.0, -2.0, -3.7, -1.0, 3.5, 1.2]]), output_height = int32(2), output_width = int32(5), sampling_mode = string(\"bilinear\"), padding_mode = string(\"constant\"), padding_value = fp32(0.0), coordinates_mode = string(\"normalized_minus_one_to_one\"), align_corners = bool(true));",
            &[&[10.7525, 5.94, 2.5025, 0.44, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]],
        )],
    ).batch(Batch::Fold(&[("x", 0), ("transform_matrix", 0)], &[0])),
    smooth(
        "crop_resize",
        crop_resize,
        &[
            sample(
                "tensor<fp32, [2, 1, 2, 2]> y = crop_resize(x = tensor<fp32, [1, 1, 4, 4]>([[[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0], [13.0, 14.0, 15.0, 16.0]]]]), boxes = tensor<fp32, [2, 4]>([[0.1, 0.3, 1.3, 0.9], [0.5, 1.8, 0.9, 0.3]]), box_indices = tensor<int32, [2]>([0, 0]), target_height = int32(2), target_width = int32(2), normalized_coordinates = bool(true), box_coordinate_mode = string(\"CORNERS_HEIGHT_FIRST\"), sampling_mode = string(\"ALIGN_CORNERS\"), pad_value = fp32(10.0));",
                &[&[3.1, 4.9, 10.0, 10.0, 10.0, 7.9, 10.0, 12.7]],
            ),
            super::sample_of(
                16,
                "tensor<fp32, [1, 1, 1, 1, 2]> y = crop_resize(x = tensor<fp32, [1, 1, 2, 2]>([[[[1.0, 2.0], [3.0, 4.0]]]]), roi = tensor<fp32, [1, 1, 4, 1, 1]>([[[[[0.5]], [[0.25]], [[0.5]], [[0.5]]]]]), target_width = int32(2), box_coordinate_mode = string(\"CENTER_SIZE_WIDTH_FIRST\"), sampling_mode = string(\"ALIGN_CORNERS\"));",
                &[&[1.75, 2.25]],
            ),
            super::sample_of(
                15,
                "tensor<fp32, [1, 1, 1, 2, 2]> y = crop_resize(x = tensor<fp32, [1, 1, 4, 4]>([[[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0, 11.0, 12.0], [13.0, 14.0, 15.0, 16.0]]]]), roi = tensor<fp32, [1, 1, 4, 1, 1]>([[[[[2.0]], [[2.0]], [[1.0]], [[1.0]]]]]), target_height = int32(2), target_width = int32(2), normalized_coordinates = bool(true), sampling_mode = string(\"UNALIGN_CORNERS\"));",
                &[&[3.5, 5.5, 11.5, 13.5]],
            ),
        ],
    ),
    smooth(
        "resample",
        resample,
        &[
            sample(
                "tensor<fp32, [1, 1, 1, 3]> y = resample(x = tensor<fp32, [1, 1, 2, 2]>([[[[11.0, 22.0], [33.0, 44.0]]]]), coordinates = tensor<fp32, [1, 1, 3, 2]>([[[[-0.9, -1.9], [0.1, 0.2], [3.5, 1.2]]]]), sampling_mode = string(\"bilinear\"), padding_mode = string(\"constant\"), padding_value = fp32(6.0), coordinates_mode = string(\"normalized_minus_one_to_one\"), align_corners = bool(true));",
                &[&[9.0525, 30.25, 6.0]],
            ),
            sample(
                "tensor<fp32, [1, 1, 1, 2]> y = resample(x = tensor<fp32, [1, 1, 2, 2]>([[[[11.0, 22.0], [33.0, 44.0]]]]), coordinates = tensor<fp32, [1, 1, 2, 2]>([[[[-3.7, -0.9], [3.4, 1.2]]]]), sampling_mode = string(\"bilinear\"), padding_mode = string(\"reflection\"), padding_value = fp32(-1.0), coordinates_mode = string(\"normalized_zero_to_one\"), align_corners = bool(true));",
                &[&[34.1, 35.2]],
            ),
            sample(
                "tensor<fp32, [1, 1, 1, 2]> y = resample(x = tensor<fp32, [1, 1, 2, 2]>([[[[11.0, 22.0], [33.0, 44.0]]]]), coordinates = tensor<fp32, [1, 1, 2, 2]>([[[[-3.7, -1.1], [3.6, 1.2]]]]), sampling_mode = string(\"nearest\"), padding_mode = string(\"symmetric\"), padding_value = fp32(-1.0), coordinates_mode = string(\"normalized_zero_to_one\"), align_corners = bool(false));",
                &[&[33.0, 33.0]],
            ),
        ],
    ).batch(Batch::Fold(&[("x", 0), ("coordinates", 0)], &[0])),
];

/// What lies outside of an image.
#[derive(Clone, Copy, PartialEq)]
enum Padding {
    /// Pixels of one value.
    Constant,
    /// That value as soon as the point itself is outside.
    Whole,
    /// The pixels of the border.
    Border,
    /// The image mirrored at its border pixels, which are not repeated.
    Reflection,
    /// The image mirrored at its edge.
    Symmetric,
}

/// How an image is seen.
struct View {
    padding: Padding,
    /// The value of [`Padding::Constant`] and [`Padding::Whole`].
    outside: f64,
    /// The nearest pixel alone instead of weights.
    nearest: bool,
}

/// Points along one axis: the two pixels around each, and the weight of the second.
struct Around {
    pixels: [Vec<i64>; 2],
    /// 1 where a pixel counts, 0 where the value of outside stands for it.
    inside: [Vec<f64>; 2],
    weight: Tensor,
}

impl View {
    /// `x` `[B, C, H, W]` at the points `ys` and `xs`, in pixels, each `[B, P]`: `[B, C, P]`.
    fn of(&self, call: &Call, x: &Tensor, ys: &Tensor, xs: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = x.dims4()?;
        if height == 0 || width == 0 {
            fail!("an image of shape {:?} has no pixels", x.dims());
        }
        let shape = [batch, channels, ys.elem_count() / batch.max(1)];
        call.check_size(&shape)?;
        let flat = x.contiguous()?.reshape((batch, channels, height * width))?;
        let (ys, xs) = (self.around(ys, height)?, self.around(xs, width)?);
        let row = (batch, 1, shape[2]);
        let constant = |values: Vec<f64>| -> Result<Tensor> {
            let tensor = Tensor::from_vec(values, row, &Device::Cpu)?;
            Ok(tensor.to_dtype(x.dtype())?.to_device(x.device())?)
        };
        let mut sum = Tensor::zeros(&shape, x.dtype(), x.device())?;
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let places = ys.pixels[i].iter().zip(&xs.pixels[j]);
            let places: Vec<i64> = places.map(|(y, x)| y * width as i64 + x).collect();
            let places = Tensor::from_vec(places, row, &Device::Cpu)?.to_device(x.device())?;
            let places = places.broadcast_as(&shape)?.contiguous()?;
            let inside = ys.inside[i].iter().zip(&xs.inside[j]);
            let inside: Vec<f64> = inside.map(|(y, x)| y * x).collect();
            let outside = inside.iter().map(|v| (1.0 - v) * self.outside).collect();
            let pixels = flat.gather(&places, 2)?.broadcast_mul(&constant(inside)?)?;
            let pixels = pixels.broadcast_add(&constant(outside)?)?;
            let weight = (ys.weight(i)? * xs.weight(j)?)?.reshape(row)?;
            sum = (sum + pixels.broadcast_mul(&weight)?)?;
        }
        Ok(sum)
    }

    fn around(&self, points: &Tensor, extent: usize) -> Result<Around> {
        let values: Vec<f64> = points.flatten_all()?.to_dtype(Candle::F64)?.to_vec1()?;
        if values.iter().any(|v| !v.is_finite()) {
            fail!("an image can't be seen at a point that is no number");
        }
        let bent: Vec<(f64, f64)> = values.iter().map(|v| self.bent(*v, extent)).collect();
        let placed = values
            .iter()
            .zip(&bent)
            .map(|(v, (slope, shift))| slope * v + shift);
        let placed: Vec<f64> = match self.nearest {
            true => placed.map(f64::round_ties_even).collect(),
            false => placed.collect(),
        };
        let low: Vec<f64> = placed.iter().map(|p| p.floor()).collect();
        let constant = |values: Vec<f64>| -> Result<Tensor> {
            let tensor = Tensor::from_vec(values, points.shape(), &Device::Cpu)?;
            Ok(tensor
                .to_dtype(points.dtype())?
                .to_device(points.device())?)
        };
        let weight = match self.nearest {
            true => points.zeros_like()?,
            false => {
                let slopes = constant(bent.iter().map(|(slope, _)| *slope).collect())?;
                let shifts = bent.iter().zip(&low).map(|((_, shift), low)| shift - low);
                ((points * slopes)? + constant(shifts.collect())?)?
            }
        };
        let last = extent as f64 - 1.0;
        let pixel = |add: f64| low.iter().map(move |p| (p + add).clamp(0.0, last) as i64);
        let counts = |point: f64, pixel: f64| match self.padding {
            Padding::Constant => f64::from((0.0..=last).contains(&pixel)),
            Padding::Whole => f64::from((0.0..=last).contains(&point)),
            _ => 1.0,
        };
        let inside = |add: f64| {
            placed
                .iter()
                .zip(&low)
                .map(move |(p, low)| counts(*p, low + add))
        };
        Ok(Around {
            pixels: [pixel(0.0).collect(), pixel(1.0).collect()],
            inside: [inside(0.0).collect(), inside(1.0).collect()],
            weight,
        })
    }

    /// Where a point is looked up: at `slope · point + shift`.
    fn bent(&self, point: f64, extent: usize) -> (f64, f64) {
        let last = extent as f64 - 1.0;
        let (start, span) = match self.padding {
            Padding::Constant | Padding::Whole => return (1.0, 0.0),
            Padding::Border => (0.0, 0.0),
            Padding::Reflection => (0.0, last),
            Padding::Symmetric => (-0.5, extent as f64),
        };
        let (mut slope, mut shift) = (1.0, 0.0);
        if span > 0.0 {
            if point < start {
                (slope, shift) = (-1.0, 2.0 * start);
            }
            let turns = ((slope * point + shift - start) / span).floor();
            if turns % 2.0 == 0.0 {
                shift -= turns * span;
            } else {
                (slope, shift) = (-slope, 2.0 * start + (turns + 1.0) * span - shift);
            }
        }
        match slope * point + shift {
            place if place < 0.0 => (0.0, 0.0),
            place if place > last => (0.0, last),
            _ => (slope, shift),
        }
    }
}

impl Around {
    fn weight(&self, second: usize) -> Result<Tensor> {
        Ok(match second {
            0 => self.weight.affine(-1.0, 1.0)?,
            _ => self.weight.clone(),
        })
    }
}

/// Coordinates in pixels of an axis.
fn pixels(coordinates: &Tensor, mode: &str, aligned: bool, extent: usize) -> Result<Tensor> {
    let (extent, last) = (extent as f64, extent as f64 - 1.0);
    let (scale, shift) = match (mode, aligned) {
        ("unnormalized", _) => (1.0, 0.0),
        ("normalized_minus_one_to_one", true) => (last / 2.0, last / 2.0),
        ("normalized_minus_one_to_one", false) => (extent / 2.0, last / 2.0),
        ("normalized_zero_to_one", true) => (last, 0.0),
        ("normalized_zero_to_one", false) => (extent, -0.5),
        _ => fail!("coordinates mode \"{mode}\" is not known"),
    };
    Ok(coordinates.affine(scale, shift)?)
}

fn image<'c>(call: &'c Call) -> Result<&'c Tensor> {
    let x = call.floats("x")?;
    match x.rank() {
        4 => Ok(x),
        _ => fail!("an image has the axes [B, C, H, W], got {:?}", x.dims()),
    }
}

/// Floats of the type and device of `x`; integers are converted.
fn like(x: &Tensor, other: &Tensor) -> Result<Tensor> {
    Ok(other.to_dtype(x.dtype())?.to_device(x.device())?)
}

fn view(call: &Call) -> Result<View> {
    let padding = match call.text("padding_mode")? {
        "constant" => Padding::Constant,
        "border" => Padding::Border,
        "reflection" => Padding::Reflection,
        "symmetric" => Padding::Symmetric,
        other => fail!("padding mode \"{other}\" is not known"),
    };
    let nearest = match call.text("sampling_mode")? {
        "bilinear" => false,
        "nearest" => true,
        other => fail!("sampling mode \"{other}\" is not known"),
    };
    Ok(View {
        padding,
        outside: call.float("padding_value")?,
        nearest,
    })
}

fn resample(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = image(call)?;
    let coordinates = like(x, call.tensor("coordinates")?)?;
    let (batch, channels, height, width) = x.dims4()?;
    let [b, rows, columns, 2] = *coordinates.dims() else {
        fail!("coordinates are [B, H, W, 2], got {:?}", coordinates.dims());
    };
    if b != batch {
        fail!("coordinates of {b} images for {batch}");
    }
    let (mode, aligned) = (
        call.text("coordinates_mode")?,
        call.int("align_corners")? != 0,
    );
    let along = |i: usize, extent: usize| -> Result<Tensor> {
        let axis = shapes::part(&coordinates, 3, i, 1)?.reshape((batch, rows * columns))?;
        pixels(&axis, mode, aligned, extent)
    };
    let seen = view(call)?.of(call, x, &along(1, height)?, &along(0, width)?)?;
    one(seen.reshape((batch, channels, rows, columns))?)
}

/// Looks up the point (a₀x + a₁y + a₂, b₀x + b₁y + b₂) for the point (x, y) of the output.
fn affine(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = image(call)?;
    let (batch, channels, height, width) = x.dims4()?;
    let (rows, columns) = (call.count("output_height")?, call.count("output_width")?);
    let (mode, aligned) = (
        call.text("coordinates_mode")?,
        call.int("align_corners")? != 0,
    );
    if mode != "normalized_minus_one_to_one" || !aligned {
        fail!("affine is defined for corners that are aligned and coordinates from -1 to 1");
    }
    let matrix = call.floats("transform_matrix")?;
    let Ok(matrix) = matrix.broadcast_as((batch, 6)) else {
        fail!("a transform matrix is [B or 1, 6], got {:?}", matrix.dims());
    };
    call.check_size(&[batch, channels, rows, columns])?;
    let place = |i: usize, count: usize| 2.0 * i as f64 / (count.max(2) - 1) as f64 - 1.0;
    let points = (0..rows * columns).flat_map(|p| {
        let (row, column) = (p / columns, p % columns);
        [place(column, columns), place(row, rows), 1.0]
    });
    let points: Vec<f64> = points.collect();
    let points = Tensor::from_vec(points, (rows * columns, 3), &Device::Cpu)?;
    let points = like(x, &points)?.t()?.contiguous()?;
    let along = |i: usize, extent: usize| -> Result<Tensor> {
        let line = shapes::part(&matrix, 1, 3 * i, 3)?.contiguous()?;
        pixels(&line.matmul(&points)?, mode, aligned, extent)
    };
    let seen = view(call)?.of(call, x, &along(1, height)?, &along(0, width)?)?;
    one(seen.reshape((batch, channels, rows, columns))?)
}

/// Boxes of images at a size of their own: `[N, C, H, W]`, before iOS 17 `[N, B or 1, C, H, W]`.
fn crop_resize(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = image(call)?;
    let (batch, channels, height, width) = x.dims4()?;
    let size = |name: &str| -> Result<usize> {
        let given = usize::try_from(call.int_or(name, 1)?);
        given.map_or_else(|_| fail!("parameter \"{name}\" must not be negative"), Ok)
    };
    let (rows, columns) = (size("target_height")?, size("target_width")?);
    let (boxes, images, copies) = boxes(call, x, batch)?;
    let count = images.len();
    call.check_size(&[count, channels, height.max(rows), width.max(columns)])?;
    let sides = sides(call, &boxes)?;
    let ys = between(call, &sides[0], rows, height)?.unsqueeze(2)?;
    let xs = between(call, &sides[1], columns, width)?.unsqueeze(1)?;
    let spread = |t: Tensor| -> Result<Tensor> {
        let points = t.broadcast_as((count, rows, columns))?.contiguous()?;
        Ok(points.reshape((count, rows * columns))?)
    };
    let images = Tensor::from_vec(images, count, &Device::Cpu)?.to_device(x.device())?;
    let images = x.contiguous()?.index_select(&images, 0)?;
    let view = View {
        padding: match call.text_or("sampling_mode", "DEFAULT")? {
            "UNALIGN_CORNERS" => Padding::Symmetric,
            _ => Padding::Whole,
        },
        outside: call.float_or("pad_value", 0.0)?,
        nearest: false,
    };
    let seen = view.of(call, &images, &spread(ys)?, &spread(xs)?)?;
    one(match copies {
        Some(copies) => seen.reshape((count / copies.max(1), copies, channels, rows, columns))?,
        None => seen.reshape((count, channels, rows, columns))?,
    })
}

/// `size` pixels between the `start` and the `end` of each box along an axis of `extent`: `[N, size]`.
///
/// Relative coordinates run from the first pixel to the last; with `UNALIGN_CORNERS` from edge to edge, and
/// the image is mirrored beyond them. No text of Apple's says that: it gives the numbers of the only
/// known case, coremltools' test of that mode.
fn between(call: &Call, [start, end]: &[Tensor; 2], size: usize, extent: usize) -> Result<Tensor> {
    let mode = call.text_or("sampling_mode", "DEFAULT")?;
    let normalized = call.bool_or("normalized_coordinates", false)?;
    let edges = normalized && mode == "UNALIGN_CORNERS";
    let scale = match normalized {
        true => extent as f64 - f64::from(!edges),
        false => 1.0,
    };
    let scale = scale * call.float_or("spatial_scale", 1.0)?;
    let grid = grid(mode, size)?;
    let row = |value: &dyn Fn(&(f64, f64)) -> f64| -> Result<Tensor> {
        let values: Vec<f64> = grid.iter().map(value).collect();
        like(start, &Tensor::from_vec(values, (1, size), &Device::Cpu)?)
    };
    // In this form the first and the last point are exact: none falls off the image by rounding.
    let from_start = start.broadcast_mul(&row(&|(a, _)| (1.0 - a) * scale)?)?;
    let from_end = end.broadcast_mul(&row(&|(a, _)| a * scale)?)?;
    let shift = row(&|(_, b)| if edges { -0.5 } else { *b })?;
    Ok((from_start + from_end)?.broadcast_add(&shift)?)
}

/// The boxes `[N, 4]`, the image of each, and before iOS 17 the extent of the second axis.
fn boxes(call: &Call, x: &Tensor, batch: usize) -> Result<(Tensor, Vec<i64>, Option<usize>)> {
    let check = |images: Vec<i64>| match images.iter().find(|i| !(0..batch as i64).contains(i)) {
        Some(wrong) => fail!("there is no image {wrong}: there are {batch}"),
        None => Ok(images),
    };
    let Some(roi) = call.opt_tensor("roi")? else {
        let boxes = like(x, call.tensor("boxes")?)?;
        let [count, 4] = *boxes.dims() else {
            fail!("boxes are [N, 4], got {:?}", boxes.dims());
        };
        let images = call.opt_ints("box_indices")?;
        let images = check(images.unwrap_or_else(|| (0..count as i64).collect()))?;
        if images.len() != count {
            fail!("{} box indices for {count} boxes", images.len());
        }
        return Ok((boxes, images, None));
    };
    let roi = like(x, roi)?;
    match *roi.dims() {
        [count, 1, 4, 1, 1] => {
            let each = roi
                .reshape((count, 1, 4))?
                .broadcast_as((count, batch, 4))?;
            let images = (0..count).flat_map(|_| 0..batch as i64).collect();
            Ok((
                each.contiguous()?.reshape((count * batch, 4))?,
                images,
                Some(batch),
            ))
        }
        [count, 1, 5, 1, 1] => {
            let roi = roi.reshape((count, 5))?;
            let images: Vec<f64> = shapes::part(&roi, 1, 0, 1)?
                .flatten_all()?
                .to_dtype(Candle::F64)?
                .to_vec1()?;
            let images = check(images.into_iter().map(|i| i as i64).collect())?;
            Ok((shapes::part(&roi, 1, 1, 4)?.contiguous()?, images, Some(1)))
        }
        _ => fail!("boxes are [N, 1, 4 or 5, 1, 1], got {:?}", roi.dims()),
    }
}

/// Start and end of the boxes, each `[N, 1]`, along the height and along the width.
fn sides(call: &Call, boxes: &Tensor) -> Result<[[Tensor; 2]; 2]> {
    let column = |i: usize| -> Result<Tensor> { shapes::part(boxes, 1, i, 1) };
    let corners = |i: usize| -> Result<[Tensor; 2]> { Ok([column(i)?, column(i + 2)?]) };
    let centred = |i: usize| -> Result<[Tensor; 2]> {
        let (centre, half) = (column(i)?, column(i + 2)?.affine(0.5, 0.0)?);
        Ok([(&centre - &half)?, (centre + half)?])
    };
    match call.text_or("box_coordinate_mode", "CORNERS_HEIGHT_FIRST")? {
        "CORNERS_HEIGHT_FIRST" => Ok([corners(0)?, corners(1)?]),
        "CORNERS_WIDTH_FIRST" => Ok([corners(1)?, corners(0)?]),
        "CENTER_SIZE_HEIGHT_FIRST" => Ok([centred(0)?, centred(1)?]),
        "CENTER_SIZE_WIDTH_FIRST" => Ok([centred(1)?, centred(0)?]),
        other => fail!("box coordinate mode \"{other}\" is not known"),
    }
}
