//! Results in the forms that notebooks choose from.

use jupyter_protocol::{Media, MediaType};

use crate::host::Update;
use crate::report::Display;

/// Columns of plain text.
pub(super) const WIDTH: usize = 88;

/// Plain text, and HTML or a picture where there is more to see.
pub(super) fn media(display: &Display) -> Media {
    let plain = MediaType::Plain(display.plain(WIDTH));
    let html = display.notebook().map(MediaType::Html);
    let svg = display.svg().map(MediaType::Svg);
    Media::new([plain].into_iter().chain(html).chain(svg).collect())
}

pub(super) fn text(text: impl Into<String>) -> Media {
    Media::new(vec![MediaType::Plain(text.into())])
}

/// Work under way: how much is done, the figures and their curves, the text that grows.
pub(super) fn progress(update: &Update) -> Media {
    let plain = match update.text.as_str() {
        text if text.is_empty() || update.finished => update.line(),
        text => format!("{}\n{text}", update.line()),
    };
    Media::new(vec![
        MediaType::Plain(plain),
        MediaType::Html(update.html()),
    ])
}
