//! `rlaif-repl serve`: predictions for other programs. A JSON object a line on the standard input, one
//! line of answer each; tensors go through safetensors files. A bad request is answered, never fatal.
//!
//! | request | answer |
//! | --- | --- |
//! | `{"cmd":"load","model":"X.mlpackage","function":"f"}` (`function` is optional) | `{"ok":true,"model":1}` |
//! | `{"cmd":"predict","model":1,"inputs":"i.safetensors","outputs":"o.safetensors","state":2}` (`state` is optional) | `{"ok":true,"values":{}}` |
//! | `{"cmd":"new_state","model":1}` | `{"ok":true,"state":2}` |
//! | `{"cmd":"read_state","state":2,"name":"k","outputs":"t.safetensors"}` | `{"ok":true}` |
//! | `{"cmd":"write_state","state":2,"name":"k","inputs":"t.safetensors"}` | `{"ok":true}` |
//! | `{"cmd":"unload","model":1}` | `{"ok":true}` |
//! | what failed | `{"ok":false,"error":"why","unsupported":["op"]}` |

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::predict::{Opening, read_tensors, values, write_tensors};
use crate::diag::{Context, Error, Kind, Result};
use crate::engine::{Engine, Features, State, device};
use crate::fail;
use crate::session;

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    opening: Opening,
}

pub(super) fn run(args: Args) -> Result<ExitCode> {
    session::silence_panics();
    let mut server = Server {
        opening: args.opening,
        models: BTreeMap::new(),
        states: BTreeMap::new(),
        last: 0,
    };
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        writeln!(out, "{}", server.answer(&line))?;
        out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    Load {
        model: PathBuf,
        function: Option<String>,
    },
    Predict {
        model: u64,
        inputs: PathBuf,
        outputs: PathBuf,
        state: Option<u64>,
    },
    NewState {
        model: u64,
    },
    ReadState {
        state: u64,
        name: String,
        outputs: PathBuf,
    },
    WriteState {
        state: u64,
        name: String,
        inputs: PathBuf,
    },
    Unload {
        model: u64,
    },
}

/// What the client holds handles of; models and states are counted together.
struct Server {
    opening: Opening,
    models: BTreeMap<u64, Model>,
    states: BTreeMap<u64, Buffers>,
    last: u64,
}

struct Model {
    engine: Box<dyn Engine>,
    function: String,
}

struct Buffers {
    /// They go when this one is unloaded.
    model: u64,
    state: Box<dyn State>,
}

impl Server {
    fn answer(&mut self, line: &[u8]) -> Value {
        let answered = session::catch_panics(|| device::scoped(|| self.handle(line)));
        let answered =
            answered.unwrap_or_else(|panic| Err(Error::new(format!("this is a defect: {panic}"))));
        match answered {
            Ok(mut answer) => {
                answer["ok"] = true.into();
                answer
            }
            Err(error) => {
                let unsupported = match error.kind() {
                    Kind::Unsupported(ops) => ops.as_slice(),
                    _ => &[],
                };
                json!({"ok": false, "error": error.to_string(), "unsupported": unsupported})
            }
        }
    }

    fn handle(&mut self, line: &[u8]) -> Result<Value> {
        let request = serde_json::from_slice(line);
        match request.map_err(|error| Error::new(format!("bad request: {error}")))? {
            Request::Load { model, function } => {
                let engine = self.opening.open(&model)?;
                let described = engine.description();
                let function = function.unwrap_or_else(|| described.default_function.clone());
                described.function(&function)?;
                let handle = self.next();
                self.models.insert(handle, Model { engine, function });
                Ok(json!({ "model": handle }))
            }
            Request::Predict {
                model,
                inputs,
                outputs,
                state,
            } => self.predict(model, &read_tensors(&inputs)?, &outputs, state),
            Request::NewState { model } => {
                let Model { engine, function } = find(&self.models, "model", model)?;
                let state = engine.new_state(function)?;
                let handle = self.next();
                self.states.insert(handle, Buffers { model, state });
                Ok(json!({ "state": handle }))
            }
            Request::ReadState {
                state,
                name,
                outputs,
            } => {
                let value = find(&self.states, "state", state)?.state.read(&name)?;
                write_tensors(&outputs, &Features::from([(name, value)]))?;
                Ok(json!({}))
            }
            Request::WriteState {
                state,
                name,
                inputs,
            } => {
                let given = read_tensors(&inputs)?;
                let names = given.keys().map(String::as_str);
                let value = given.get(&name);
                let value = value.ok_or_else(|| Error::unknown("tensor", &name, names))?;
                find_mut(&mut self.states, "state", state)?
                    .state
                    .write(&name, value)?;
                Ok(json!({}))
            }
            Request::Unload { model } => {
                find(&self.models, "model", model)?;
                self.models.remove(&model);
                self.states.retain(|_, buffers| buffers.model != model);
                Ok(json!({}))
            }
        }
    }

    fn predict(
        &mut self,
        model: u64,
        inputs: &Features,
        outputs: &std::path::Path,
        state: Option<u64>,
    ) -> Result<Value> {
        let Model { engine, function } = find(&self.models, "model", model)?;
        let buffers = match state {
            Some(state) => Some(&mut *find_mut(&mut self.states, "state", state)?.state),
            None => None,
        };
        let predicted = engine.predict(function, inputs, buffers.map(|b| b as &mut dyn State));
        // Core ML's own words: clients that were written for it look for them.
        let predicted = predicted.context("Unable to compute the prediction using ML Program")?;
        write_tensors(outputs, &predicted)?;
        let described = engine.description().function(function)?;
        Ok(json!({ "values": values(described, &predicted)? }))
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

fn find<'a, T>(held: &'a BTreeMap<u64, T>, what: &str, handle: u64) -> Result<&'a T> {
    match held.get(&handle) {
        Some(found) => Ok(found),
        None => fail!("there is no {what} {handle}"),
    }
}

fn find_mut<'a, T>(held: &'a mut BTreeMap<u64, T>, what: &str, handle: u64) -> Result<&'a mut T> {
    match held.get_mut(&handle) {
        Some(found) => Ok(found),
        None => fail!("there is no {what} {handle}"),
    }
}
