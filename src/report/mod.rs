//! What people look at: tables, plots and visible token text, as plain strings of a given width.
//!
//! Nothing here prints or asks the terminal anything; a shell passes a [`Terminal`].

mod html;
mod images;
mod number;
mod numbers;
mod plot;
mod table;
mod text;
mod tokens;

pub use html::{escape, polyline};
pub use images::Images;
pub use number::{format_bytes, format_number};
pub use numbers::{corners, stats_line};
pub use plot::{Drawing, Heat, Histogram, Mark, Plot, Series};
pub use table::{Align, Cell, Column, Table};
pub use text::{bar, cut, harmless, pad, sparkline, visible, visible_bytes, wrapped};
pub use tokens::{Shades, Tokens};

/// What the reader's screen can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// Columns of characters.
    pub width: usize,
    /// Box drawing and braille; plain ASCII otherwise.
    pub utf8: bool,
    /// ANSI colours.
    pub colour: bool,
    /// 24-bit colours too.
    pub true_colour: bool,
    /// Lines of the screen, for what may leave some out; all is shown if absent, as in files.
    pub height: Option<usize>,
    pub images: Images,
    pub screen: Screen,
}

/// How large pictures may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Screen {
    /// Lines of the screen, if it has an end.
    pub rows: Option<u32>,
    /// Width and height of a letter in pixels, where the terminal tells.
    pub cell: Option<(u32, u32)>,
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            width: 80,
            utf8: true,
            colour: false,
            true_colour: false,
            height: None,
            images: Images::Off,
            screen: Screen::default(),
        }
    }
}

/// Something to show, made once and rendered by every shell in its own way.
#[derive(Debug, Clone, PartialEq)]
pub enum Display {
    Text(String),
    Table(Table),
    Plot(Plot),
    Tokens(Tokens),
}

impl Display {
    pub fn render(&self, terminal: &Terminal) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Table(table) => table.render(terminal),
            Self::Plot(plot) => plot.render(terminal),
            Self::Tokens(tokens) => tokens.render(terminal),
        }
    }

    /// As text alone, so wide: for documents, whose readers may not see what is drawn.
    pub fn plain(&self, width: usize) -> String {
        let screen = Terminal {
            width,
            ..Terminal::default()
        };
        let text = self.render(&screen);
        let text = text.trim_end_matches('\n');
        match self.told() {
            Some(told) => format!("{told}\n{text}"),
            None => text.to_string(),
        }
    }

    /// `{"text"|"table"|"plot"|"tokens": …}`.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => serde_json::json!({ "text": text }),
            Self::Table(table) => serde_json::json!({ "table": table.to_json() }),
            Self::Plot(plot) => serde_json::json!({ "plot": plot.to_json() }),
            Self::Tokens(tokens) => serde_json::json!({ "tokens": tokens.to_json() }),
        }
    }
}
