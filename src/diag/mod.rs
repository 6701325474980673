//! What goes wrong, in words: one error type that says what, where and what to do.
//!
//! Every module returns [`Result`]. An [`Error`] gathers context on its way up; the shells render it.

mod interrupt;
mod named;

pub use interrupt::Interrupt;
pub(crate) use named::named;

use std::fmt;

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Names that a hint lists at most.
const KNOWN_MAX: usize = 12;

/// Why something failed, as far as a caller may want to react to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Kind {
    /// Input, file or argument that can't be used.
    #[default]
    Invalid,
    /// Operations that the portable engine can't run, by name.
    Unsupported(Vec<String>),
    /// Examples that can't run together, but one by one.
    Unbatched,
    /// The user interrupted the work.
    Interrupted,
    /// A number that must be finite is not.
    NonFinite,
    /// The operating system refused.
    Io,
}

/// A place in a source text; lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// File or cell name.
    pub source: String,
    pub line: usize,
    pub column: usize,
}

/// A failure in words: the message, the context it happened in, a place and a way out.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    kind: Kind,
    message: String,
    context: Vec<String>,
    position: Option<Position>,
    hint: Option<String>,
}

impl Error {
    /// An error of [`Kind::Invalid`]; the message is lower case without a full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind: Kind::Invalid,
            message: message.into(),
            context: Vec::new(),
            position: None,
            hint: None,
        }))
    }

    /// "unknown `what` `name`", with the nearest of `known` as the hint.
    pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let error = Self::new(format!("unknown {what} \"{name}\""));
        match nearest(name, &known) {
            Some(near) => error.hint(format!("did you mean \"{near}\"?")),
            None if known.is_empty() => error.hint(format!("there is no {what} here")),
            None if known.len() > KNOWN_MAX => {
                let some = known[..KNOWN_MAX].join(", ");
                error.hint(format!(
                    "known: {some} and {} more",
                    known.len() - KNOWN_MAX
                ))
            }
            None => error.hint(format!("known: {}", known.join(", "))),
        }
    }

    pub fn kind_of(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// That hint unless there is one already.
    pub fn or_hint(self, hint: impl Into<String>) -> Self {
        match self.0.hint {
            Some(_) => self,
            None => self.hint(hint),
        }
    }

    /// What was being done when it happened; the outermost comes last.
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.0.context.push(context.into());
        self
    }

    pub fn at(mut self, source: impl Into<String>, line: usize, column: usize) -> Self {
        self.0.position = Some(Position {
            source: source.into(),
            line,
            column,
        });
        self
    }

    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn contexts(&self) -> &[String] {
        &self.0.context
    }

    pub fn position(&self) -> Option<&Position> {
        self.0.position.as_ref()
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn is_interrupt(&self) -> bool {
        self.0.kind == Kind::Interrupted
    }

    /// The user's Ctrl-C as an error.
    pub fn interrupted() -> Self {
        Self::new("interrupted").kind_of(Kind::Interrupted)
    }
}

/// One line: `source:line:column: context: message`, then the hint on a line of its own.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position {
            source,
            line,
            column,
        }) = &self.0.position
        {
            write!(f, "{source}:{line}:{column}: ")?;
        }
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        write!(f, "{}", self.0.message)?;
        match &self.0.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string()).kind_of(Kind::Io)
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Adds context to the error of a result.
pub trait Context<T> {
    fn context(self, context: impl Into<String>) -> Result<T>;
    fn with_context<S: Into<String>>(self, context: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, context: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.into().context(context))
    }

    fn with_context<S: Into<String>>(self, context: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.into().context(context()))
    }
}

/// Returns early with an [`Error`] made from a format string.
#[macro_export]
macro_rules! fail {
    ($($arg:tt)*) => { return Err($crate::diag::Error::new(format!($($arg)*))) };
}

/// The known name that `name` most likely meant, if any is near enough.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|k| {
            (
                strsim::jaro_winkler(&name.to_lowercase(), &k.to_lowercase()),
                *k,
            )
        })
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_the_nearest() {
        let error = Error::unknown("option", "temprature", ["temperature", "top_k"]);
        assert_eq!(
            error.to_string(),
            "unknown option \"temprature\"\n  hint: did you mean \"temperature\"?"
        );
    }

    #[test]
    fn context_reads_from_the_outside_in() {
        let error = Error::new("bad")
            .context("inner")
            .context("outer")
            .at("f.mil", 2, 3);
        assert_eq!(error.to_string(), "f.mil:2:3: outer: inner: bad");
    }
}
