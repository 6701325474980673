//! Places for everything that is drawn. Each group is laid out with all inner groups closed; an open one
//! pushes what stands beside it aside and what stands below it down, and the rest stays as it was.
//! `toggle.js` does the same in the browser.

use std::collections::BTreeMap;

use super::boxes::Face;
use crate::graph::layout::{Boxes, Layout, MARGIN, Size};
use crate::graph::open::Open;
use crate::graph::{Edge, End, Graph, Group, Item, Kind};

/// Height of the bar above an open group.
pub(super) const BAR: f64 = 24.0;

/// A group and where its parts stand.
pub(super) struct Scene<'a> {
    pub group: &'a Group,
    pub open: bool,
    /// Of inputs, items, outputs.
    pub boxes: Vec<Box<'a>>,
    /// Boxes that an edge leads from and to.
    pub links: Vec<(usize, usize, &'a Edge)>,
    /// With all inner groups closed.
    pub layout: Layout,
    /// How far from its box's middle each edge ends.
    pub ports: Vec<f64>,
    /// Where each edge passes the rows between its ends.
    passed: Vec<Vec<f64>>,
    pub size: Extent,
    rows: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    pub width: f64,
    pub height: f64,
}

/// A box, or an open group in its place.
pub(super) struct Box<'a> {
    pub face: Face,
    pub inner: Option<Scene<'a>>,
    /// Middle and top.
    pub x: f64,
    pub y: f64,
    pub size: Extent,
}

impl<'a> Scene<'a> {
    pub fn of(group: &'a Group, graph: &Graph, open: &Open) -> Self {
        let mut boxes: Vec<Box> = Vec::new();
        // What enters an operation with nested blocks enters these by other names.
        let (inputs, outputs): (&[usize], &[usize]) = match group.kind {
            Kind::Holder => (&[], &[]),
            _ => (&group.inputs, &group.outputs),
        };
        let enters = inputs.iter().map(|id| Face::port(*id, graph, true));
        boxes.extend(enters.map(|face| Box::new(face, None)));
        boxes.extend(group.items.iter().map(|item| {
            let inner = match item {
                Item::Group(group) => Some(Scene::of(group, graph, open)),
                Item::Op(_) => None,
            };
            Box::new(Face::item(item, graph), inner)
        }));
        let leaves = outputs.iter().map(|id| Face::port(*id, graph, false));
        boxes.extend(leaves.map(|face| Box::new(face, None)));
        let first = |end: &End| match end {
            End::Input(i) => *i,
            End::Item(i) => inputs.len() + i,
            End::Output(i) => inputs.len() + group.items.len() + i,
        };
        let links = group
            .edges
            .iter()
            .map(|e| (first(&e.from), first(&e.to), e));
        let links: Vec<_> = links.collect();
        let layout = Layout::of(&Boxes {
            sizes: boxes.iter().map(|b| b.face.size()).collect(),
            edges: links.iter().map(|(from, to, _)| (*from, *to)).collect(),
        });
        let mut scene = Self {
            group,
            open: open.contains(&group.path),
            ports: ports(&links, &layout, &boxes),
            rows: layout.rows.clone(),
            passed: layout.paths.clone(),
            size: Extent {
                width: layout.width,
                height: layout.height,
            },
            boxes,
            links,
            layout,
        };
        scene.arrange();
        scene
    }

    /// Pushes everything aside for the groups that are open.
    fn arrange(&mut self) {
        let mut grown = 0.0;
        for (r, (top, height)) in self.layout.rows.iter().enumerate() {
            let own = self.boxes.iter().zip(&self.layout.boxes);
            let own = own.filter(|(_, (row, _))| *row == r);
            let tallest = own.map(|(b, _)| b.size.height).fold(*height, f64::max);
            self.rows[r] = (top + grown, tallest);
            grown += tallest - height;
        }
        let mut pushes: Vec<Vec<(f64, f64)>> = vec![Vec::new(); self.rows.len()];
        for (box_, (row, x)) in self.boxes.iter().zip(&self.layout.boxes) {
            let wider = box_.size.width - box_.face.width;
            if wider > 0.0 {
                pushes[*row].push((*x, wider / 2.0));
            }
        }
        // Left of an open group to the left, right of it to the right.
        let shift = |row: usize, x: f64| {
            let aside = pushes[row].iter().map(|(at, push)| match x - at {
                near if near.abs() < 0.05 => 0.0,
                away => push.copysign(away),
            });
            x + aside.sum::<f64>()
        };
        let (mut left, mut right) = (f64::INFINITY, f64::NEG_INFINITY);
        for (box_, (row, x)) in self.boxes.iter_mut().zip(&self.layout.boxes) {
            (box_.x, box_.y) = (shift(*row, *x), self.rows[*row].0);
            left = left.min(box_.x - box_.size.width / 2.0);
            right = right.max(box_.x + box_.face.size().right().max(box_.size.width / 2.0));
        }
        for ((from, _, _), path) in self.links.iter().zip(&mut self.passed) {
            let row = self.layout.boxes[*from].0 + 1;
            for (i, x) in path.iter_mut().enumerate() {
                *x = shift(row + i, *x);
                (left, right) = (left.min(*x), right.max(*x));
            }
        }
        if left < right {
            let boxes = self.boxes.iter_mut().map(|box_| &mut box_.x);
            let all = boxes.chain(self.passed.iter_mut().flatten());
            all.for_each(|x| *x += MARGIN - left);
            self.size.width = right - left + 2.0 * MARGIN;
        }
        self.size.height += grown;
    }

    /// The line of an edge: down from its box, then from row to row.
    pub fn path(&self, edge: usize) -> String {
        let (from, to, _) = self.links[edge];
        let (source, target) = (&self.boxes[from], &self.boxes[to]);
        let (row, _) = self.layout.boxes[from];
        let bottom = self.rows[row].0 + self.rows[row].1;
        let mut places = vec![(source.x, bottom)];
        for (x, (top, height)) in self.passed[edge].iter().zip(&self.rows[row + 1..]) {
            places.extend([(*x, *top), (*x, top + height)]);
        }
        places.push((target.x + self.ports[edge], target.y));
        let mut path = format!("M{:.1} {:.1}", source.x, source.y + source.size.height);
        if source.size.height < self.rows[row].1 {
            path += &format!("L{:.1} {bottom:.1}", source.x);
        }
        for pair in places.windows(2) {
            let ((x, y), (to_x, to_y)) = (pair[0], pair[1]);
            let middle = (y + to_y) / 2.0;
            path += &format!("C{x:.1} {middle:.1} {to_x:.1} {middle:.1} {to_x:.1} {to_y:.1}");
        }
        path
    }
}

impl<'a> Box<'a> {
    fn new(face: Face, inner: Option<Scene<'a>>) -> Self {
        let open = inner.as_ref().filter(|scene| scene.open);
        let size = match open {
            Some(scene) => Extent {
                width: scene.size.width.max(face.width),
                height: scene.size.height + BAR,
            },
            None => Extent {
                width: face.width,
                height: face.height,
            },
        };
        Self {
            face,
            inner,
            x: 0.0,
            y: 0.0,
            size,
        }
    }
}

impl Face {
    pub fn size(&self) -> Size {
        let note = match self.note.as_str() {
            "" => 0.0,
            note => super::boxes::text_width(note, 10.0),
        };
        Size {
            width: self.width,
            height: self.height,
            note,
        }
    }
}

/// Edges that end at one box end side by side, in the order in which they come.
fn ports(links: &[(usize, usize, &Edge)], layout: &Layout, boxes: &[Box]) -> Vec<f64> {
    const STEP: f64 = 12.0;
    let mut ending: BTreeMap<usize, Vec<(f64, usize)>> = BTreeMap::new();
    for (i, (from, to, _)) in links.iter().enumerate() {
        let last = layout.paths[i].last().copied();
        let from = last.unwrap_or(layout.boxes[*from].1);
        ending.entry(*to).or_default().push((from, i));
    }
    let mut ports = vec![0.0; links.len()];
    for (to, mut edges) in ending {
        edges.sort_by(|a, b| a.0.total_cmp(&b.0));
        let room = (boxes[to].face.width - 16.0) / edges.len() as f64;
        let step = STEP.min(room);
        let middle = (edges.len() - 1) as f64 / 2.0;
        for (i, (_, edge)) in edges.iter().enumerate() {
            ports[*edge] = (i as f64 - middle) * step;
        }
    }
    ports
}
