//! The session's variables: which there are, and forgetting them.

use super::{Args, Magic, line};
use crate::diag::Result;
use crate::report::Display;
use crate::session::{Reply, Session};

pub(super) const WHO: Magic = line("who", "", "Lists the variables.", "", who);

pub(super) const RESET: Magic = line(
    "reset",
    "",
    "Forgets variables, functions and results.",
    "",
    reset,
);

fn who(session: &mut Session, _: &Args) -> Result<Reply> {
    session.host.show(Display::Table(session.variable_table()?));
    Ok(Reply::nothing())
}

fn reset(session: &mut Session, _: &Args) -> Result<Reply> {
    session.reset();
    Ok(Reply::nothing())
}
