//! SVG elements one after the other. Text uses the reader's sans-serif font; nothing is looked up on this
//! machine, so the same plot is the same text everywhere.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

use super::super::html::escape;
use super::super::text::{harmless, wrapped};

/// Height of letters in pixels.
pub(super) const FONT: f64 = 12.0;

/// What a drawing lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Look {
    /// White paper of its own: for files.
    Paper,
    /// A page of any colour, whose text has the right one.
    Page,
}

impl Look {
    fn ink(self) -> &'static str {
        match self {
            Self::Paper => "#333333",
            Self::Page => "currentColor",
        }
    }

    /// A page may be narrower than the picture.
    fn fit(self) -> &'static str {
        match self {
            Self::Paper => "",
            Self::Page => " style=\"max-width:100%;height:auto\"",
        }
    }
}

/// Letters of the title, and the distance of its lines.
const TITLE: f64 = FONT * 1.25;
const TITLE_LINE: f64 = 19.0;
/// What is free without a title.
const UNTITLED: f64 = 22.0;
/// The most lines of a title.
const TITLE_LINES: usize = 3;

/// An SVG document in the making.
pub(super) struct Canvas {
    svg: String,
    look: Look,
}

/// Where text stands beside its point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Canvas {
    /// `told`: what is drawn, for those who can't see it.
    pub fn new(width: u32, height: u32, look: Look, told: &str) -> Self {
        let ink = look.ink();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" fill=\"{ink}\" stroke=\"none\" \
             role=\"img\" aria-label=\"{0}\"{1}>\n<title>{0}</title>\n",
            escape(told),
            look.fit(),
        );
        if look == Look::Paper {
            svg.push_str("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n");
        }
        Self { svg, look }
    }

    pub fn finish(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }

    /// An element as it stands; its numbers and names must be safe.
    pub fn add(&mut self, element: &str) {
        self.svg.push_str(element);
        self.svg.push('\n');
    }

    /// A line of the axes.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.stroke(from, to, 1.0);
    }

    /// A faint line behind the data.
    pub fn grid(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.stroke(from, to, 0.15);
    }

    fn stroke(&mut self, from: (f64, f64), to: (f64, f64), opacity: f64) {
        let ink = self.look.ink();
        self.add(&format!(
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{ink}\" stroke-opacity=\"{opacity}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
        self.add(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        ));
    }

    /// Text whose middle is at the height of the point.
    pub fn text(&mut self, at: (f64, f64), anchor: Anchor, text: &str) {
        self.words(at, anchor, FONT, 0, text);
    }

    /// Larger text on as many lines as it needs; gives the height of all but the first, less than nothing if
    /// there is none.
    pub fn title(&mut self, (x, y): (f64, f64), width: f64, text: &str) -> f64 {
        let columns = (width * FONT / TITLE / text_width("n")) as usize;
        let lines = wrapped(&harmless(text), columns, TITLE_LINES);
        for (at, line) in lines.iter().enumerate() {
            let y = y + at as f64 * TITLE_LINE;
            self.words((x, y), Anchor::Middle, TITLE, 0, line);
        }
        match lines.len() {
            0 => -UNTITLED,
            lines => (lines - 1) as f64 * TITLE_LINE,
        }
    }

    /// What comes next stands lower, until [`Canvas::back`].
    pub fn down(&mut self, by: f64) {
        self.add(&format!("<g transform=\"translate(0 {by:.1})\">"));
    }

    pub fn back(&mut self) {
        self.add("</g>");
    }

    /// Text that runs upwards.
    pub fn upwards(&mut self, at: (f64, f64), anchor: Anchor, text: &str) {
        self.words(at, anchor, FONT, -90, text);
    }

    fn words(&mut self, (x, y): (f64, f64), anchor: Anchor, size: f64, turn: i32, text: &str) {
        if text.is_empty() {
            return;
        }
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let turned = match turn {
            0 => String::new(),
            _ => format!(" transform=\"rotate({turn} {x:.1} {y:.1})\""),
        };
        let baseline = y + 0.35 * size;
        let text = escape(&harmless(text).replace('\n', " "));
        let _ = writeln!(
            self.svg,
            "<text x=\"{x:.1}\" y=\"{baseline:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\"{turned} \
             xml:space=\"preserve\">{text}</text>"
        );
    }
}

/// About as wide as the text is.
pub(super) fn text_width(text: &str) -> f64 {
    text.width() as f64 * FONT * 0.56
}
