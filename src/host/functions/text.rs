//! Numbers as text.

use crate::fail;
use crate::host::{Kind, ScriptFn, Topic, function};

pub(super) const TOPIC: Topic = Topic {
    name: "text",
    summary: "Numbers as text.",
    functions,
    types: Vec::new,
};

fn functions() -> Vec<ScriptFn> {
    vec![
        function("format", "A number with a fixed count of decimals.")
            .param("x", Kind::Float, "The number.")
            .param("digits", Kind::Int, "How many decimals, at most 30.")
            .returns("string")
            .example("format(2.0 / 3.0, 3)", "\"0.667\"")
            .run(|call| {
                let (x, digits): (f64, usize) = (call.get("x")?, call.get("digits")?);
                match digits {
                    0..=30 => Ok(format!("{x:.digits$}")),
                    _ => fail!("parameter \"digits\" must be at most 30, not {digits}"),
                }
            }),
    ]
}
