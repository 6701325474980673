//! From a function of the program to nested groups with edges.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::node::{Constants, is_constant, node, type_text};
use super::scopes::{Span, Step, spans};
use super::{Edge, End, Graph, Group, Item, Kind, ValueText};
use crate::mil::{Binding, Block, Function, NamedType, Operation};
use crate::numeric::DType;

impl Graph {
    /// The graph of `function`, which is called `name`.
    pub fn of(name: &str, function: &Function) -> Self {
        let mut builder = Builder::new(function);
        let inputs = builder.declare(&function.inputs);
        let root = builder.block(&function.block, inputs, Head::function(name));
        Graph {
            name: name.to_owned(),
            root,
            values: builder.values,
        }
    }
}

/// What a group is called.
struct Head {
    name: String,
    path: String,
    kind: Kind,
}

impl Head {
    fn function(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            path: String::new(),
            kind: Kind::Function,
        }
    }

    fn inside(&self, name: String, kind: Kind) -> Self {
        let path = match self.path.as_str() {
            "" => name.clone(),
            outer => format!("{outer}/{name}"),
        };
        Self { name, path, kind }
    }
}

struct Builder<'a> {
    constants: Constants<'a>,
    values: Vec<ValueText>,
    by_name: BTreeMap<&'a str, usize>,
}

/// The operations of a block, in order, with the values that each reads and writes.
struct Flat<'a> {
    operations: Vec<&'a Operation>,
    reads: Vec<Vec<usize>>,
    writes: Vec<Vec<usize>>,
    /// Results of the block.
    results: BTreeSet<usize>,
}

impl<'a> Builder<'a> {
    fn new(function: &'a Function) -> Self {
        let constants = function.operations().filter(|op| is_constant(op));
        let named = constants.flat_map(|op| op.outputs.iter().map(move |o| (o.name.as_str(), op)));
        Self {
            constants: named.collect(),
            values: Vec::new(),
            by_name: BTreeMap::new(),
        }
    }

    fn declare(&mut self, values: &'a [NamedType]) -> Vec<usize> {
        let declared = values.iter().map(|value| {
            let id = self.values.len();
            self.values.push(ValueText {
                name: value.name.clone(),
                ty: type_text(&value.ty),
            });
            self.by_name.insert(&value.name, id);
            id
        });
        declared.collect()
    }

    /// The group of a whole block. Names of an outer block are known already.
    fn block(&mut self, block: &'a Block, inputs: Vec<usize>, head: Head) -> Group {
        let flat = self.flatten(block);
        let crossing = flat.crossing();
        let found = spans(&flat.steps(&self.constants), &crossing);
        let mut group = self.stretch(&flat, 0..flat.operations.len(), &found, head);
        // Also those that nothing reads, and in the order of the block.
        let unread = inputs.iter().filter(|id| !group.inputs.contains(id));
        let unread: Vec<usize> = unread.copied().collect();
        group.inputs.extend(unread);
        let results = block.outputs.iter();
        let results = results.filter_map(|name| self.by_name.get(name.as_str()));
        let results: Vec<usize> = results.copied().collect();
        for id in results {
            group.give(id);
        }
        group
    }

    fn flatten(&mut self, block: &'a Block) -> Flat<'a> {
        let operations = block.operations.iter().filter(|op| !is_constant(op));
        let mut flat = Flat {
            operations: operations.collect(),
            reads: Vec::new(),
            writes: Vec::new(),
            results: BTreeSet::new(),
        };
        for operation in &flat.operations {
            let mut reads = Vec::new();
            self.reads(operation, &mut reads);
            flat.reads.push(reads);
            flat.writes.push(self.declare(&operation.outputs));
        }
        let results = block.outputs.iter();
        let results = results.filter_map(|name| self.by_name.get(name.as_str()));
        flat.results.extend(results);
        flat
    }

    /// Values of this or an outer block that `operation` or a block in it reads, each once.
    fn reads(&self, operation: &Operation, reads: &mut Vec<usize>) {
        let bindings = operation.inputs.values().flat_map(|a| a.bindings());
        let names = bindings.filter_map(|binding| match binding {
            Binding::Name(name) => Some(name),
            Binding::Value(_) => None,
        });
        let results = operation.blocks.iter().flat_map(|block| &block.outputs);
        for name in names.chain(results) {
            if let Some(id) = self.by_name.get(name.as_str())
                && !reads.contains(id)
            {
                reads.push(*id);
            }
        }
        for block in &operation.blocks {
            for inner in &block.operations {
                self.reads(inner, reads);
            }
        }
    }

    /// The group of the operations `range`, with the groups `inside`.
    fn stretch(
        &mut self,
        flat: &Flat<'a>,
        range: Range<usize>,
        inside: &[Span],
        head: Head,
    ) -> Group {
        let mut items = Vec::new();
        let mut spans = inside.iter().peekable();
        let mut at = range.start;
        while at < range.end {
            match spans.next_if(|span| span.range.start == at) {
                Some(span) => {
                    let kind = match span.stack {
                        true => Kind::Stack {
                            layers: span.inside.len(),
                        },
                        false => Kind::Scope,
                    };
                    let head = head.inside(span.name.clone(), kind);
                    let group = self.stretch(flat, span.range.clone(), &span.inside, head);
                    items.push(Item::Group(group));
                    at = span.range.end;
                }
                None => {
                    items.push(self.item(flat, at, &head));
                    at += 1;
                }
            }
        }
        let wanted = flat.wanted(&range);
        assemble(head, items, &wanted)
    }

    fn item(&mut self, flat: &Flat<'a>, at: usize, head: &Head) -> Item {
        let operation = flat.operations[at];
        let mut box_ = node(operation, &self.constants);
        box_.reads = flat.reads[at].clone();
        box_.writes = flat.writes[at].clone();
        if operation.blocks.is_empty() {
            return Item::Op(box_);
        }
        let head = head.inside(
            format!("{} {}", operation.op, operation.label()),
            Kind::Holder,
        );
        let names = match (operation.op.as_str(), operation.blocks.len()) {
            ("cond", 2) => vec!["then".to_owned(), "else".to_owned()],
            ("while_loop", 2) => vec!["condition".to_owned(), "body".to_owned()],
            (_, count) => (0..count).map(|i| format!("block {i}")).collect(),
        };
        let mut items = Vec::new();
        for (block, name) in operation.blocks.iter().zip(names) {
            let inputs = self.declare(&block.inputs);
            let head = head.inside(name, Kind::Block);
            items.push(Item::Group(self.block(block, inputs, head)));
        }
        let ops = 1 + items.iter().map(Item::ops).sum::<usize>();
        Item::Group(Group {
            name: head.name,
            path: head.path,
            kind: head.kind,
            ops,
            inputs: box_.reads,
            outputs: box_.writes,
            items,
            edges: Vec::new(),
        })
    }
}

impl Flat<'_> {
    /// Place by place, how many values pass from before it to it or beyond; one more than operations.
    fn crossing(&self) -> Vec<usize> {
        let count = self.operations.len();
        let mut last_use: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, reads) in self.reads.iter().enumerate() {
            last_use.extend(reads.iter().map(|id| (*id, at)));
        }
        last_use.extend(self.results.iter().map(|id| (*id, count)));
        let mut crossing = vec![0; count + 1];
        for (at, writes) in self.writes.iter().enumerate() {
            for id in writes {
                let last = last_use.get(id).copied().unwrap_or(at);
                crossing[at + 1..=last.max(at)]
                    .iter_mut()
                    .for_each(|n| *n += 1);
            }
        }
        crossing
    }

    /// Values that are made within `range` and used after it.
    fn wanted(&self, range: &Range<usize>) -> BTreeSet<usize> {
        let after = self.reads[range.end..].iter().flatten();
        let used: BTreeSet<usize> = after.chain(&self.results).copied().collect();
        let made = self.writes[range.clone()].iter().flatten();
        made.copied().filter(|id| used.contains(id)).collect()
    }

    fn steps<'s>(&'s self, constants: &Constants<'s>) -> Vec<Step<'s>> {
        let step = |operation: &&'s Operation| Step {
            op: &operation.op,
            label: operation.label(),
            weights: weights(operation, constants),
        };
        self.operations.iter().map(step).collect()
    }
}

/// Names of the float constants of rank 1 and more that an operation reads.
fn weights<'s>(operation: &'s Operation, constants: &Constants<'s>) -> Vec<&'s str> {
    let bindings = operation.inputs.values().flat_map(|a| a.bindings());
    let tensor = |name: &&'s str| {
        let made = constants.get(name).and_then(|op| op.outputs.first());
        made.is_some_and(|output| {
            let float = output.ty.dtype().is_some_and(DType::is_float);
            float && output.ty.dims().is_some_and(|dims| !dims.is_empty())
        })
    };
    let names = bindings.filter_map(|binding| match binding {
        Binding::Name(name) => Some(name.as_str()),
        Binding::Value(_) => None,
    });
    names.filter(tensor).collect()
}

impl Item {
    fn reads(&self) -> &[usize] {
        match self {
            Item::Op(op) => &op.reads,
            Item::Group(group) => &group.inputs,
        }
    }

    fn writes(&self) -> &[usize] {
        match self {
            Item::Op(op) => &op.writes,
            Item::Group(group) => &group.outputs,
        }
    }

    pub(super) fn ops(&self) -> usize {
        match self {
            Item::Op(_) => 1,
            Item::Group(group) => group.ops,
        }
    }
}

/// A group of `items`, which gives the values `wanted` away.
fn assemble(head: Head, items: Vec<Item>, wanted: &BTreeSet<usize>) -> Group {
    let mut group = Group {
        name: head.name,
        path: head.path,
        kind: head.kind,
        ops: items.iter().map(Item::ops).sum(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        edges: Vec::new(),
        items: Vec::new(),
    };
    let mut made: BTreeMap<usize, End> = BTreeMap::new();
    let mut edges: BTreeMap<(End, End), Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        for id in item.reads() {
            let from = *made.entry(*id).or_insert_with(|| {
                group.inputs.push(*id);
                End::Input(group.inputs.len() - 1)
            });
            edges.entry((from, End::Item(at))).or_default().push(*id);
        }
        made.extend(item.writes().iter().map(|id| (*id, End::Item(at))));
    }
    let edge = |((from, to), values)| Edge { from, to, values };
    group.edges = edges.into_iter().map(edge).collect();
    group.items = items;
    for id in wanted {
        group.give(*id);
    }
    group
}

impl Group {
    /// Makes `id` an output, unless it is one.
    fn give(&mut self, id: usize) {
        if self.outputs.contains(&id) {
            return;
        }
        let maker = self
            .items
            .iter()
            .position(|item| item.writes().contains(&id));
        let input = self.inputs.iter().position(|input| *input == id);
        let Some(from) = maker.map(End::Item).or(input.map(End::Input)) else {
            return;
        };
        self.outputs.push(id);
        let to = End::Output(self.outputs.len() - 1);
        self.edges.push(Edge {
            from,
            to,
            values: vec![id],
        });
    }
}
