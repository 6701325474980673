//! A program as a graph to look at: operations with their constants folded in, grouped into layers, drawn
//! as SVG or DOT.
//!
//! Every group is a stretch of the program, which is in topological order; so groups taken as single
//! nodes never form a cycle, whatever is open or closed.

mod build;
mod dot;
mod layout;
mod node;
mod numbering;
mod open;
mod repeats;
mod scopes;
mod svg;

use std::path::Path;

use crate::diag::{Error, Result};
use crate::mil::Program;
pub use node::{Family, OpNode};
pub use open::View;

/// A function as nested groups.
#[derive(Debug, Clone)]
pub struct Graph {
    pub name: String,
    pub root: Group,
    pub values: Vec<ValueText>,
}

/// A value: its name, and its type as text (`fp16 1×?×576`).
#[derive(Debug, Clone, PartialEq)]
pub struct ValueText {
    pub name: String,
    pub ty: String,
}

/// What a group stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Function,
    /// Layers that follow each other.
    Stack {
        layers: usize,
    },
    /// A layer, or a part of one.
    Scope,
    /// An operation with nested blocks.
    Holder,
    /// A nested block.
    Block,
}

/// A stretch of the program.
#[derive(Debug, Clone)]
pub struct Group {
    pub name: String,
    /// Names from the outermost group to this one, with `/` between them.
    pub path: String,
    pub kind: Kind,
    /// Operations inside, at any depth.
    pub ops: usize,
    /// Values that come from outside.
    pub inputs: Vec<usize>,
    /// Values that are used outside.
    pub outputs: Vec<usize>,
    /// In program order.
    pub items: Vec<Item>,
    pub edges: Vec<Edge>,
}

#[derive(Debug, Clone)]
pub enum Item {
    Op(OpNode),
    Group(Group),
}

/// Values that go from one place of a group to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    pub from: End,
    pub to: End,
    pub values: Vec<usize>,
}

/// A place in a group, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Input(usize),
    Item(usize),
    Output(usize),
}

impl Graph {
    /// The graph of one function of `program`.
    pub fn of_program(program: &Program, name: &str) -> Result<Self> {
        let known = || program.functions.keys().map(String::as_str);
        match program.functions.get(name) {
            Some(function) => Ok(Self::of(name, function)),
            None => Err(Error::unknown("function", name, known())),
        }
    }

    /// The drawing for a file of that name: .svg, or .dot or .gv.
    pub fn draw(&self, path: &Path, view: &View) -> Result<String> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => self.to_svg(view),
            Some("dot" | "gv") => self.to_dot(view),
            _ => Err(Error::new(format!("can't draw {}", path.display()))
                .hint("name the file .svg, or .dot for Graphviz")),
        }
    }
}

impl Group {
    /// The groups directly inside.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.items.iter().filter_map(|item| match item {
            Item::Group(group) => Some(group),
            Item::Op(_) => None,
        })
    }

    /// What is inside, in a few words.
    pub fn summary(&self) -> String {
        let count = match self.ops {
            1 => "1 operation".to_owned(),
            ops => format!("{ops} operations"),
        };
        match self.kind {
            Kind::Stack { layers } => format!("× {layers} · {count}"),
            _ => count,
        }
    }
}
