//! What is shown, as HTML for notebooks: it takes the page's own text colour, so it reads on light and dark.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Display;
use super::plot::{Axis, Look};
use super::table::Table;
use super::tokens::{Shades, Tokens};

/// A plot's size on a page, in pixels.
const PLOT: (u32, u32) = (640, 400);

impl Display {
    /// An HTML fragment without scripts; everything that came from outside is escaped.
    pub fn html(&self) -> String {
        match self {
            Self::Text(text) => pre(text),
            Self::Table(table) => self::table(table),
            Self::Plot(plot) => plot.drawn(PLOT.0, PLOT.1, Look::Page),
            Self::Tokens(tokens) => self::tokens(tokens),
        }
    }

    /// As [`Display::html`], for notebooks: what is drawn is an image with its words, which is shown in notebooks
    /// that are not trusted too. Nothing for what is text.
    pub fn notebook(&self) -> Option<String> {
        match self {
            Self::Text(_) => None,
            Self::Plot(plot) => Some(format!(
                "<img alt=\"{}\" style=\"max-width:100%\" src=\"data:image/svg+xml;base64,{}\">",
                escape(&plot.told()),
                STANDARD.encode(plot.to_svg(PLOT.0, PLOT.1))
            )),
            _ => Some(self.html()),
        }
    }

    /// What is drawn, in a sentence.
    pub fn told(&self) -> Option<String> {
        match self {
            Self::Plot(plot) => Some(plot.told()),
            _ => None,
        }
    }

    /// What a notebook keeps beside the picture: the words for those who can't see it.
    pub fn metadata(&self) -> Map<String, Value> {
        let alt = |told| ("image/svg+xml".to_string(), json!({ "alt": told }));
        self.told().map(alt).into_iter().collect()
    }

    /// An SVG document, of what is a drawing.
    pub fn svg(&self) -> Option<String> {
        match self {
            Self::Plot(plot) => Some(plot.to_svg(PLOT.0, PLOT.1)),
            _ => None,
        }
    }
}

/// `text` for the inside of an element or a quoted attribute of HTML or XML, which takes no control characters.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' | '\r' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A curve through `values` as inline SVG in the colour of the text around it; nothing for fewer than two.
/// A value that is not finite is left out.
pub fn polyline(values: &[f64], width: u32, height: u32) -> String {
    let last = values.len().saturating_sub(1) as f64;
    let axis = Axis::around(values.iter().copied(), 0.0);
    let (Some(axis), true) = (axis, values.len() > 1) else {
        return String::new();
    };
    let points = values.iter().enumerate().filter(|(_, v)| v.is_finite());
    let point = |(at, value): (usize, &f64)| {
        let x = f64::from(width) * at as f64 / last;
        let y = 1.0 + f64::from(height - 2) * (1.0 - axis.fraction(*value));
        format!("{x:.1},{y:.1}")
    };
    format!(
        "<svg width=\"{width}\" height=\"{height}\" aria-hidden=\"true\" fill=\"none\" stroke=\"currentColor\" \
         stroke-width=\"1.5\"><polyline points=\"{}\"/></svg>",
        points.map(point).collect::<Vec<_>>().join(" ")
    )
}

fn pre(text: &str) -> String {
    // A line end right after the tag would be lost.
    format!("<pre>\n{}</pre>", escape(text))
}

fn table(table: &Table) -> String {
    let columns = table.laid_out();
    let cell = |tag: &str, text: &str, align: &str| {
        format!(
            "<{tag} style=\"text-align:{align}\">{}</{tag}>",
            escape(text).replace('\n', "<br>")
        )
    };
    let head: String = columns
        .iter()
        .map(|column| cell("th", &column.name, column.align))
        .collect();
    let row = |row: usize| -> String {
        let cells = columns
            .iter()
            .map(|column| cell("td", &column.texts[row], column.align));
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let body: String = (0..table.rows().len()).map(row).collect();
    let table_html =
        format!("<table>\n<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{body}</tbody>\n</table>");
    // A caption element would be as narrow as the table, or stretch it.
    match table.title() {
        "" => table_html,
        title => format!(
            "<figure style=\"margin:0\">\n<figcaption style=\"max-width:60em\">{}</figcaption>\n{table_html}\n</figure>",
            escape(title).replace('\n', "<br>")
        ),
    }
}

/// Each token on a background that lets the page's shine through, its weight in a tooltip.
fn tokens(tokens: &Tokens) -> String {
    let [red, green, blue] = match tokens.shades {
        Shades::Green => [0, 158, 115],
        Shades::Red => [213, 94, 0],
    };
    let span = |(text, weight): &(String, f64)| {
        let strength = if *weight > 0.0 { weight.min(1.0) } else { 0.0 };
        let end = if text.ends_with('⏎') { "\n" } else { "" };
        format!(
            "<span title=\"{weight:.3}\" style=\"background:rgba({red},{green},{blue},{:.2});\
             box-shadow:inset -1px 0 rgba(128,128,128,.5)\">{}</span>{end}",
            0.6 * strength,
            escape(text)
        )
    };
    let items: String = tokens.items.iter().map(span).collect();
    let title = match tokens.title.as_str() {
        "" => String::new(),
        title => format!("<div>{}</div>\n", escape(title)),
    };
    format!("{title}<pre style=\"margin:0;white-space:pre-wrap;line-height:1.5\">\n{items}</pre>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cell, Column, Plot};

    #[test]
    fn what_came_from_outside_is_escaped() {
        let text = "<b a='1'>\"&\"</b>";
        let escaped = "&lt;b a=&#39;1&#39;&gt;&quot;&amp;&quot;&lt;/b&gt;";
        let mut table = Table::new(text, [text]);
        table.push([text]).unwrap();
        let tokens = Tokens {
            title: text.into(),
            items: vec![(text.into(), 1.0)],
            ..Tokens::default()
        };
        let displays = [
            (Display::Text(text.into()), 1),
            (Display::Table(table), 3),
            (Display::Tokens(tokens), 2),
        ];
        for (display, count) in displays {
            let html = display.html();
            assert_eq!(html.matches(escaped).count(), count, "{html}");
            assert!(!html.contains("<b"), "{html}");
        }
        let plot = Plot::new(text).labels(text, text).values(text, &[1.0, 2.0]);
        assert!(!Display::Plot(plot).html().contains("<b a"));
    }

    #[test]
    fn pictures_have_words() {
        let plot = Display::Plot(Plot::new("a < b").values("", &[1.0, 2.0]));
        let told = "Line plot &quot;a &lt; b&quot;: 2 points; x from 0 to 1, y from 1 to 2.";
        let notebook = plot.notebook().unwrap();
        assert!(notebook.starts_with(&format!("<img alt=\"{told}\"")));
        for svg in [plot.html(), plot.svg().unwrap()] {
            assert!(svg.contains(&format!("role=\"img\" aria-label=\"{told}\"")));
            assert!(svg.contains(&format!("<title>{told}</title>")));
        }
        assert!(plot.plain(60).starts_with("Line plot \"a < b\": 2 points;"));
        assert_eq!(Display::Text("a".into()).notebook(), None);
        assert_eq!(Display::Text("a\n".into()).plain(9), "a");
    }

    #[test]
    fn tables_keep_their_alignment_and_titles() {
        let mut table = Table::new("sizes\nof two", [Column::new("name"), Column::new("n")]);
        table.push([Cell::from("a\nb"), Cell::from(1.25)]).unwrap();
        table.push([Cell::Empty, Cell::from(10.5)]).unwrap();
        let expected = "<figure style=\"margin:0\">\n\
            <figcaption style=\"max-width:60em\">sizes<br>of two</figcaption>\n\
            <table>\n<thead>\n<tr><th style=\"text-align:left\">name</th><th style=\"text-align:right\">n</th></tr>\n</thead>\n\
            <tbody>\n\
            <tr><td style=\"text-align:left\">a<br>b</td><td style=\"text-align:right\">1.25</td></tr>\n\
            <tr><td style=\"text-align:left\"></td><td style=\"text-align:right\">10.50</td></tr>\n\
            </tbody>\n</table>\n</figure>";
        assert_eq!(Display::Table(table).html(), expected);
    }

    #[test]
    fn tokens_are_as_strong_as_their_weight() {
        let tokens = Tokens {
            items: vec![("a⏎".into(), 0.5), ("b".into(), f64::NAN)],
            ..Tokens::default()
        };
        let html = Display::Tokens(tokens).html();
        assert!(html.contains("rgba(0,158,115,0.30);"), "{html}");
        assert!(html.contains(">a⏎</span>\n<span"), "{html}");
        assert!(html.contains("rgba(0,158,115,0.00);"), "{html}");
    }
}
