//! Named states of a session, to go back to as often as one likes.

use std::collections::BTreeMap;

use rhai::{Dynamic, Scope};

use super::history::Cells;
use super::journal::Entry;
use super::undo::{entries, put};
use super::{Functions, Session};
use crate::diag::{Error, Result};
use crate::host::Kept;
use crate::numeric::Rng;

/// A state with a name.
pub(super) struct Fork {
    pub name: String,
    /// The number of the cell that came next.
    pub cell: usize,
    variables: Vec<Variable>,
    functions: (Functions, BTreeMap<String, String>),
    random: (u64, Rng),
    states: Vec<Kept>,
    history: Cells,
    journal: Vec<Entry>,
}

struct Variable {
    name: String,
    constant: bool,
    slot: Dynamic,
    /// The value inside, if closures share the variable.
    shared: Option<Dynamic>,
}

impl Session {
    /// Keeps the state of now under a name; an older one of that name goes.
    ///
    /// # Errors
    /// What is behind a handle can't be copied.
    pub(super) fn fork(&mut self, name: &str) -> Result<()> {
        let mut states = Vec::new();
        for (_, value) in self.variables() {
            states.extend(self.host.registry().keep(value)?);
        }
        let variable = |(name, constant, value): (&str, bool, &Dynamic)| Variable {
            name: name.to_string(),
            constant,
            slot: value.clone(),
            shared: value.is_shared().then(|| value.flatten_clone()),
        };
        let fork = Fork {
            name: name.to_string(),
            cell: self.next_cell(),
            variables: entries(&self.scope).map(variable).collect(),
            functions: (self.functions.clone(), self.sources.functions.clone()),
            random: self.host.random_state(),
            states,
            history: self.history.kept(),
            journal: self.journal.clone(),
        };
        self.forks.retain(|fork| fork.name != name);
        self.forks.push(fork);
        Ok(())
    }

    /// Goes back to a named state; gives the number of the next cell.
    ///
    /// # Errors
    /// There is no such state, or what is behind a handle can't be put back.
    pub(super) fn go_to(&mut self, name: &str) -> Result<usize> {
        let Some(fork) = self.forks.iter().find(|fork| fork.name == name) else {
            let known = self.forks.iter().map(|fork| fork.name.as_str());
            return Err(Error::unknown("fork", name, known));
        };
        for kept in &fork.states {
            (kept.put_back)()?;
        }
        let mut scope = Scope::new();
        for variable in &fork.variables {
            let mut slot = variable.slot.clone();
            if let Some(value) = &variable.shared {
                drop(put(&mut slot, value.clone()));
            }
            match variable.constant {
                true => scope.push_constant_dynamic(&variable.name, slot),
                false => scope.push_dynamic(&variable.name, slot),
            };
        }
        self.scope = scope;
        (self.functions, self.sources.functions) = fork.functions.clone();
        self.host.set_random_state(fork.random.clone());
        self.history.put_back(&fork.history);
        self.journal.clone_from(&fork.journal);
        self.undo.clear();
        Ok(fork.cell)
    }
}
