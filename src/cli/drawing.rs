//! `rlaif-repl inspect --graph`: a function of a bundle as a picture.

use std::path::PathBuf;

use crate::diag::{Error, Result};
use crate::fail;
use crate::files;
use crate::graph::{Graph, View};
use crate::package::{Bundle, Model};

/// Arguments of the drawing.
#[derive(clap::Args)]
pub(super) struct Drawing {
    /// Draw the program to this file, .svg or .dot, instead of telling of it.
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,

    /// Function to draw, if not the default one.
    #[arg(long, requires = "graph")]
    function: Option<String>,

    /// Stage of a pipeline to draw.
    #[arg(long, requires = "graph", value_name = "NAME")]
    stage: Option<String>,

    /// Draw groups nested this deep or deeper closed: 0 closes all.
    #[arg(long, requires = "graph", value_name = "DEPTH")]
    collapse: Option<usize>,

    /// Draw this group open (a name or path, or "all"); may be given again.
    #[arg(long, requires = "graph", value_name = "GROUP")]
    expand: Vec<String>,
}

impl Drawing {
    /// Writes the picture that is asked for; what it says of it.
    pub(super) fn draw(&self, model: &Model) -> Result<Option<String>> {
        let Some(path) = &self.graph else {
            return Ok(None);
        };
        let bundle = self.program(model)?;
        let default = &bundle.description.default_function;
        let graph = Graph::of_program(&bundle.program, self.function.as_ref().unwrap_or(default))?;
        let view = View {
            collapse: self.collapse,
            expand: self.expand.clone(),
        };
        files::write_atomic(path, graph.draw(path, &view)?.as_bytes())?;
        let (name, summary) = (&graph.name, graph.root.summary());
        Ok(Some(format!("{}: {name}, {summary}", path.display())))
    }

    /// The program, or the one of a pipeline that is meant.
    fn program<'m>(&self, model: &'m Model) -> Result<&'m Bundle> {
        let stages = match model {
            Model::Program(bundle) if self.stage.is_none() => return Ok(bundle),
            Model::Program(_) => fail!("the model is no pipeline: it has no stages"),
            Model::Pipeline(pipeline) => &pipeline.stages,
        };
        let names = || stages.iter().map(|stage| stage.name.as_str());
        let Some(name) = &self.stage else {
            let names: Vec<&str> = names().collect();
            return Err(Error::new("the model is a pipeline of several programs")
                .hint(format!("name one with --stage: {}", names.join(", "))));
        };
        match stages.iter().find(|stage| stage.name == *name) {
            Some(stage) => Ok(&stage.bundle),
            None => Err(Error::unknown("stage", name, names())),
        }
    }
}
