//! Random numbers, all from the session's seed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Array, Dynamic};

use crate::diag::Result;
use crate::fail;
use crate::host::{Call, Kept, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, method};
use crate::numeric::Rng;

pub(super) const TOPIC: Topic = Topic {
    name: "random",
    summary: "Reproducible random numbers.",
    functions,
    types: || vec![TypeEntry::of::<Stream>()],
};

/// A random stream that a script holds.
#[derive(Clone)]
pub(super) struct Stream(Arc<Mutex<Rng>>);

impl Stream {
    fn new(rng: Rng) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    fn draw(&self) -> MutexGuard<'_, Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScriptValue for Stream {
    const NAME: &'static str = "Stream";
    const SUMMARY: &'static str = "A reproducible random stream.";
    const CHANGES: bool = true;

    fn keep(&self) -> Result<Option<Kept>> {
        let (stream, state) = (self.clone(), self.draw().clone());
        Ok(Some(Kept {
            bytes: size_of::<Rng>(),
            put_back: Box::new(move || {
                *stream.draw() = state.clone();
                Ok(())
            }),
        }))
    }

    fn digest(&self) -> Option<String> {
        serde_json::to_string(&*self.draw()).ok()
    }

    fn line(&self) -> String {
        "Stream".into()
    }
}

fn functions() -> Vec<ScriptFn> {
    vec![
        function(
            "seed",
            "Starts the session's random stream again, or tells its seed.",
        )
        .optional("seed", Kind::Int, "Where the stream starts.")
        .returns("int")
        .example("seed(7); let a = random(); seed(7); a == random()", "true")
        .run(|call| {
            if let Some(seed) = call.get::<Option<u64>>("seed")? {
                call.host.set_seed(seed);
            }
            Ok(call.host.seed() as i64)
        }),
        function(
            "random",
            "A number from the session's stream, uniform from 0 up to 1.",
        )
        .returns("float")
        .example("let x = random(); x >= 0 && x < 1", "true")
        .run(|call| Ok(call.host.draw(Rng::uniform))),
        function("rng", "A random stream of its own.")
            .param(
                "seed",
                Kind::Either(&[Kind::Int, Kind::Text]),
                "A seed, or a name: then it follows the session's seed.",
            )
            .returns("Stream")
            .example("rng(7).below(10) == rng(7).below(10)", "true")
            .run(|call| match call.get::<u64>("seed") {
                Ok(seed) => Ok(Stream::new(Rng::new(seed))),
                Err(_) => Ok(Stream::new(call.host.stream(&call.get::<String>("seed")?))),
            }),
        method::<Stream>("uniform", "A number from 0 up to 1.")
            .returns("float")
            .example("rng(7).uniform() < 1", "true")
            .run(|call| Ok(call.receiver::<Stream>()?.draw().uniform())),
        method::<Stream>("normal", "A number from the standard normal distribution.")
            .returns("float")
            .example("rng(7).normal() == rng(7).normal()", "true")
            .run(|call| Ok(call.receiver::<Stream>()?.draw().normal())),
        method::<Stream>("below", "A whole number from 0 up to, but not with, `n`.")
            .param("n", Kind::Int, "How many numbers to choose from.")
            .returns("int")
            .example("rng(7).below(1)", "0")
            .run(|call| match call.get::<usize>("n")? {
                0 => fail!("parameter \"n\" must be at least 1"),
                n => Ok(call.receiver::<Stream>()?.draw().below(n)),
            }),
        method::<Stream>("choice", "One element of an array.")
            .param("items", Kind::Array, "What to choose from.")
            .returns("any")
            .example("rng(7).choice([\"only\"])", "\"only\"")
            .run(choice),
        method::<Stream>("shuffle", "The elements of an array in random order.")
            .param("items", Kind::Array, "What to shuffle.")
            .returns("array")
            .example("rng(7).shuffle([1, 2, 3]).len()", "3")
            .run(|call| {
                let mut items: Array = call.get::<Vec<Dynamic>>("items")?;
                call.receiver::<Stream>()?.draw().shuffle(&mut items);
                Ok(items)
            }),
    ]
}

fn choice(call: &mut Call) -> Result<Dynamic> {
    let mut items: Array = call.get::<Vec<Dynamic>>("items")?;
    if items.is_empty() {
        fail!("there is nothing to choose from: the array is empty");
    }
    let at = call.receiver::<Stream>()?.draw().below(items.len());
    Ok(items.swap_remove(at))
}
