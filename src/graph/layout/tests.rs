//! What every drawing must be: edges lead downwards, boxes stand apart, nothing lies outside.

use super::*;
use crate::numeric::Rng;

fn random(rng: &mut Rng, count: usize, edges: usize) -> Boxes {
    let size = |rng: &mut Rng| Size {
        width: 20.0 + rng.below(100) as f64,
        height: 10.0 + rng.below(40) as f64,
        note: rng.below(60) as f64,
    };
    let edge = |rng: &mut Rng| {
        let to = 1 + rng.below(count - 1);
        (rng.below(to), to)
    };
    let mut edges: Vec<_> = (0..edges).map(|_| edge(rng)).collect();
    edges.sort_unstable();
    edges.dedup();
    Boxes {
        sizes: (0..count).map(|_| size(rng)).collect(),
        edges,
    }
}

#[test]
fn edges_lead_down_and_boxes_stand_apart() {
    let mut rng = Rng::new(1);
    for round in 0..40 {
        let count = 2 + rng.below(40);
        let boxes = random(&mut rng, count, 2 * count);
        let layout = Layout::of(&boxes);
        for ((from, to), path) in boxes.edges.iter().zip(&layout.paths) {
            let (above, below) = (layout.boxes[*from].0, layout.boxes[*to].0);
            assert!(above < below, "round {round}: {from} → {to}");
            assert_eq!(path.len(), below - above - 1);
        }
        let rows = layout.rows.windows(2);
        assert!(rows.into_iter().all(|r| r[0].0 + r[0].1 < r[1].0));
        for (i, (row, x)) in layout.boxes.iter().enumerate() {
            let size = boxes.sizes[i];
            assert!(x - size.width / 2.0 >= 0.0 && x + size.right() <= layout.width);
            assert!(size.height <= layout.rows[*row].1);
            let right = layout.boxes.iter().zip(&boxes.sizes).skip(i + 1);
            for ((_, other), size_of) in right.filter(|((r, _), _)| r == row) {
                assert!((x - other).abs() >= (size.width + size_of.width) / 2.0);
            }
        }
    }
}

#[test]
fn a_chain_is_straight_and_what_feeds_stands_just_above() {
    let size = Size {
        width: 60.0,
        height: 20.0,
        note: 0.0,
    };
    // 0 → 1 → 2 → 3, and 4 feeds 3 only; 5 is fed by 4's like 6.
    let boxes = Boxes {
        sizes: vec![size; 5],
        edges: vec![(0, 1), (1, 2), (2, 4), (3, 4)],
    };
    let layout = Layout::of(&boxes);
    let rows: Vec<usize> = layout.boxes.iter().map(|b| b.0).collect();
    assert_eq!(rows, [0, 1, 2, 2, 3]);
    let middle = |i: usize| layout.boxes[i].1;
    assert!((middle(0) - middle(1)).abs() < 1e-6 && (middle(1) - middle(2)).abs() < 1e-6);
}

#[test]
fn two_links_do_not_cross_if_they_need_not() {
    let size = Size {
        width: 10.0,
        height: 10.0,
        note: 0.0,
    };
    let boxes = Boxes {
        sizes: vec![size; 4],
        edges: vec![(0, 3), (1, 2)],
    };
    let layout = Layout::of(&boxes);
    let middle = |i: usize| layout.boxes[i].1;
    assert_eq!(middle(0) < middle(1), middle(3) < middle(2));
}

#[test]
fn nothing_takes_no_place() {
    let boxes = Boxes {
        sizes: Vec::new(),
        edges: Vec::new(),
    };
    assert_eq!(Layout::of(&boxes).rows, []);
}
