//! The state before a cell, so that a failing cell leaves none of its traces and `%back` can take one back.
//!
//! Only what the cell may change is copied: what it assigns to, what it calls methods on that are not known to
//! be harmless, and shared variables if it calls anything. What it declares again is moved, not copied.

use std::collections::{BTreeMap, VecDeque};

use rhai::{Dynamic, Scope};

use super::size;
use super::uses::Uses;
use super::{Functions, Session};
use crate::diag::Result;
use crate::host::Kept;
use crate::numeric::Rng;

/// Cells that can be taken back.
const CELLS_MAX: usize = 10;
/// Bytes that they may keep from being freed.
const BYTES_MAX: usize = 256 << 20;
/// Bytes of weights that are copied before a cell.
const STATE_MAX: usize = 64 << 20;

/// The state before a cell, as far as the cell may change it.
pub(super) struct Before {
    /// The number of the cell that came next.
    pub cell: usize,
    /// How much of the journal there was.
    journal: usize,
    /// The variables there were, and whether they were constants.
    names: Vec<(String, bool)>,
    /// Values that may be others now.
    values: BTreeMap<String, Dynamic>,
    /// With the sources that they stand in.
    functions: Option<(Functions, BTreeMap<String, String>)>,
    pub random: (u64, Rng),
    /// What was behind handles, by name.
    pub states: Vec<(String, Kept)>,
    /// Handles with too much behind them.
    pub left_out: Vec<String>,
    bytes: usize,
}

/// The last cells, the newest at the back.
pub(super) type Undo = VecDeque<Before>;

impl Session {
    /// Keeps what a cell with these uses may change; the scope's first `length` entries were there before it.
    pub(super) fn before(&self, uses: &Uses, length: usize) -> Before {
        let before_it = || {
            let known = entries(&self.scope).take(length);
            known.filter(|(name, ..)| !is_ours(name))
        };
        let mut before = Before {
            cell: 0,
            journal: self.journal.len(),
            names: before_it()
                .map(|(name, constant, _)| (name.to_string(), constant))
                .collect(),
            values: BTreeMap::new(),
            functions: uses
                .code
                .then(|| (self.functions.clone(), self.sources.functions.clone())),
            random: self.host.random_state(),
            states: Vec::new(),
            left_out: Vec::new(),
            bytes: 0,
        };
        for (name, constant, value) in before_it() {
            let changes = uses.assigns.contains(name) || uses.touches.contains(name);
            let shared = value.is_shared() && uses.calls;
            if !constant && (changes || shared || uses.anything) {
                before
                    .values
                    .insert(name.to_string(), value.flatten_clone());
            }
        }
        before
    }

    /// Adds what is behind the handles that the cell names, if that is not too much.
    pub(super) fn keep_states(&self, before: &mut Before, uses: &Uses) -> Result<()> {
        let registry = self.host.registry();
        let named = |name: &str| uses.anything || uses.reads.contains(name);
        for (name, _, value) in entries(&self.scope).filter(|(name, ..)| named(name)) {
            if !registry.type_of(value).is_some_and(|entry| entry.changes) {
                continue;
            }
            if registry.bytes(value) > STATE_MAX {
                before.left_out.push(name.to_string());
                continue;
            }
            let kept = registry.keep(value)?;
            before
                .states
                .extend(kept.map(|kept| (name.to_string(), kept)));
        }
        Ok(())
    }

    /// Takes back what a failing cell has done to variables, functions and random numbers: `length` entries of the
    /// scope were there before. Gives what to tell the user of it.
    pub(super) fn take_back(
        &mut self,
        mut before: Before,
        uses: &Uses,
        handles: &[&str],
        length: usize,
    ) -> Option<String> {
        let made = entries(&self.scope).skip(length);
        let mut undone: Vec<String> = made
            .map(|(name, ..)| name.to_string())
            .filter(|name| uses.defines.contains(name))
            .collect();
        self.scope.rewind(length);
        for (name, value) in std::mem::take(&mut before.values) {
            if let Some(slot) = self.scope.get_mut(&name) {
                let told = uses.assigns.contains(&name) || differs(slot, &value);
                drop(put(slot, value));
                undone.extend(told.then_some(name));
            }
        }
        if let Some(functions) = before.functions.take() {
            (self.functions, self.sources.functions) = functions;
        }
        self.host.set_random_state(before.random.clone());
        note(&undone, uses, handles, &before.left_out)
    }

    /// Keeps the state before a cell that has ended, with the values that it declared again.
    pub(super) fn remember(&mut self, mut before: Before, replaced: Vec<(String, Dynamic)>) {
        for (name, value) in replaced {
            let known = before.names.iter().any(|(known, _)| *known == name);
            if known {
                before.values.entry(name).or_insert(value);
            }
        }
        let registry = self.host.registry();
        let values = before
            .values
            .values()
            .map(|value| size::bytes(value, registry));
        before.bytes = values.sum::<usize>()
            + before
                .states
                .iter()
                .map(|(_, kept)| kept.bytes)
                .sum::<usize>();
        self.undo.push_back(before);
        let mut bytes: usize = self.undo.iter().map(|before| before.bytes).sum();
        while self.undo.len() > CELLS_MAX || bytes > BYTES_MAX {
            let Some(oldest) = self.undo.pop_front() else {
                break;
            };
            bytes -= oldest.bytes;
        }
    }

    /// Goes back to the state before the newest cell that can be taken back; gives the names of handles that stay
    /// as they are.
    ///
    /// # Errors
    /// The state behind a handle can't be put back.
    pub(super) fn step_back(&mut self) -> Result<Vec<String>> {
        let Some(before) = self.undo.pop_back() else {
            return Ok(Vec::new());
        };
        for (_, kept) in &before.states {
            (kept.put_back)()?;
        }
        let mut values = before.values;
        let mut now = std::mem::take(&mut self.scope);
        self.history.bind(&mut self.scope);
        for (name, constant) in before.names {
            let kept = values.remove(&name);
            let value = match (now.get_mut(&name).filter(|value| value.is_shared()), kept) {
                (Some(slot), Some(kept)) => {
                    drop(put(slot, kept));
                    slot.clone()
                }
                (_, Some(kept)) => kept,
                (_, None) => now.get(&name).cloned().unwrap_or(Dynamic::UNIT),
            };
            match constant {
                true => self.scope.push_constant_dynamic(name, value),
                false => self.scope.push_dynamic(name, value),
            };
        }
        if let Some(functions) = before.functions {
            (self.functions, self.sources.functions) = functions;
        }
        self.host.set_random_state(before.random);
        self.history.forget_from(before.cell);
        self.journal.truncate(before.journal);
        Ok(before.left_out)
    }
}

/// Tells which names a failing cell would have left otherwise, and which handles it leaves so.
fn note(undone: &[String], uses: &Uses, handles: &[&str], left_out: &[String]) -> Option<String> {
    let mut names: Vec<&str> = undone.iter().map(String::as_str).collect();
    names.extend(uses.functions.iter().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    let left_out = left_out.iter().map(String::as_str);
    let handles: Vec<&str> = handles
        .iter()
        .copied()
        .chain(left_out)
        .filter(|name| uses.touches.contains(*name))
        .collect();
    let mut parts = Vec::new();
    if !names.is_empty() {
        parts.push(format!("taken back: {}", names.join(", ")));
    }
    if !handles.is_empty() {
        parts.push(format!("what {} did stays", handles.join(", ")));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Sets a variable, in place if closures share it; gives what it was.
pub(super) fn put(slot: &mut Dynamic, value: Dynamic) -> Dynamic {
    if slot.is_shared()
        && let Some(mut inside) = slot.write_lock::<Dynamic>()
    {
        return std::mem::replace(&mut *inside, value);
    }
    std::mem::replace(slot, value)
}

/// The variables in the order of their declaration: name, whether constant, value.
pub(super) fn entries<'a>(
    scope: &'a Scope<'static>,
) -> impl Iterator<Item = (&'a str, bool, &'a Dynamic)> {
    scope
        .into_iter()
        .map(|(name, value, _)| (name, value.is_read_only(), value))
}

/// Whether two numbers or texts differ; of others we can't tell at little cost.
fn differs(a: &Dynamic, b: &Dynamic) -> bool {
    let plain = |value: &Dynamic| {
        let large = value.is_array() || value.is_map() || value.is_blob();
        (!large).then(|| value.flatten_clone().to_string())
    };
    a.type_id() != b.type_id() || plain(a) != plain(b)
}

fn is_ours(name: &str) -> bool {
    matches!(name, "In" | "Out")
}
