//! A graph as DOT, the language of Graphviz: open groups are clusters, closed ones single nodes.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::open::Open;
use super::{Graph, Group, Item, Kind, View};
use crate::diag::Result;

impl Graph {
    /// The graph as text for `dot -Tsvg`.
    pub fn to_dot(&self, view: &View) -> Result<String> {
        let mut writer = Writer {
            graph: self,
            open: self.open(view)?,
            text: format!(
                "digraph {} {{\n  graph [fontname=\"Helvetica\", fontsize=12];\n  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"Helvetica\", fontsize=11];\n  \
                 edge [fontname=\"Helvetica\", fontsize=9, color=gray40];\n",
                quoted(&self.name)
            ),
            nodes: 0,
            makers: BTreeMap::new(),
            edges: BTreeMap::new(),
        };
        for id in &self.root.inputs {
            writer.port(*id, 1);
        }
        writer.items(&self.root, 1);
        for id in &self.root.outputs {
            let name = &self.values[*id].name;
            let node = writer.node(&quoted(name), "shape=ellipse", 1);
            writer.reads(node, &[*id]);
        }
        writer.finish()
    }
}

struct Writer<'a> {
    graph: &'a Graph,
    open: Open,
    text: String,
    nodes: usize,
    /// Value → node that makes it.
    makers: BTreeMap<usize, usize>,
    /// From and to → values.
    edges: BTreeMap<(usize, usize), Vec<usize>>,
}

impl Writer<'_> {
    fn items(&mut self, group: &Group, depth: usize) {
        for item in &group.items {
            match item {
                Item::Op(op) => {
                    let lines = [&op.op, &op.label].into_iter().chain(&op.lines);
                    let lines: Vec<&str> = lines.map(String::as_str).collect();
                    let node = self.node(&quoted(&lines.join("\n")), "", depth);
                    self.reads(node, &op.reads);
                    self.writes(node, &op.writes);
                }
                Item::Group(inner) if self.open.contains(&inner.path) => {
                    self.cluster(inner, depth);
                }
                Item::Group(inner) => {
                    let text = quoted(&format!("{}\n{}", inner.name, inner.summary()));
                    let node = self.node(&text, "shape=box3d", depth);
                    self.reads(node, &inner.inputs);
                    self.writes(node, &inner.outputs);
                }
            }
        }
    }

    fn cluster(&mut self, group: &Group, depth: usize) {
        let margin = "  ".repeat(depth);
        let (path, label) = (
            quoted(&format!("cluster {}", group.path)),
            quoted(&group.name),
        );
        let _ = writeln!(
            self.text,
            "{margin}subgraph {path} {{\n{margin}  label={label};"
        );
        if group.kind == Kind::Block {
            let unmade = |id: &&usize| !self.makers.contains_key(id);
            let inputs: Vec<usize> = group.inputs.iter().filter(unmade).copied().collect();
            inputs.iter().for_each(|id| self.port(*id, depth + 1));
        }
        self.items(group, depth + 1);
        if group.kind == Kind::Holder {
            let node = self.node(&quoted(&group.name), "", depth + 1);
            self.reads(node, &group.inputs);
            for block in group.groups() {
                self.reads(node, &block.outputs);
            }
            self.writes(node, &group.outputs);
        }
        let _ = writeln!(self.text, "{margin}}}");
    }

    /// A value that comes from outside.
    fn port(&mut self, id: usize, depth: usize) {
        let name = quoted(&self.graph.values[id].name);
        let node = self.node(&name, "shape=ellipse", depth);
        self.writes(node, &[id]);
    }

    fn node(&mut self, label: &str, attributes: &str, depth: usize) -> usize {
        let number = self.nodes;
        self.nodes += 1;
        let comma = if attributes.is_empty() { "" } else { ", " };
        let margin = "  ".repeat(depth);
        let _ = writeln!(
            self.text,
            "{margin}n{number} [label={label}{comma}{attributes}];"
        );
        number
    }

    fn reads(&mut self, node: usize, values: &[usize]) {
        for id in values {
            if let Some(maker) = self.makers.get(id).filter(|maker| **maker != node) {
                let values = self.edges.entry((*maker, node)).or_default();
                if !values.contains(id) {
                    values.push(*id);
                }
            }
        }
    }

    fn writes(&mut self, node: usize, values: &[usize]) {
        self.makers.extend(values.iter().map(|id| (*id, node)));
    }

    fn finish(mut self) -> Result<String> {
        for ((from, to), values) in &self.edges {
            let types = values.iter().map(|id| self.graph.values[*id].ty.as_str());
            let types: Vec<&str> = types.collect();
            let label = quoted(&types.join("\n"));
            let _ = writeln!(self.text, "  n{from} -> n{to} [label={label}];");
        }
        self.text += "}\n";
        Ok(self.text)
    }
}

/// A DOT string.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n").replace('\r', ""))
}
