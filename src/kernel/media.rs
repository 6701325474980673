//! Results in the forms that notebooks choose from.

use jupyter_protocol::{Media, MediaType};

use crate::host::Update;
use crate::report::{Display, Terminal};

/// Columns of plain text.
pub(super) const WIDTH: usize = 88;

/// Plain text, and HTML or a picture where there is more to see.
pub(super) fn media(display: &Display) -> Media {
    let plain = MediaType::Plain(plain(display));
    let rich = match display {
        Display::Text(_) => None,
        _ => match display.svg() {
            Some(svg) => Some(MediaType::Svg(svg)),
            None => Some(MediaType::Html(display.html())),
        },
    };
    Media::new([plain].into_iter().chain(rich).collect())
}

pub(super) fn plain(display: &Display) -> String {
    let screen = Terminal {
        width: WIDTH,
        ..Terminal::default()
    };
    display.render(&screen).trim_end_matches('\n').to_string()
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
