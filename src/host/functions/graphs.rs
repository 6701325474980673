//! A model's program as a picture.

use std::path::PathBuf;
use std::sync::Arc;

use super::models::Model;
use crate::diag::Result;
use crate::files;
use crate::graph::{Graph, Group, Kind, View};
use crate::host::{
    Call, Key, Kind as Takes, ScriptFn, ScriptValue, Topic, TypeEntry, function, method,
};
use crate::report::{Cell, Display, Table};

pub(super) const TOPIC: Topic = Topic {
    name: "graphs",
    summary: "A model's program as a picture: operations, shapes, layers.",
    functions,
    types: || vec![TypeEntry::of::<GraphHandle>()],
};

/// A graph as scripts hold it.
#[derive(Clone)]
struct GraphHandle(Arc<Graph>);

impl ScriptValue for GraphHandle {
    const NAME: &'static str = "Graph";
    const SUMMARY: &'static str = "A program as operations in groups (layers and their parts).";

    fn line(&self) -> String {
        format!("Graph({:?}, {})", self.0.name, self.0.root.summary())
    }

    fn show(&self) -> Display {
        match groups(&self.0) {
            Ok(table) if !table.rows().is_empty() => Display::Table(table),
            _ => Display::Text(self.line()),
        }
    }
}

const SHOWN: &[Key] = &[
    Key::optional(
        "collapse",
        Takes::Int,
        "Groups nested this deep or deeper are closed, 0 closes all; left out: what stays readable.",
    )
    .at_least(0.0),
    Key::optional(
        "expand",
        Takes::Either(&[Takes::Text, Takes::Array]),
        "Groups to open: a name or path, \"all\", or an array of them.",
    ),
];

fn functions() -> Vec<ScriptFn> {
    vec![
        function("graph", "The program of a model as a graph to draw.")
            .param("model", Takes::object::<Model>(), "The model.")
            .options(&[Key::optional("function", Takes::Text, "The function of the program; the model's own if left out.")])
            .returns("Graph")
            .example("type_of(graph(load(\"embedded:student\")))", "\"Graph\"")
            .run(graph),
        method::<GraphHandle>("groups", "Its groups: layers and their parts, by name or by repeated structure.")
            .returns("Table")
            .example("type_of(load(\"embedded:student\").graph().groups())", "\"Table\"")
            .run(|call| groups(&call.receiver::<GraphHandle>()?.0)),
        method::<GraphHandle>("save", "Draws it to a file: .svg (groups open at a click in a browser) or .dot for Graphviz.")
            .param("path", Takes::Output(&["svg", "dot"]), "The file.")
            .options(SHOWN)
            .example("load(\"embedded:student\").graph().save(\"student.svg\", #{expand: \"model_layers/0\"}); read_text(\"student.svg\").starts_with(\"<svg\")", "true")
            .run(|call| {
                let path: PathBuf = call.get("path")?;
                let text = call.receiver::<GraphHandle>()?.0.draw(&path, &view(call)?)?;
                files::write_atomic(&path, text.as_bytes())
            }),
    ]
}

fn graph(call: &mut Call) -> Result<GraphHandle> {
    let model = call.get::<Model>("model")?.0;
    let name: Option<String> = call.options.get("function")?;
    let name = name.unwrap_or_else(|| model.function().to_owned());
    let graph = Graph::of_program(&model.bundle()?.program, &name)?;
    Ok(GraphHandle(Arc::new(graph)))
}

fn view(call: &Call) -> Result<View> {
    let expand = match call.options.get::<Option<String>>("expand") {
        Ok(one) => one.into_iter().collect(),
        Err(_) => call.options.get("expand")?,
    };
    Ok(View {
        collapse: call.options.get("collapse")?,
        expand,
    })
}

/// Each group, those inside it after it.
fn groups(graph: &Graph) -> Result<Table> {
    let columns = ["group", "", "operations", "inputs", "outputs"];
    let mut table = Table::new("", columns);
    add(&graph.root, &mut table)?;
    Ok(table)
}

fn add(group: &Group, table: &mut Table) -> Result<()> {
    for inner in group.groups() {
        let what = match inner.kind {
            Kind::Stack { layers } => format!("{layers} layers"),
            Kind::Function | Kind::Scope => String::new(),
            Kind::Holder => "nested blocks".to_owned(),
            Kind::Block => "block".to_owned(),
        };
        table.push([
            Cell::from(inner.path.as_str()),
            what.into(),
            inner.ops.into(),
            inner.inputs.len().into(),
            inner.outputs.len().into(),
        ])?;
        add(inner, table)?;
    }
    Ok(())
}
