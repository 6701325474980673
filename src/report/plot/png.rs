//! Plots as pixels: the SVG, drawn.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::{Plot, fonts};
use crate::diag::{Error, Result};

/// The most pixels along a side.
const SIDE: u32 = 16_384;

impl Plot {
    /// The plot of `width` × `height` as a PNG of `scale` times as many pixels.
    ///
    /// # Errors
    /// More pixels along a side than 16,384.
    pub fn to_png(&self, width: u32, height: u32, scale: f32) -> Result<Vec<u8>> {
        png(&self.pixels(width, height, scale)?)
    }

    pub(in crate::report) fn pixels(&self, width: u32, height: u32, scale: f32) -> Result<Pixmap> {
        let side = |length: u32| (length as f32 * scale).round().max(1.0) as u32;
        self.filling((width, height), (side(width), side(height)), scale)
    }

    /// The plot of `size` on so many pixels.
    pub(in crate::report) fn filling(
        &self,
        size: (u32, u32),
        (wide, high): (u32, u32),
        scale: f32,
    ) -> Result<Pixmap> {
        let options = Options {
            fontdb: fonts::OWN.clone(),
            font_family: fonts::FAMILY.to_owned(),
            font_resolver: fonts::resolver(),
            ..Options::default()
        };
        let svg = drawable(&self.to_svg(size.0, size.1));
        let tree = Tree::from_str(&svg, &options)
            .map_err(|error| Error::new(format!("can't draw the plot: {error}")))?;
        let pixels = (wide.max(high) <= SIDE).then(|| Pixmap::new(wide, high));
        let mut pixels = pixels.flatten().ok_or_else(|| {
            Error::new(format!("a picture of {wide} × {high} pixels is too large"))
        })?;
        resvg::render(
            &tree,
            Transform::from_scale(scale, scale),
            &mut pixels.as_mut(),
        );
        Ok(pixels)
    }
}

/// The pixels as a PNG.
pub(in crate::report) fn png(pixels: &Pixmap) -> Result<Vec<u8>> {
    let written = pixels.encode_png();
    written.map_err(|error| Error::new(format!("can't write the plot as PNG: {error}")))
}

/// The signs for what can't be seen (see [`visible`](super::super::visible)) that the fonts lack, as others.
fn drawable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '␣' => out.push('·'),
            '⏎' => out.push('↵'),
            '␡' => out.push_str("\\x7F"),
            '\u{2400}'..='\u{241f}' => out.push_str(&format!("\\x{:02X}", c as u32 - 0x2400)),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_show_the_line_and_the_text() {
        let plot = |title| Plot::new(title).values("", &[0.0, 1.0]);
        let pixels = plot("a title").pixels(200, 100, 2.0).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (400, 200));
        let count = |pixels: &Pixmap, dark: u8| {
            let all = pixels.pixels().iter();
            all.filter(|p| p.red() < dark).count()
        };
        // The line is blue, with little red; the title is dark ink.
        assert!(count(&pixels, 40) > 200, "{}", count(&pixels, 40));
        let untitled = plot("").pixels(200, 100, 2.0).unwrap();
        assert!(count(&pixels, 120) > count(&untitled, 120) + 100);
        let png = plot("a title").to_png(200, 100, 2.0).unwrap();
        assert_eq!(Pixmap::decode_png(&png).unwrap(), pixels);
        assert!(plot("").to_png(9000, 10, 2.0).is_err());
    }
}
