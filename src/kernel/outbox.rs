//! What waits to be sent, in order. One task sends it all, so that clients see events as they happened.
//!
//! Printed text and progress may wait a moment, and grow while they do: a script that prints ten thousand lines
//! sends a few messages. Whatever else comes takes them along at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jupyter_protocol::{JupyterMessage, JupyterMessageContent, Stdio};
use tokio::sync::Notify;

/// How long printed text and progress wait for more.
const HOLD: Duration = Duration::from_millis(30);
/// Bytes of printed text that may wait before a script that prints more has to.
const MOST: usize = 1 << 20;
/// How long it has to at most, should a client not read.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Shell,
    Control,
    Stdin,
    Iopub,
}

#[derive(Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
    urgent: Notify,
    room: Condvar,
}

#[derive(Default)]
struct Queue {
    letters: VecDeque<(Channel, JupyterMessage)>,
    /// Of printed text.
    bytes: usize,
    /// Whether something waits that can't.
    urgent: bool,
    closed: bool,
}

impl Outbox {
    pub fn post(&self, channel: Channel, message: JupyterMessage) {
        let mut queue = self.lock();
        let patient = matches!(
            message.content,
            JupyterMessageContent::StreamContent(_) | JupyterMessageContent::UpdateDisplayData(_)
        );
        if let Some(message) = queue.merge(message) {
            queue.letters.push_back((channel, message));
        }
        queue.urgent |= !patient;
        self.changed.notify_one();
        if queue.urgent {
            self.urgent.notify_one();
        }
        if queue.bytes > MOST {
            let wait = |queue: &mut Queue| queue.bytes > MOST && !queue.closed;
            let waited = self.room.wait_timeout_while(queue, PATIENCE, wait);
            drop(waited);
        }
    }

    /// No more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
        self.urgent.notify_one();
        self.room.notify_all();
    }

    /// What is to be sent now; `None` once all is sent after [`Outbox::close`]. May be dropped while it waits.
    pub async fn next(&self) -> Option<VecDeque<(Channel, JupyterMessage)>> {
        loop {
            let (empty, urgent, closed) = {
                let queue = self.lock();
                (queue.letters.is_empty(), queue.urgent, queue.closed)
            };
            match (empty, closed) {
                (true, true) => return None,
                (true, false) => self.changed.notified().await,
                (false, _) => {
                    if !urgent && !closed {
                        // Time or haste: either way they go.
                        let _ = tokio::time::timeout(HOLD, self.urgent.notified()).await;
                    }
                    let mut queue = self.lock();
                    queue.bytes = 0;
                    queue.urgent = false;
                    self.room.notify_all();
                    return Some(std::mem::take(&mut queue.letters));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Text joins text that waits at the end, an update takes the place of an older one of the same display that
    /// waits; gives back what must wait on its own.
    fn merge(&mut self, message: JupyterMessage) -> Option<JupyterMessage> {
        use JupyterMessageContent::{StreamContent, UpdateDisplayData};
        if let StreamContent(stream) = &message.content {
            self.bytes += stream.text.len();
        }
        for (_, waiting) in self.letters.iter_mut().rev() {
            let same_parent = id_of_parent(waiting) == id_of_parent(&message);
            match (&mut waiting.content, &message.content) {
                (StreamContent(old), StreamContent(new))
                    if same_parent && same_stream(&old.name, &new.name) =>
                {
                    old.text.push_str(&new.text);
                    return None;
                }
                (UpdateDisplayData(old), UpdateDisplayData(new)) if same_parent => {
                    if old.transient.display_id == new.transient.display_id {
                        *old = new.clone();
                        return None;
                    }
                }
                // An update may overtake printed text, nothing else may overtake anything.
                (StreamContent(_), UpdateDisplayData(_)) => {}
                _ => break,
            }
        }
        Some(message)
    }
}

fn id_of_parent(message: &JupyterMessage) -> Option<&str> {
    Some(&message.parent_header.as_ref()?.msg_id)
}

fn same_stream(a: &Stdio, b: &Stdio) -> bool {
    matches!(
        (a, b),
        (Stdio::Stdout, Stdio::Stdout) | (Stdio::Stderr, Stdio::Stderr)
    )
}

#[cfg(test)]
mod tests {
    use jupyter_protocol::{Media, Status, StreamContent, UpdateDisplayData};

    use super::*;

    fn next(outbox: &Outbox) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let letters = runtime.block_on(outbox.next()).unwrap_or_default();
        letters
            .into_iter()
            .map(|(_, message)| match message.content {
                JupyterMessageContent::StreamContent(stream) => stream.text,
                other => other.message_type().to_string(),
            })
            .collect()
    }

    #[test]
    fn text_that_waits_grows_and_order_stays() {
        let outbox = Outbox::default();
        let post = |content: JupyterMessageContent| outbox.post(Channel::Iopub, content.into());
        post(Status::busy().into());
        post(StreamContent::stdout("a").into());
        post(StreamContent::stdout("b").into());
        post(StreamContent::stderr("e").into());
        post(StreamContent::stdout("c").into());
        post(Status::idle().into());
        post(StreamContent::stdout("d").into());
        assert_eq!(next(&outbox), ["status", "ab", "e", "c", "status", "d"]);
        outbox.close();
        assert_eq!(next(&outbox), [""; 0]);
    }

    #[test]
    fn of_updates_that_wait_the_last_counts() {
        let outbox = Outbox::default();
        let post = |id: &str| {
            let update = UpdateDisplayData::new(Media::default(), id);
            outbox.post(Channel::Iopub, update.into());
        };
        post("1");
        post("2");
        outbox.post(Channel::Iopub, StreamContent::stdout("t").into());
        post("1");
        post("2");
        assert_eq!(next(&outbox).len(), 3);
    }
}
