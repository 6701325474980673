//! Which row each box stands in, and the points at which long edges pass rows.

use super::Boxes;

/// Boxes and points in rows. Points are numbered after the boxes.
pub(super) struct Ranked {
    /// Of each box and point.
    pub row: Vec<usize>,
    /// From left to right.
    pub rows: Vec<Vec<usize>>,
    /// Between neighbouring rows: from above, to below.
    pub links: Vec<(usize, usize)>,
    /// Of each box, the point in the first row below it; the others follow.
    first_point: Vec<Option<usize>>,
}

impl Ranked {
    /// The point that stands for the box `from` in a row below it.
    pub fn stand_in(&self, from: usize, row: usize) -> Option<usize> {
        Some(self.first_point[from]? + row - self.row[from] - 1)
    }

    /// Whether it is a point that an edge passes.
    pub fn is_point(&self, index: usize) -> bool {
        index >= self.first_point.len()
    }
}

/// Rows by the longest way from the top; what only feeds others stands just above them. All edges of a
/// box share one way down.
pub(super) fn rank(boxes: &Boxes) -> Ranked {
    let count = boxes.sizes.len();
    let mut row = longest_ways(boxes);
    let mut first_point = vec![None; count];
    let mut rows = vec![Vec::new(); row.iter().map(|r| r + 1).max().unwrap_or(0)];
    for (i, row) in row.iter().enumerate() {
        rows[*row].push(i);
    }
    let mut links = Vec::new();
    let mut below = vec![Vec::new(); count];
    for (from, to) in &boxes.edges {
        below[*from].push(*to);
    }
    for from in 0..count {
        let last = below[from].iter().map(|to| row[*to]).max();
        let passed = row[from] + 1..last.unwrap_or(0);
        let mut above = from;
        for r in passed {
            let point = row.len();
            first_point[from].get_or_insert(point);
            row.push(r);
            rows[r].push(point);
            links.push((above, point));
            above = point;
        }
    }
    let mut ranked = Ranked {
        row,
        rows,
        links,
        first_point,
    };
    for (from, to) in &boxes.edges {
        let (top, bottom) = (ranked.row[*from], ranked.row[*to]);
        let above = match bottom == top + 1 {
            true => Some(*from),
            false => ranked.stand_in(*from, bottom - 1),
        };
        ranked.links.extend(above.map(|above| (above, *to)));
    }
    ranked
}

fn longest_ways(boxes: &Boxes) -> Vec<usize> {
    let count = boxes.sizes.len();
    let mut row = vec![0; count];
    let (mut above, mut below) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for (from, to) in &boxes.edges {
        above[*to].push(*from);
        below[*from].push(*to);
    }
    for i in 0..count {
        row[i] = above[i]
            .iter()
            .map(|from| row[*from] + 1)
            .max()
            .unwrap_or(0);
    }
    // A chain that starts from nothing, such as a shape's arithmetic, goes down as a whole.
    let mut free = vec![false; count];
    for i in 0..count {
        free[i] = above[i]
            .iter()
            .all(|from| free[*from] && below[*from].len() == 1);
    }
    for i in (0..count).rev().filter(|i| free[*i]) {
        if let Some(lowest) = below[i].iter().map(|to| row[*to] - 1).min() {
            row[i] = lowest;
        }
    }
    let top = row.iter().copied().min().unwrap_or(0);
    row.iter().map(|r| r - top).collect()
}
