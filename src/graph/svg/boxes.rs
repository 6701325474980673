//! The boxes of a drawing: their texts and how large these make them.

use crate::graph::node::cut;
use crate::graph::{Family, Graph, Group, Item, Kind, OpNode};

/// Sizes in pixels.
pub(super) const NAME: f64 = 13.0;
pub(super) const SMALL: f64 = 11.0;
pub(super) const LINE: f64 = 15.0;
const PAD: f64 = 11.0;
/// What lies behind the box of a stack, below and to the right.
pub(super) const SHADOW: f64 = 6.0;

/// What is written in a box: a name, then smaller lines.
pub(super) struct Face {
    pub class: &'static str,
    pub name: String,
    pub lines: Vec<String>,
    /// The tooltip.
    pub details: String,
    /// Beside the line that leaves it below.
    pub note: String,
    pub width: f64,
    pub height: f64,
}

impl Face {
    fn new(class: &'static str, name: String, lines: Vec<String>) -> Self {
        let widths = lines.iter().map(|line| text_width(line, SMALL));
        let width = widths.fold(text_width(&name, NAME) * 1.06, f64::max);
        Self {
            class,
            width: (width + 2.0 * PAD).max(46.0),
            height: 12.0 + LINE * (1 + lines.len()) as f64,
            name,
            lines,
            details: String::new(),
            note: String::new(),
        }
    }

    pub fn item(item: &Item, graph: &Graph) -> Self {
        match item {
            Item::Op(op) => Self::op(op, graph),
            Item::Group(group) => Self::group(group, graph),
        }
    }

    fn op(op: &OpNode, graph: &Graph) -> Self {
        let label = Some(cut(&op.label, 36)).filter(|label| *label != op.op);
        let lines = label.into_iter().chain(op.lines.iter().cloned()).collect();
        Self {
            details: op.details.clone(),
            note: note(&op.writes, graph),
            ..Self::new(class(op.family), op.op.clone(), lines)
        }
    }

    fn group(group: &Group, graph: &Graph) -> Self {
        let first = group.groups().next().map_or("", |g| g.name.as_str());
        let last = group.groups().last().map_or("", |g| g.name.as_str());
        let name = match group.kind {
            Kind::Stack { .. } => format!("{} {first} – {last}", group.name),
            _ => numbered(group),
        };
        let list = |title: &str, values: &[usize]| {
            let texts = values.iter().map(|id| {
                let value = &graph.values[*id];
                format!("\n{title} {}: {}", value.name, value.ty)
            });
            texts.collect::<String>()
        };
        let (inputs, outputs) = (list("in", &group.inputs), list("out", &group.outputs));
        let mut face = Self::new("group", cut(&name, 48), vec![group.summary()]);
        if let Kind::Stack { .. } = group.kind {
            face.height += SHADOW;
        }
        face.details = format!("{}\n{}{inputs}{outputs}", group.path, group.summary());
        face.note = note(&group.outputs, graph);
        face
    }

    /// A value that enters or leaves.
    pub fn port(value: usize, graph: &Graph, enters: bool) -> Self {
        let text = &graph.values[value];
        let details = format!("{}: {}", text.name, text.ty);
        let note = if enters {
            text.ty.clone()
        } else {
            String::new()
        };
        let mut face = Self::new("port", cut(&text.name, 40), Vec::new());
        (face.details, face.note) = (details, note);
        face
    }
}

/// A layer's name is its number; the stack's last word says what is counted.
fn numbered(group: &Group) -> String {
    let stack = group.path.rsplit('/').nth(1).unwrap_or("");
    match group.name.parse::<u64>() {
        Ok(number) => format!("{} {number}", stack.rsplit('_').next().unwrap_or("")),
        Err(_) => group.name.clone(),
    }
}

/// The types of the values that leave a box, as far as there is room.
fn note(values: &[usize], graph: &Graph) -> String {
    let mut types: Vec<&str> = values
        .iter()
        .map(|id| graph.values[*id].ty.as_str())
        .collect();
    types.dedup();
    match (values.len(), types.as_slice()) {
        (0, _) => String::new(),
        (1, [one]) => (*one).to_owned(),
        (count, [one]) => format!("{count} of {one}"),
        (count, _) => format!("{count} values"),
    }
}

fn class(family: Family) -> &'static str {
    match family {
        Family::Weighted => "weighted",
        Family::Attention => "attention",
        Family::Norm => "norm",
        Family::Activation => "activation",
        Family::Shape => "shape",
        Family::State => "state",
        Family::Other => "other",
    }
}

/// About as wide as `text` is in a sans-serif font of `size`; a little more rather than less.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ':' | ';' | '\'' | '|' | '(' | ')'
        | '[' | ']' | ' ' => 0.36,
        'm' | 'w' | 'M' | 'W' | '@' => 0.9,
        'A'..='Z' | '0'..='9' | '×' | '_' | '?' => 0.64,
        c if c.is_ascii() => 0.59,
        _ => 0.9,
    };
    text.chars().map(em).sum::<f64>() * size
}
