//! What the session shows, as messages: printed text as a stream, tables and plots as displays, work under way as a
//! display that is updated in place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jupyter_protocol::{
    ClearOutput, DisplayData, JupyterMessage, JupyterMessageContent, Status, StreamContent,
    Transient, UpdateDisplayData,
};

use super::media::{self, media};
use super::outbox::{Channel, Outbox};
use crate::host::{Event, Sink, Update};
use crate::report::{Display, harmless};

/// Sends for the request that is being answered.
pub(super) struct Output {
    outbox: Arc<Outbox>,
    /// Makes the names of displays differ from those of an earlier kernel of the same notebook.
    session: String,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    request: Option<JupyterMessage>,
    /// Whether what is shown is kept back.
    silent: bool,
    /// Whether printed text stands on an unfinished line.
    begun: bool,
    /// Work whose display is open, by its id; what comes again and again has one display, by its label.
    working: BTreeMap<String, u64>,
}

impl Output {
    pub fn new(outbox: Arc<Outbox>, session: String) -> Self {
        Self {
            outbox,
            session,
            current: Mutex::default(),
        }
    }

    /// What is sent from now on belongs to this request.
    pub fn begin(&self, request: &JupyterMessage) {
        *self.current() = Current {
            request: Some(request.clone()),
            ..Current::default()
        };
        self.publish(Status::busy());
    }

    pub fn end(&self) {
        self.publish(Status::idle());
    }

    /// Keeps back what is shown during this request.
    pub fn silence(&self) {
        self.current().silent = true;
    }

    /// Sends to every client.
    pub fn publish(&self, content: impl Into<JupyterMessageContent>) {
        publish(
            &self.outbox,
            content.into(),
            self.current().request.as_ref(),
        );
    }

    /// As [`Output::publish`], unless the request is silent.
    pub fn show(&self, content: impl Into<JupyterMessageContent>) {
        if !self.current().silent {
            self.publish(content);
        }
    }

    /// Answers the request.
    pub fn reply(&self, channel: Channel, content: impl Into<JupyterMessageContent>) {
        let reply = JupyterMessage::new(content, self.current().request.as_ref());
        self.outbox.post(channel, reply);
    }

    fn print(&self, text: String) {
        if let Some(last) = text.chars().last() {
            self.current().begun = last != '\n';
            self.show(StreamContent::stdout(&text));
        }
    }

    /// A line on the standard error.
    fn note(&self, text: &str) {
        self.show(StreamContent::stderr(&format!("{text}\n")));
    }

    /// Work that goes on opens its display again.
    fn clear(&self) {
        {
            let mut current = self.current();
            current.begun = false;
            current.working.clear();
        }
        self.show(ClearOutput { wait: true });
    }

    fn display(&self, display: &Display) {
        if let Display::Text(text) = display {
            let before = if self.current().begun { "\n" } else { "" };
            return self.print(format!("{before}{text}\n"));
        }
        self.show(DisplayData::new(media(display)));
    }

    /// The first update of a piece of work opens its display.
    fn progress(&self, update: &Update) {
        let data = media::progress(update);
        let key = match update.passing {
            true => update.label.clone(),
            false => update.id.to_string(),
        };
        let known = self.current().working.get(&key).copied();
        let id = format!("{}-{}", self.session, known.unwrap_or(update.id));
        if known.is_none() {
            self.current().working.insert(key, update.id);
            let mut display = DisplayData::new(data);
            display.transient = Some(Transient {
                display_id: Some(id),
            });
            return self.show(display);
        }
        self.show(UpdateDisplayData::new(data, &id));
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends to every client; the kind of message is the topic.
pub(super) fn publish(
    outbox: &Outbox,
    content: JupyterMessageContent,
    request: Option<&JupyterMessage>,
) {
    let topic = content.message_type().to_string();
    let message = JupyterMessage::new(content, request);
    let message = message.with_zmq_identities(vec![topic.into()]);
    outbox.post(Channel::Iopub, message);
}

impl Sink for Output {
    fn show(&self, event: Event) {
        match event {
            Event::Show(display) => self.display(&display),
            Event::Write(text) => self.print(harmless(&text)),
            Event::Note(text) => self.note(&text),
            Event::Clear => self.clear(),
            Event::Progress(update) => self.progress(&update),
        }
    }
}
