//! The states of several programs as those of one model.

use std::any::Any;
use std::collections::BTreeMap;

use super::State;
use crate::diag::{Error, Result};
use crate::fail;
use crate::numeric::Array;

/// Each program's states: their names in the whole with those of its own, and the buffers.
pub(super) struct States(pub Vec<(BTreeMap<String, String>, Box<dyn State>)>);

impl States {
    /// Those of `count` programs that a caller gave.
    pub fn given(state: &mut dyn State, count: usize) -> Result<&mut Self> {
        match state.as_any_mut().downcast_mut::<Self>() {
            Some(states) if states.0.len() == count => Ok(states),
            _ => fail!("the state was made by another engine"),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let names = self.0.iter().flat_map(|(names, _)| names.keys());
        Error::unknown("state", name, names.map(String::as_str))
    }
}

impl State for States {
    fn read(&self, name: &str) -> Result<Array> {
        let mut programs = self.0.iter();
        let found = programs.find_map(|(names, state)| Some((names.get(name)?, state)));
        let (own, state) = found.ok_or_else(|| self.unknown(name))?;
        state.read(own)
    }

    fn write(&mut self, name: &str, value: &Array) -> Result<()> {
        let mut programs = self.0.iter_mut();
        match programs.find_map(|(names, state)| Some((names.get(name)?, state))) {
            Some((own, state)) => state.write(own, value),
            None => Err(self.unknown(name)),
        }
    }

    fn fork(&self) -> Result<Option<Box<dyn State>>> {
        let forks = self.0.iter().map(|(names, state)| {
            let fork = state.fork()?;
            Ok(fork.map(|fork| (names.clone(), fork)))
        });
        let forks: Option<Vec<_>> = forks.collect::<Result<_>>()?;
        Ok(forks.map(|forks| Box::new(States(forks)) as Box<dyn State>))
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
