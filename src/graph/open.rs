//! Which groups of a graph are drawn open, with what is inside, and which as one box.

use std::collections::BTreeSet;

use super::{Graph, Group, Kind};
use crate::diag::{Error, Result};

/// How much of a graph is shown at first.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Groups nested this deep or deeper are closed: 0 closes all. If absent, as many are open as leave the picture
    /// readable, and stacks of layers are closed.
    pub collapse: Option<usize>,
    /// Names or paths of groups to open, with those around them; `all` opens all.
    pub expand: Vec<String>,
}

/// Boxes that a picture shows with ease.
const BOXES: usize = 80;

/// Paths of the groups that are open.
pub(super) type Open = BTreeSet<String>;

impl Graph {
    /// The groups that `view` opens; a name that fits no group is an error.
    pub(super) fn open(&self, view: &View) -> Result<Open> {
        let mut all = Vec::new();
        collect(&self.root, 0, &mut all);
        let mut open: Open = match view.collapse {
            Some(depth) => paths(&all, |_, at| at < depth),
            None => readable(&self.root, &all),
        };
        for name in &view.expand {
            let chosen = |group: &Group| name == "all" || fits(&group.path, name);
            let chosen: Vec<&str> = all
                .iter()
                .filter(|(group, _)| chosen(group))
                .map(|(group, _)| group.path.as_str())
                .collect();
            if chosen.is_empty() && name != "all" {
                let known = all.iter().map(|(group, _)| group.path.as_str());
                return Err(Error::unknown("group", name, known));
            }
            for path in chosen {
                let ends = path.match_indices('/').map(|(end, _)| end);
                open.extend(ends.chain([path.len()]).map(|end| path[..end].to_owned()));
            }
        }
        Ok(open)
    }
}

fn collect<'a>(group: &'a Group, depth: usize, all: &mut Vec<(&'a Group, usize)>) {
    for inner in group.groups() {
        all.push((inner, depth));
        collect(inner, depth + 1, all);
    }
}

fn paths(all: &[(&Group, usize)], chosen: impl Fn(&Group, usize) -> bool) -> Open {
    let chosen = all.iter().filter(|(group, depth)| chosen(group, *depth));
    chosen.map(|(group, _)| group.path.clone()).collect()
}

/// As deep as the picture stays readable. What lies in a stack stays closed too: who opens the stack
/// wants to see the layers, not all that is in them.
fn readable(root: &Group, all: &[(&Group, usize)]) -> Open {
    let at = |depth| {
        let mut open = Open::new();
        reach(root, depth, &mut open);
        open
    };
    let fits = |depth: &usize| shown(root, &at(*depth)) <= BOXES;
    let deepest = all.iter().map(|(_, depth)| depth + 1).max().unwrap_or(0);
    at((1..=deepest).take_while(fits).last().unwrap_or(0))
}

/// Opens what is in `group`, `depth` levels deep, but for stacks.
fn reach(group: &Group, depth: usize, open: &mut Open) {
    let stack = |group: &&Group| matches!(group.kind, Kind::Stack { .. });
    for inner in group.groups().filter(|inner| depth > 0 && !stack(inner)) {
        open.insert(inner.path.clone());
        reach(inner, depth - 1, open);
    }
}

/// How many boxes are drawn.
fn shown(group: &Group, open: &Open) -> usize {
    let inner = group.groups().filter(|inner| open.contains(&inner.path));
    group.items.len() + inner.map(|inner| shown(inner, open)).sum::<usize>()
}

/// Whether `path` is `name` or ends with it.
fn fits(path: &str, name: &str) -> bool {
    path.strip_suffix(name)
        .is_some_and(|head| head.is_empty() || head.ends_with('/'))
}
