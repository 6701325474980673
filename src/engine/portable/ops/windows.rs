//! Windows that slide over the spatial axes of `[n, channels, …]`: what convolutions and pools share.

use candle_core::{Device, Tensor};

use crate::diag::Result;
use crate::engine::portable::call::Call;
use crate::fail;

/// How a window slides along one axis.
#[derive(Debug, Clone, Copy)]
pub struct Slide {
    /// Elements of the input.
    pub extent: usize,
    /// Elements of the window, and the distance between them.
    pub size: usize,
    pub dilation: usize,
    /// Distance between windows, and how many there are.
    pub stride: usize,
    pub count: usize,
    /// Elements missing before the input and after it.
    pub before: usize,
    pub after: usize,
}

impl Slide {
    /// Extent that a window covers.
    pub fn reach(&self) -> usize {
        (self.size - 1) * self.dilation + 1
    }
}

/// Slides of windows of `sizes` over the spatial extents `dims`, by the parameters `strides`,
/// `dilations`, `pad_type`, `pad` and `ceil_mode`.
pub fn slides(call: &Call, dims: &[usize], sizes: &[usize]) -> Result<Vec<Slide>> {
    let n = dims.len();
    let setting = |name: &str, default: usize, len: usize| -> Result<Vec<usize>> {
        let values = call.opt_counts(name)?.unwrap_or_else(|| vec![default; len]);
        if values.len() != len || values.iter().any(|v| *v == 0 && default == 1) {
            fail!("parameter \"{name}\" {values:?} for {n} spatial axes");
        }
        Ok(values)
    };
    let strides = setting("strides", 1, n)?;
    let dilations = setting("dilations", 1, n)?;
    let pads = setting("pad", 0, 2 * n)?;
    let types = ["valid", "same", "same_lower", "custom"];
    let kind = call.choice("pad_type", "valid", &types)?;
    let ceil = call.bool_or("ceil_mode", false)?;
    if sizes.len() != n || sizes.contains(&0) {
        fail!("windows of {sizes:?} over {dims:?}");
    }
    (0..n)
        .map(|i| {
            let mut slide = Slide {
                extent: dims[i],
                size: sizes[i],
                dilation: dilations[i],
                stride: strides[i],
                count: 0,
                before: 0,
                after: 0,
            };
            match kind {
                "valid" => {}
                "custom" => (slide.before, slide.after) = (pads[2 * i], pads[2 * i + 1]),
                same => slide.same(same == "same_lower"),
            }
            slide.counted(ceil && kind != "same" && kind != "same_lower")
        })
        .collect()
}

impl Slide {
    /// Pads so that every stride-th element has a window; the odd one comes last unless `lower`.
    fn same(&mut self, lower: bool) {
        let count = self.extent.div_ceil(self.stride);
        let covered = count.saturating_sub(1) * self.stride + self.reach();
        let total = covered.saturating_sub(self.extent);
        self.before = if lower { total.div_ceil(2) } else { total / 2 };
        self.after = total - self.before;
    }

    /// Sets the number of windows; with `ceil` the last may hang over the end.
    fn counted(mut self, ceil: bool) -> Result<Self> {
        let extent = self
            .extent
            .saturating_add(self.before)
            .saturating_add(self.after);
        let reach = self
            .size
            .checked_sub(1)
            .and_then(|n| n.checked_mul(self.dilation));
        let Some(room) = reach.and_then(|r| extent.checked_sub(r + 1)) else {
            fail!(
                "a window of {} at distance {} over {extent}",
                self.size,
                self.dilation
            );
        };
        self.count = room / self.stride + 1;
        if ceil && room % self.stride > 0 {
            let padded = self.before > 0 || self.after > 0;
            if !(padded && self.count * self.stride >= self.extent + self.before) {
                self.count += 1;
                self.after += (self.count - 1) * self.stride - room;
            }
        }
        Ok(self)
    }
}

/// `x` `[n, channels, …]` surrounded by `value`.
pub fn padded(call: &Call, x: &Tensor, slides: &[Slide], value: f64) -> Result<Tensor> {
    let mut y = x.clone();
    for (i, slide) in slides.iter().enumerate() {
        let axis = i + 2;
        if slide.before + slide.after == 0 {
            continue;
        }
        let side = |count: usize, y: &Tensor| -> Result<Tensor> {
            let mut shape = y.dims().to_vec();
            shape[axis] = count;
            call.check_size(&shape)?;
            Ok(Tensor::full(value, shape, y.device())?.to_dtype(y.dtype())?)
        };
        let parts = [
            side(slide.before, &y)?,
            y.contiguous()?,
            side(slide.after, &y)?,
        ];
        let parts: Vec<Tensor> = parts.into_iter().filter(|p| p.dims()[axis] > 0).collect();
        y = Tensor::cat(&parts, axis)?;
    }
    Ok(y)
}

/// The elements of every window: `[n, channels, window elements, windows]` of a padded `x`.
pub fn unfolded(call: &Call, x: &Tensor, slides: &[Slide]) -> Result<Tensor> {
    let (n, channels) = (x.dims()[0], x.dims()[1]);
    let size: usize = slides.iter().map(|s| s.size).product();
    let count: usize = slides.iter().map(|s| s.count).product();
    call.check_size(&[n, channels, size, count])?;
    let flat = x.contiguous()?.reshape((n, channels, ()))?;
    if size == 1 && slides.iter().all(|s| s.stride == 1) {
        return Ok(flat.unsqueeze(2)?);
    }
    let places = places(slides, &x.dims()[2..]);
    let places = Tensor::from_vec(places, size * count, &Device::Cpu)?.to_device(x.device())?;
    Ok(flat
        .index_select(&places, 2)?
        .reshape((n, channels, size, count))?)
}

/// For each element of a window and each window, its place in a flattened input of `dims`.
pub fn places(slides: &[Slide], dims: &[usize]) -> Vec<i64> {
    let along = |slide: &Slide, k: usize, p: usize| k * slide.dilation + p * slide.stride;
    // Coordinates of window elements and of windows, outermost axis first.
    let coordinates = |of: fn(&Slide) -> usize| -> Vec<Vec<usize>> {
        let extents: Vec<usize> = slides.iter().map(of).collect();
        let total: usize = extents.iter().product();
        (0..total)
            .map(|mut flat| {
                let mut at = vec![0; extents.len()];
                for (i, extent) in extents.iter().enumerate().rev() {
                    at[i] = flat % extent;
                    flat /= extent;
                }
                at
            })
            .collect()
    };
    let (elements, windows) = (coordinates(|s| s.size), coordinates(|s| s.count));
    let mut places = Vec::with_capacity(elements.len() * windows.len());
    for k in &elements {
        for p in &windows {
            let place = slides
                .iter()
                .zip(dims)
                .enumerate()
                .fold(0, |flat, (i, (s, d))| flat * d + along(s, k[i], p[i]));
            places.push(place as i64);
        }
    }
    places
}
