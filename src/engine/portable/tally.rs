//! Where the time of this process' models goes, by kind of operation, while somebody asks. While nobody does, an
//! operation pays a test of a flag.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

static ON: AtomicBool = AtomicBool::new(false);
static TALLY: Mutex<Option<Tally>> = Mutex::new(None);

thread_local! {
    /// Time of the operations inside of the one that runs.
    static INSIDE: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

struct Tally {
    now: Box<dyn Fn() -> Duration + Send>,
    spent: BTreeMap<&'static str, Spent>,
}

/// What one kind of operation took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub count: u64,
    /// Without the operations of nested blocks.
    pub time: Duration,
}

/// Starts counting; `now` tells the time.
pub fn start_tally(now: impl Fn() -> Duration + Send + 'static) {
    *lock() = Some(Tally {
        now: Box::new(now),
        spent: BTreeMap::new(),
    });
    ON.store(true, Ordering::Relaxed);
}

/// Ends counting; gives what each kind of operation took.
pub fn finish_tally() -> Vec<(&'static str, Spent)> {
    ON.store(false, Ordering::Relaxed);
    let tally = lock().take();
    tally.map_or(Vec::new(), |tally| tally.spent.into_iter().collect())
}

fn lock() -> MutexGuard<'static, Option<Tally>> {
    TALLY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does the work of an operation, and counts it if somebody asks.
pub(super) fn counted<T>(op: &'static str, work: impl FnOnce() -> T) -> T {
    if !ON.load(Ordering::Relaxed) {
        return work();
    }
    let now = || lock().as_ref().map(|tally| (tally.now)());
    let Some(start) = now() else {
        return work();
    };
    let outer = INSIDE.replace(Duration::ZERO);
    let result = work();
    let whole = now().map_or(Duration::ZERO, |end| end.saturating_sub(start));
    let own = whole.saturating_sub(INSIDE.replace(outer + whole));
    if let Some(tally) = lock().as_mut() {
        let spent = tally.spent.entry(op).or_default();
        spent.count += 1;
        spent.time += own;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_time_leaves_out_what_is_inside() {
        let ticks = std::sync::atomic::AtomicU64::new(0);
        start_tally(move || Duration::from_secs(ticks.fetch_add(1, Ordering::Relaxed)));
        counted("test_loop", || counted("test_add", || ()));
        counted("test_add", || ());
        let found = finish_tally();
        let of = |op: &str| {
            found
                .iter()
                .find(|(name, _)| *name == op)
                .map(|(_, spent)| *spent)
        };
        let seconds = |count, seconds| {
            Some(Spent {
                count,
                time: Duration::from_secs(seconds),
            })
        };
        assert_eq!(
            of("test_add").map(|spent| spent.count),
            seconds(2, 0).map(|s| s.count)
        );
        assert!(of("test_loop").is_some_and(|spent| spent.count == 1));
        assert_eq!(finish_tally(), []);
    }
}
