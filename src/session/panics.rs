//! A Rust panic inside an evaluation becomes an error, and the session survives.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the standard panic message off the screen while an evaluation catches it. Call once, at the start.
pub fn silence() {
    let standard = take_hook();
    set_hook(Box::new(move |info| {
        if !CATCHING.get() {
            return standard(info);
        }
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        PLACE.with(|cell| cell.replace(place));
    }));
}

/// Runs `work`; a panic gives its message and place.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    CATCHING.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(false);
    result.map_err(|payload| {
        let text = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".into());
        match PLACE.with(RefCell::take) {
            place if place.is_empty() => text,
            place => format!("{text} ({place})"),
        }
    })
}
