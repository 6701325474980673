//! Progress displays of scripts' own loops.

use std::sync::{Arc, Mutex, PoisonError};

use crate::host::{
    Event, Kind, Progress, ScriptFn, ScriptValue, Topic, TypeEntry, function, method,
};

pub(super) const TOPIC: Topic = Topic {
    name: "progress",
    summary: "Progress displays of long loops, and outputs that make room.",
    functions,
    types: || vec![TypeEntry::of::<Bar>()],
};

/// A progress display that a script moves.
#[derive(Clone)]
pub(super) struct Bar(Arc<Mutex<Option<Progress>>>);

impl ScriptValue for Bar {
    const NAME: &'static str = "Bar";
    const SUMMARY: &'static str = "A progress display.";

    fn line(&self) -> String {
        "Bar".into()
    }
}

fn functions() -> Vec<ScriptFn> {
    vec![
        function("progress", "Starts a progress display.")
            .param("label", Kind::Text, "What is being done.")
            .optional("total", Kind::Int, "How many steps there are, if known.")
            .returns("Bar")
            .example(
                "let bar = progress(\"counting\", 3); for i in 1..=3 { bar.step(i); } bar.finish()",
                "",
            )
            .run(|call| {
                let total = call.get_or::<u64>("total", 0)?;
                let progress = call.host.progress(call.get::<String>("label")?, total);
                Ok(Bar(Arc::new(Mutex::new(Some(progress)))))
            }),
        method::<Bar>("step", "Tells how far the work is.")
            .param("done", Kind::Int, "How many steps are done.")
            .optional("message", Kind::Text, "The latest figures.")
            .example("progress(\"counting\").step(1, \"loss 0.5\")", "")
            .run(|call| {
                let message = call.get_or("message", String::new())?;
                let done = call.get("done")?;
                let bar = call.receiver::<Bar>()?;
                if let Some(progress) = bar
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .as_mut()
                {
                    progress.set(done, message);
                }
                Ok(())
            }),
        method::<Bar>("finish", "Ends the display.")
            .example("progress(\"counting\").finish()", "")
            .run(|call| {
                call.receiver::<Bar>()?
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                Ok(())
            }),
        function("clear_output", "Takes away what the cell has shown, for what comes next.")
            .details("In a notebook the output of the cell, in a terminal the screen; elsewhere it does nothing.")
            .example("clear_output()", "")
            .run(|call| {
                call.host.send(Event::Clear);
                Ok(())
            }),
    ]
}
