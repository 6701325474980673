//! What must work while a cell runs: interrupts, shutdown, the user's answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use jupyter_protocol::{
    InterruptReply, JupyterMessage, JupyterMessageContent, ReplyStatus, ShutdownReply, Status,
};

use super::answers;
use super::outbox::{Channel, Outbox};
use super::output::publish;
use super::wire::Request;

/// How often to look whether the client that started the kernel still runs.
const WATCH: Duration = Duration::from_secs(1);

/// How often the last cell is told to stop.
const INSIST: Duration = Duration::from_millis(20);

/// The handles of the running kernel.
#[derive(Clone)]
pub(super) struct Control {
    pub outbox: Arc<Outbox>,
    /// Stops the cell.
    pub interrupt: Arc<AtomicBool>,
    /// Ends the kernel.
    pub stop: Arc<AtomicBool>,
    /// To the thread that evaluates; `None` wakes it.
    pub requests: Sender<Option<Request>>,
    pub answers: Sender<String>,
}

impl Control {
    /// A request that waits for its turn.
    pub fn request(&self, request: Request) {
        // The kernel may be leaving.
        let _ = self.requests.send(Some(request));
    }

    /// What the user answered to a question.
    pub fn answer(&self, request: Request) {
        if let JupyterMessageContent::InputReply(reply) = request.message.content {
            let _ = self.answers.send(reply.value);
        }
    }

    /// A request that does not wait.
    pub fn handle(&self, request: Request) {
        let message = request.message;
        let tell = |content: JupyterMessageContent| publish(&self.outbox, content, Some(&message));
        tell(Status::busy().into());
        let answer: Option<JupyterMessageContent> = match &message.content {
            JupyterMessageContent::KernelInfoRequest(_) => Some(answers::kernel_info().into()),
            JupyterMessageContent::InterruptRequest(_) => {
                self.interrupt.store(true, Ordering::Relaxed);
                Some(InterruptReply::new().into())
            }
            JupyterMessageContent::ShutdownRequest(shutdown) => {
                let reply = ShutdownReply {
                    restart: shutdown.restart,
                    status: ReplyStatus::Ok,
                    error: None,
                };
                tell(reply.clone().into());
                Some(reply.into())
            }
            JupyterMessageContent::UnknownMessage(unknown) => {
                request.fault.map(|fault| answers::fault(unknown, &fault))
            }
            _ => None,
        };
        if let Some(content) = answer {
            let reply = JupyterMessage::new(content, Some(&message));
            self.outbox.post(Channel::Control, reply);
        }
        tell(Status::idle().into());
        if matches!(message.content, JupyterMessageContent::ShutdownRequest(_)) {
            self.leave();
        }
    }

    /// Ends the kernel as soon as the cell has stopped.
    pub fn leave(&self) {
        self.stop.store(true, Ordering::Relaxed);
        // A cell that begins right now clears the flag.
        let interrupt = self.interrupt.clone();
        tokio::spawn(async move {
            loop {
                interrupt.store(true, Ordering::Relaxed);
                tokio::time::sleep(INSIST).await;
            }
        });
        let _ = self.requests.send(None);
    }
}

/// Ctrl-C stops the cell; being terminated, or left alone by the client, ends the kernel.
#[cfg(unix)]
pub(super) async fn signals(control: Control) {
    use tokio::signal::unix::{SignalKind, signal};

    let parent = std::os::unix::process::parent_id();
    let watched = std::env::var_os("JPY_PARENT_PID").is_some();
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => control.interrupt.store(true, Ordering::Relaxed),
            _ = terminate.recv() => control.leave(),
            () = tokio::time::sleep(WATCH), if watched => {
                if std::os::unix::process::parent_id() != parent {
                    control.leave();
                }
            }
        }
    }
}

/// Ctrl-C stops the cell.
#[cfg(not(unix))]
pub(super) async fn signals(control: Control) {
    while tokio::signal::ctrl_c().await.is_ok() {
        control.interrupt.store(true, Ordering::Relaxed);
    }
}
