//! Heat maps as SVG.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::number::format_number;
use super::super::text::cut;
use super::Plot;
use super::canvas::{Anchor, Canvas, FONT, text_width};
use super::colours::{Scale, hex};
use super::heat::Heat;

/// The most rows and columns that are drawn; larger matrices become means of blocks.
const MOST: usize = 256;
/// The longest names, in characters.
const NAME: usize = 18;
/// Room for the scale on the right.
const SCALE: f64 = 84.0;

impl Plot {
    pub(super) fn draw_heat(&self, canvas: &mut Canvas, size: (f64, f64), heat: &Heat) {
        let shown = heat.reduced(MOST, MOST);
        let name = |name: &String| cut(name, NAME, "…");
        let rows: Vec<String> = shown.row_names().iter().map(name).collect();
        let columns: Vec<String> = shown.column_names().iter().map(name).collect();
        let widest = |names: &[String]| names.iter().map(|n| text_width(n)).fold(0.0, f64::max);
        let label = |text: &str| if text.is_empty() { 0.0 } else { 22.0 };
        let left = 20.0 + label(&self.y_label) + widest(&rows);
        let top = 38.0;
        let room = (
            (size.0 - SCALE - left).max(1.0),
            (size.1 - top - 20.0 - label(&self.x_label) - widest(&columns)).max(1.0),
        );
        let (height, width) = (shown.values().len() as f64, shown.width() as f64);
        let cell = square(room.0 / width, room.1 / height);
        let area = (cell.0 * width, cell.1 * height);
        let scale = heat.scale();
        canvas.add(&cells(&shown, &scale, (left, top), cell));
        for (at, name) in rows
            .iter()
            .enumerate()
            .filter(|(at, _)| shown_at(*at, cell.1))
        {
            let middle = top + (at as f64 + 0.5) * cell.1;
            canvas.text((left - 6.0, middle), Anchor::End, name);
        }
        for (at, name) in columns
            .iter()
            .enumerate()
            .filter(|(at, _)| shown_at(*at, cell.0))
        {
            let middle = left + (at as f64 + 0.5) * cell.0;
            canvas.upwards((middle, top + area.1 + 6.0), Anchor::End, name);
        }
        let middle = (left + area.0 / 2.0, top + area.1 + 20.0 + widest(&columns));
        canvas.text(middle, Anchor::Middle, &self.x_label);
        canvas.upwards((14.0, top + area.1 / 2.0), Anchor::Middle, &self.y_label);
        draw_scale(canvas, &scale, (left + area.0 + 16.0, top), area.1);
    }
}

/// Cells are squares unless they would leave more than half of the room empty.
fn square(width: f64, height: f64) -> (f64, f64) {
    let side = width.min(height);
    match width.max(height) <= 3.0 * side {
        true => (side, side),
        false => (width, height),
    }
}

/// Every name, or as few as stand apart.
fn shown_at(at: usize, step: f64) -> bool {
    at.is_multiple_of(((FONT / step).ceil() as usize).max(1))
}

/// One path for each of 128 colours, of the runs that have it.
fn cells(
    heat: &Heat,
    scale: &Scale,
    (left, top): (f64, f64),
    (width, height): (f64, f64),
) -> String {
    const STEPS: f64 = 127.0;
    let level = |value: f64| scale.fraction(value).map(|f| (f * STEPS).round() as u8);
    let mut paths: BTreeMap<Option<u8>, String> = BTreeMap::new();
    for (y, row) in heat.values().iter().enumerate() {
        let levels: Vec<Option<u8>> = row.iter().map(|value| level(*value)).collect();
        let mut x = 0;
        for run in levels.chunk_by(|a, b| a == b) {
            let path = paths.entry(run[0]).or_default();
            let _ = write!(path, "M{x} {y}h{}v1h-{}z", run.len(), run.len());
            x += run.len();
        }
    }
    let mut group = format!(
        "<g transform=\"translate({left:.1} {top:.1}) scale({width:.4} {height:.4})\" \
         shape-rendering=\"crispEdges\">"
    );
    for (level, path) in paths {
        let colour = level.map_or([128; 3], |level| scale.colour(f64::from(level) / STEPS));
        let _ = write!(group, "<path fill=\"{}\" d=\"{path}\"/>", hex(colour));
    }
    group + "</g>"
}

/// The colours from low, below, to high.
fn draw_scale(canvas: &mut Canvas, scale: &Scale, (left, top): (f64, f64), height: f64) {
    const STEPS: usize = 64;
    let step = height / STEPS as f64;
    for at in 0..STEPS {
        let colour = scale.colour(1.0 - (at as f64 + 0.5) / STEPS as f64);
        // A little over the next one, so that no gap shows.
        canvas.rect(
            (left, top + at as f64 * step),
            (12.0, step + 0.5),
            &hex(colour),
        );
    }
    let mut ticks = vec![(0.0, scale.high), (height, scale.low)];
    if scale.has_sign() {
        ticks.push((height / 2.0, 0.0));
    }
    for (down, value) in ticks {
        canvas.text(
            (left + 18.0, top + down),
            Anchor::Start,
            &format_number(value, 3),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::Drawing;
    use super::*;

    #[test]
    fn equal_neighbours_are_one_rectangle() {
        let heat = Heat::new(vec![vec![0.0, 0.0, 1.0], vec![f64::NAN, 1.0, 1.0]]).unwrap();
        let scale = heat.scale();
        let drawn = cells(&heat, &scale, (0.0, 0.0), (1.0, 1.0));
        for path in [
            "<path fill=\"#440154\" d=\"M0 0h2v1h-2z\"/>",
            "<path fill=\"#fde725\" d=\"M2 0h1v1h-1zM1 1h2v1h-2z\"/>",
            "<path fill=\"#808080\" d=\"M0 1h1v1h-1z\"/>",
        ] {
            assert!(drawn.contains(path), "{drawn}");
        }
    }

    #[test]
    fn a_large_matrix_makes_no_large_file() {
        let values = (0..600).map(|i| (0..600).map(|j| f64::from(i * j % 7)).collect());
        let heat = Heat::new(values.collect()).unwrap();
        let svg = Plot::new("").drawing(Drawing::Heat(heat)).to_svg(640, 400);
        assert!(svg.len() < 2_000_000, "{}", svg.len());
    }
}
