//! Groups of operations as stretches of a block: layers by their names, else by their structure, and
//! parts of layers.

use std::ops::Range;

use super::node::Family;
use super::numbering::{Anchor, Series, series};
use super::repeats;

/// An operation as the search for groups sees it.
pub(super) struct Step<'a> {
    pub op: &'a str,
    pub label: &'a str,
    /// Names of the weights that it reads.
    pub weights: Vec<&'a str>,
}

/// A group: a name and a stretch of steps, with groups inside.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub name: String,
    pub range: Range<usize>,
    /// Whether the groups inside are layers that follow each other.
    pub stack: bool,
    pub inside: Vec<Span>,
}

/// The groups of a block. `crossing[i]` is how many values pass from before step `i` to it or beyond.
pub(super) fn spans(steps: &[Step], crossing: &[usize]) -> Vec<Span> {
    let named = series(steps);
    let mut found: Vec<Span> = match named.is_empty() {
        false => named.iter().map(|s| stack_of(s, steps, crossing)).collect(),
        true => {
            let ops: Vec<&str> = steps.iter().map(|step| step.op).collect();
            let runs = repeats::find(&ops, crossing).into_iter();
            runs.map(|(start, period, count)| repeated(start, period, count))
                .collect()
        }
    };
    found.sort_by_key(|span| span.range.start);
    found
}

/// The least crossed place of `window`. Of several the first, but an activation stays with what it follows.
fn cut(steps: &[Step], crossing: &[usize], window: Range<usize>) -> usize {
    let places = window.start..=window.end;
    let least = places.clone().map(|i| crossing[i]).min();
    let mut best = places.filter(|i| Some(crossing[*i]) == least);
    let first = best.next().unwrap_or(window.end);
    let follows = |i: &usize| Family::of(steps[i - 1].op) == Family::Activation;
    best.rfind(follows).unwrap_or(first)
}

/// A stack of the layers that a series of names numbers.
fn stack_of(series: &Series, steps: &[Step], crossing: &[usize]) -> Span {
    let layers = &series.layers;
    let firsts: Vec<usize> = layers.iter().map(|layer| layer.anchors[0].step).collect();
    let last_of = |k: usize| layers[k].anchors.last().map_or(firsts[k], |a| a.step);
    let between = (1..layers.len()).map(|k| cut(steps, crossing, last_of(k - 1) + 1..firsts[k]));
    let between: Vec<usize> = between.collect();
    // Before the first layer there may be much that only it reads, such as position tables: it begins as
    // the second one does, and the last one ends as the one before.
    let lead = (1..=firsts[1] - between[0])
        .take_while(|j| firsts[0] >= *j && steps[firsts[0] - j].op == steps[firsts[1] - j].op);
    let start = firsts[0] - lead.count();
    let (last, end_before) = (layers.len() - 1, between[between.len() - 1]);
    let (tail, model) = (last_of(last) + 1, last_of(last - 1) + 1);
    let more = (0..end_before - model)
        .take_while(|j| tail + j < steps.len() && steps[tail + j].op == steps[model + j].op);
    let end = tail + more.count();
    let ends = between.iter().copied().chain([end]);
    let starts = [start].into_iter().chain(between.iter().copied());
    let inside = layers
        .iter()
        .zip(starts.zip(ends))
        .map(|(layer, (a, b))| Span {
            name: layer.number.to_string(),
            range: a..b,
            stack: false,
            inside: parts(&layer.anchors, a..b, steps, crossing),
        });
    Span {
        name: series.name.clone(),
        range: start..end,
        stack: true,
        inside: inside.collect(),
    }
}

/// The parts of a layer: neighbours whose names begin alike.
fn parts(anchors: &[Anchor], layer: Range<usize>, steps: &[Step], crossing: &[usize]) -> Vec<Span> {
    let runs: Vec<&[Anchor]> = anchors
        .chunk_by(|a, b| a.rest.first() == b.rest.first())
        .collect();
    let mut spans = Vec::new();
    let mut start = layer.start;
    for (k, run) in runs.iter().enumerate() {
        let last = run[run.len() - 1].step;
        let end = match runs.get(k + 1) {
            Some(next) if next[0].step > last => cut(steps, crossing, last + 1..next[0].step),
            Some(_) => last + 1,
            None => layer.end,
        };
        let several = run[0].step < last;
        let whole = start == layer.start && end == layer.end;
        if several && !whole && end > start + 1 {
            spans.push(Span {
                name: common(run).join("_"),
                range: start..end,
                stack: false,
                inside: Vec::new(),
            });
        }
        start = end.max(start);
    }
    spans
}

/// The beginning that all names of a run share.
fn common(run: &[Anchor]) -> &[String] {
    let first = &run[0].rest;
    let same = |n: usize| run.iter().all(|anchor| anchor.rest.get(n) == first.get(n));
    let length = (0..first.len()).take_while(|n| same(*n)).count();
    &first[..length.max(1).min(first.len())]
}

fn repeated(start: usize, period: usize, count: usize) -> Span {
    let layer = |k: usize| Span {
        name: k.to_string(),
        range: start + k * period..start + (k + 1) * period,
        stack: false,
        inside: Vec::new(),
    };
    Span {
        name: "block".to_owned(),
        range: start..start + count * period,
        stack: true,
        inside: (0..count).map(layer).collect(),
    }
}
