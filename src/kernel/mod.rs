//! The Jupyter kernel: the session behind Jupyter's messages (protocol 5, ZeroMQ).
//!
//! ```text
//!  sockets (a thread of their own)                      cells (the calling thread)
//!  shell ────────── requests, in order ───────────────► Session ─ host events ─► output
//!  control ── interrupt, shutdown: at once ─► flags ──►                            │
//!  stdin ─────────── the user's answers ──────────────►                            │
//!  iopub, shell, control, stdin ◄── outbox: one queue, so clients see things in order ┘
//! ```
#![allow(
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a shell tells the log what it could not use, and watches the process that started it"
)]

mod answers;
mod cells;
pub mod check;
mod connection;
mod control;
mod execute;
mod media;
mod outbox;
mod output;
mod past;
mod questions;
mod sockets;
pub mod spec;
mod wire;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;

use jupyter_protocol::{JupyterMessage, Status};

use crate::diag::{Context as _, Error, Result};
use crate::host::{Front, Sink};
use crate::session::{Checker, Session};
use cells::Cells;
use control::Control;
use outbox::Outbox;
use output::Output;
use past::Past;
use questions::Questions;
use sockets::Sockets;

/// Serves the session that `open` makes of a sink, who answers questions and an interrupt flag, until a client
/// ends it; gives the exit code. Scripts run on the calling thread, `history` keeps the cells for later kernels.
///
/// # Errors
/// The connection file is no such file, or its addresses can't be had.
pub fn run(
    connection_file: &Path,
    history: Option<PathBuf>,
    open: impl FnOnce(Arc<dyn Sink>, Arc<dyn Front>, Arc<AtomicBool>) -> Session,
) -> Result<i32> {
    let info = connection::read(connection_file)?;
    let starting = JupyterMessage::from(Status::starting());
    let session = starting.header.session;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the kernel's sockets")?;
    let sockets = runtime.block_on(Sockets::bind(&info, &session))?;
    let outbox = Arc::new(Outbox::default());
    let interrupt = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let (requests, waiting) = channel();
    let (answers, answered) = channel();
    let control = Control {
        outbox: outbox.clone(),
        interrupt: interrupt.clone(),
        stop: stop.clone(),
        requests,
        answers,
    };
    let output = Arc::new(Output::new(outbox.clone(), session));
    output.publish(Status::starting());
    let questions = Arc::new(Questions::new(output.clone(), answered, interrupt.clone()));
    let sent = outbox.clone();
    let server = std::thread::spawn(move || runtime.block_on(sockets.serve(sent, control)));
    let cells = Cells {
        session: open(output.clone(), questions.clone(), interrupt),
        output,
        questions,
        requests: waiting,
        stop,
        checker: Checker::new(),
        past: Past::open(history),
        waiting: VecDeque::new(),
    };
    let code = cells.run();
    outbox.close();
    match server.join() {
        Ok(()) => Ok(code),
        Err(_) => Err(Error::new("the kernel's sockets failed")),
    }
}
