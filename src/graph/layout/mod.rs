//! Where the boxes of one group stand: rows from top to bottom, so that every edge leads downwards, few
//! edges cross, and long ones are straight. (Sugiyama, Tagawa, Toda, "Methods for visual understanding of
//! hierarchical system structures", 1981.)

mod order;
mod place;
mod rows;

use order::order;
use place::place;
use rows::{Ranked, rank};

/// The boxes of a group and what leads from which to which; every edge goes to a later box.
pub(super) struct Boxes {
    pub sizes: Vec<Size>,
    pub edges: Vec<(usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub width: f64,
    pub height: f64,
    /// Width of the text that stands to the right of the line below the box.
    pub note: f64,
}

/// A drawing of boxes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Row and middle of each box.
    pub boxes: Vec<(usize, f64)>,
    /// Top and height of each row.
    pub rows: Vec<(f64, f64)>,
    /// For each edge, the places where it passes the rows between its ends, from above to below.
    pub paths: Vec<Vec<f64>>,
    pub width: f64,
    pub height: f64,
}

/// Free space between rows.
pub(super) const ROW_GAP: f64 = 38.0;
/// Free space around a drawing.
pub(super) const MARGIN: f64 = 18.0;

impl Layout {
    pub fn of(boxes: &Boxes) -> Self {
        let mut ranked = rank(boxes);
        order(&mut ranked);
        let middles = place(&ranked, boxes);
        let mut rows = Vec::new();
        let mut top = MARGIN;
        for row in &ranked.rows {
            let heights = row.iter().filter_map(|point| boxes.sizes.get(*point));
            let height = heights.map(|size| size.height).fold(0.0, f64::max);
            rows.push((top, height));
            top += height + ROW_GAP;
        }
        let count = boxes.sizes.len();
        let (left, right) = extent(&middles, boxes);
        let middles: Vec<f64> = middles.iter().map(|x| x - left + MARGIN).collect();
        Self {
            boxes: (0..count).map(|i| (ranked.row[i], middles[i])).collect(),
            paths: paths(&ranked, boxes, &middles),
            rows,
            width: right - left + 2.0 * MARGIN,
            height: top - ROW_GAP + MARGIN,
        }
    }
}

fn extent(middles: &[f64], boxes: &Boxes) -> (f64, f64) {
    let size = |point: usize| boxes.sizes.get(point);
    let left = |(i, x): (usize, &f64)| x - size(i).map_or(0.0, |s| s.width / 2.0);
    let right = |(i, x): (usize, &f64)| x + size(i).map_or(0.0, |s| s.right());
    let lefts = middles.iter().enumerate().map(left);
    let rights = middles.iter().enumerate().map(right);
    match middles.is_empty() {
        true => (0.0, 0.0),
        false => (
            lefts.fold(f64::INFINITY, f64::min),
            rights.fold(f64::NEG_INFINITY, f64::max),
        ),
    }
}

impl Size {
    /// From the middle to the end of the box or of its note.
    pub fn right(&self) -> f64 {
        (self.width / 2.0).max(self.note + 8.0)
    }
}

/// An edge runs along the points that stand for its source in the rows below it.
fn paths(ranked: &Ranked, boxes: &Boxes, middles: &[f64]) -> Vec<Vec<f64>> {
    let path = |(from, to): &(usize, usize)| {
        let rows = ranked.row[*from] + 1..ranked.row[*to];
        let points = rows.filter_map(|row| ranked.stand_in(*from, row));
        points.map(|point| middles[point]).collect()
    };
    boxes.edges.iter().map(path).collect()
}

#[cfg(test)]
mod tests;
