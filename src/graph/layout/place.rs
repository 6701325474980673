//! Where in its row each box stands: as near to its neighbours' middle as the others let it.

use super::Boxes;
use super::order::{Neighbours, neighbours};
use super::rows::Ranked;

/// Free space between boxes, and between two points.
const GAP: f64 = 22.0;
const POINT_GAP: f64 = 14.0;
const SWEEPS: usize = 10;

/// The middle of each box and point.
pub(super) fn place(ranked: &Ranked, boxes: &Boxes) -> Vec<f64> {
    let mut middle = vec![0.0; ranked.row.len()];
    for row in &ranked.rows {
        let wishes: Vec<(f64, f64)> = row.iter().map(|_| (0.0, 1.0)).collect();
        settle(row, &wishes, ranked, boxes, &mut middle);
    }
    let (above, below) = neighbours(ranked);
    let count = ranked.rows.len();
    for sweep in 0..SWEEPS {
        let (first, second) = match sweep % 2 {
            0 => (&above, &below),
            _ => (&below, &above),
        };
        for step in 0..count {
            let row = match sweep % 2 {
                0 => step,
                _ => count - 1 - step,
            };
            let wish = |point: &usize| match first[*point].is_empty() {
                false => wish(*point, first, ranked, &middle),
                true => (wish(*point, second, ranked, &middle).0, LOOSE),
            };
            let wishes: Vec<(f64, f64)> = ranked.rows[row].iter().map(wish).collect();
            settle(&ranked.rows[row], &wishes, ranked, boxes, &mut middle);
        }
    }
    middle
}

/// How much a wish counts: of a long edge, which is to be straight; of a box; of a loose end.
const STRAIGHT: f64 = 8.0;
const PLAIN: f64 = 1.0;
const LOOSE: f64 = 0.1;

/// The median of the neighbours on one side, and how much it counts. A long edge goes on straight,
/// whatever branches off it; a box follows those that lead on rather than loose ends.
fn wish(point: usize, towards: &Neighbours, ranked: &Ranked, middle: &[f64]) -> (f64, f64) {
    let near = &towards[point];
    let same = near.iter().find(|n| ranked.is_point(**n));
    if let Some(same) = same.filter(|_| ranked.is_point(point)) {
        return (middle[*same], STRAIGHT);
    }
    let leading = near.iter().filter(|n| !towards[**n].is_empty());
    let mut places: Vec<f64> = leading.map(|n| middle[*n]).collect();
    if places.is_empty() {
        places = near.iter().map(|n| middle[*n]).collect();
    }
    places.sort_by(f64::total_cmp);
    match places.len() {
        0 => (middle[point], LOOSE),
        n if n % 2 == 1 => (places[n / 2], PLAIN),
        n => ((places[n / 2 - 1] + places[n / 2]) / 2.0, PLAIN),
    }
}

/// The places nearest to the wishes (least squares, weighted) that keep the order and the gaps: isotonic
/// regression by pooling neighbours that violate it.
fn settle(
    row: &[usize],
    wishes: &[(f64, f64)],
    ranked: &Ranked,
    boxes: &Boxes,
    middle: &mut [f64],
) {
    let mut offsets = Vec::with_capacity(row.len());
    let mut offset = 0.0;
    for (i, point) in row.iter().enumerate() {
        if i > 0 {
            offset += apart(row[i - 1], *point, ranked, boxes);
        }
        offsets.push(offset);
    }
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((wish, weight), offset) in wishes.iter().zip(&offsets) {
        let mut pool = (wish - offset, *weight, 1);
        while let Some(last) = pools.pop_if(|last| last.0 > pool.0) {
            let weight = last.1 + pool.1;
            pool = (
                (last.0 * last.1 + pool.0 * pool.1) / weight,
                weight,
                last.2 + pool.2,
            );
        }
        pools.push(pool);
    }
    let settled = pools
        .iter()
        .flat_map(|pool| std::iter::repeat_n(pool.0, pool.2));
    for ((point, offset), x) in row.iter().zip(offsets).zip(settled) {
        middle[*point] = x + offset;
    }
}

/// Least distance between the middles of neighbours.
fn apart(left: usize, right: usize, ranked: &Ranked, boxes: &Boxes) -> f64 {
    let gap = match ranked.is_point(left) && ranked.is_point(right) {
        true => POINT_GAP,
        false => GAP,
    };
    let to_right = boxes.sizes.get(left).map_or(0.0, |size| size.right());
    let to_left = boxes.sizes.get(right).map_or(0.0, |size| size.width / 2.0);
    to_right + gap + to_left
}
