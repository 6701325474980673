//! How long code takes.

use super::{Args, Magic, code};
use crate::diag::Result;
use crate::session::{Reply, Session};

pub(super) const TIME: Magic = code(
    "time",
    "code",
    "Evaluates the code and tells how long it took.",
    "",
    time,
);

fn time(session: &mut Session, args: &Args) -> Result<Reply> {
    let reply = session.cell(args.code("time")?);
    session
        .host
        .print(format!("took {:.3?}", reply.outcome.elapsed));
    Ok(reply)
}
