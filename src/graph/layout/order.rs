//! The order within each row: by the mean place of the neighbours, back and forth, keeping the best.

use super::rows::Ranked;

const SWEEPS: usize = 12;

pub(super) fn order(ranked: &mut Ranked) {
    let (above, below) = neighbours(ranked);
    let mut best = (crossings(ranked, &below), ranked.rows.clone());
    for sweep in 0..SWEEPS {
        let count = ranked.rows.len();
        let mut place = places(ranked);
        for step in 1..count {
            let (row, towards) = match sweep % 2 {
                0 => (step, &above),
                _ => (count - 1 - step, &below),
            };
            sort(&mut ranked.rows[row], towards, &mut place);
        }
        let crossed = crossings(ranked, &below);
        if crossed < best.0 {
            best = (crossed, ranked.rows.clone());
        }
        if best.0 == 0 {
            break;
        }
    }
    ranked.rows = best.1;
}

pub(super) type Neighbours = Vec<Vec<usize>>;

/// Of each box and point: those linked to it in the row above, and in the row below.
pub(super) fn neighbours(ranked: &Ranked) -> (Neighbours, Neighbours) {
    let (mut above, mut below) = (
        vec![Vec::new(); ranked.row.len()],
        vec![Vec::new(); ranked.row.len()],
    );
    for (from, to) in &ranked.links {
        above[*to].push(*from);
        below[*from].push(*to);
    }
    (above, below)
}

fn places(ranked: &Ranked) -> Vec<f64> {
    let mut place = vec![0.0; ranked.row.len()];
    for row in &ranked.rows {
        number(row, &mut place);
    }
    place
}

/// Places from 0 to 1, so that rows of different lengths compare.
fn number(row: &[usize], place: &mut [f64]) {
    for (i, point) in row.iter().enumerate() {
        place[*point] = (i as f64 + 0.5) / row.len() as f64;
    }
}

/// What has no neighbours stays where it is.
fn sort(row: &mut [usize], towards: &Neighbours, place: &mut [f64]) {
    let wish = |point: usize| match towards[point].as_slice() {
        [] => place[point],
        near => near.iter().map(|n| place[*n]).sum::<f64>() / near.len() as f64,
    };
    let mut wished: Vec<(f64, usize)> = row.iter().map(|point| (wish(*point), *point)).collect();
    wished.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (slot, (_, point)) in row.iter_mut().zip(&wished) {
        *slot = *point;
    }
    number(row, place);
}

/// How many pairs of links cross.
fn crossings(ranked: &Ranked, below: &Neighbours) -> usize {
    let mut place = vec![0; ranked.row.len()];
    for row in &ranked.rows {
        for (i, point) in row.iter().enumerate() {
            place[*point] = i;
        }
    }
    ranked
        .rows
        .iter()
        .map(|row| {
            let mut passed: Vec<usize> = Vec::new();
            let mut crossed = 0;
            for point in row {
                let mut ends: Vec<usize> = below[*point].iter().map(|to| place[*to]).collect();
                ends.sort_unstable();
                let right = |end: &usize| passed.len() - passed.partition_point(|p| p <= end);
                crossed += ends.iter().map(right).sum::<usize>();
                for end in ends {
                    passed.insert(passed.partition_point(|p| *p <= end), end);
                }
            }
            crossed
        })
        .sum()
}
