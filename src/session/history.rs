//! The numbered cells and their results: `In[n]`, `Out[n]`, `_`, `_n`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Dynamic, Engine, Scope};

use crate::diag::Error;
use crate::host::error::to_rhai;

/// Results that are kept; older ones are let go, since they may be large.
const KEPT: usize = 200;

/// Inputs and results, shared with the `In` and `Out` of scripts.
#[derive(Clone, Default)]
pub(super) struct History(Arc<Mutex<Cells>>);

/// All cells.
#[derive(Clone, Default)]
pub(super) struct Cells {
    inputs: BTreeMap<usize, String>,
    results: BTreeMap<usize, Dynamic>,
    count: usize,
}

#[derive(Clone)]
struct In(History);

#[derive(Clone)]
struct Out(History);

type Fallible<T> = Result<T, Box<rhai::EvalAltResult>>;

impl History {
    pub(super) fn new(engine: &mut Engine) -> Self {
        let history = Self::default();
        history.install(engine);
        history
    }

    /// Makes `In` and `Out` known to an engine.
    pub(super) fn install(&self, engine: &mut Engine) {
        engine
            .register_type_with_name::<In>("In")
            .register_type_with_name::<Out>("Out")
            .register_indexer_get(|cells: &mut In, at: i64| -> Fallible<Dynamic> {
                let cells = cells.0.lock();
                let found = usize::try_from(at)
                    .ok()
                    .and_then(|at| cells.inputs.get(&at));
                found
                    .map(|code| code.clone().into())
                    .ok_or_else(|| to_rhai(Error::new(format!("there is no cell {at}"))))
            })
            .register_indexer_get(|cells: &mut Out, at: i64| -> Fallible<Dynamic> {
                let cells = cells.0.lock();
                let found = usize::try_from(at)
                    .ok()
                    .and_then(|at| cells.results.get(&at));
                found
                    .cloned()
                    .ok_or_else(|| to_rhai(Error::new(format!("cell {at} has no result"))))
            });
    }

    fn lock(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `In` and `Out` known to the cells.
    pub(super) fn bind(&self, scope: &mut Scope) {
        scope.push_constant("In", In(self.clone()));
        scope.push_constant("Out", Out(self.clone()));
    }

    /// Forgets the results; cell numbers go on.
    pub(super) fn clear(&self) {
        self.lock().results.clear();
    }

    /// Forgets the cells from that number on; the next one has that number.
    pub(super) fn forget_from(&self, cell: usize) {
        let mut cells = self.lock();
        cells.inputs.split_off(&cell);
        cells.results.split_off(&cell);
        cells.count = cell.saturating_sub(1);
    }

    /// A copy of everything.
    pub(super) fn kept(&self) -> Cells {
        self.lock().clone()
    }

    /// Everything as in the copy.
    pub(super) fn put_back(&self, cells: &Cells) {
        self.lock().clone_from(cells);
    }

    pub(super) fn next(&self) -> usize {
        self.lock().count + 1
    }

    /// Leaves a number out.
    pub(super) fn skip(&self) {
        self.lock().count += 1;
    }

    pub(super) fn begin(&self, code: &str) -> usize {
        let mut cells = self.lock();
        cells.count += 1;
        let count = cells.count;
        cells.inputs.insert(count, code.into());
        count
    }

    pub(super) fn end(&self, cell: usize, value: &Dynamic) {
        if value.is_unit() {
            return;
        }
        let mut cells = self.lock();
        cells.results.insert(cell, value.clone());
        while cells.results.len() > KEPT {
            cells.results.pop_first();
        }
    }

    /// Forgets this cell and those after it, their numbers too.
    pub(super) fn forget(&self, cell: usize) {
        let mut cells = self.lock();
        cells.inputs.split_off(&cell);
        cells.results.split_off(&cell);
        cells.count = cells.count.min(cell - 1);
    }

    /// The result that `_`, `__`, `___` or `_3` names.
    pub(super) fn result(&self, name: &str) -> Option<Dynamic> {
        let cells = self.lock();
        match name.trim_start_matches('_').parse::<usize>() {
            Ok(cell) => cells.results.get(&cell).cloned(),
            Err(_) => cells.results.values().nth_back(name.len() - 1).cloned(),
        }
    }

    /// The cell of the result that `_`, `__`, `___` or `_3` names.
    pub(super) fn cell_of(&self, name: &str) -> Option<usize> {
        let cells = self.lock();
        match name.trim_start_matches('_').parse::<usize>() {
            Ok(cell) => cells.results.contains_key(&cell).then_some(cell),
            Err(_) => cells.results.keys().nth_back(name.len() - 1).copied(),
        }
    }

    pub(super) fn cells(&self) -> Vec<(usize, String)> {
        self.lock()
            .inputs
            .iter()
            .map(|(at, code)| (*at, code.clone()))
            .collect()
    }
}
