//! A text token by token, each with a weight: which tokens a loss counts, how surprising each was.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use super::Terminal;

/// Tokens in order, with a weight between 0 (plain) and 1 (strongest).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tokens {
    /// What stands above, with what the weight means.
    pub title: String,
    /// Visible text (see [`visible_bytes`](super::visible_bytes)) and weight.
    pub items: Vec<(String, f64)>,
    pub shades: Shades,
}

/// The colour of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shades {
    /// For what is meant.
    #[default]
    Green,
    /// For what is hot.
    Red,
}

impl Shades {
    /// Backgrounds of the 256-colour palette from faint to strong, under black text.
    fn backgrounds(self) -> [u8; 6] {
        match self {
            Self::Green => [194, 157, 120, 84, 48, 42],
            Self::Red => [230, 229, 222, 215, 209, 203],
        }
    }

    /// None for a weight of 0 (or one that is no number).
    fn background(self, weight: f64) -> Option<u8> {
        let all = self.backgrounds();
        let last = all.len() - 1;
        (weight > 0.0).then(|| all[((weight.min(1.0) * last as f64).round() as usize).min(last)])
    }
}

impl Tokens {
    /// With colours, each token on a background as strong as its weight, neighbours told apart by a thin
    /// bar; without, runs of tokens above one half stand between `⟦` and `⟧`. A line ends after `⏎`, and
    /// where the next token would not fit.
    pub fn render(&self, terminal: &Terminal) -> String {
        let mut out = match self.title.is_empty() {
            true => String::new(),
            false => format!("{}\n", self.title),
        };
        let bar = if terminal.utf8 { "│" } else { "|" };
        let [open, close] = if terminal.utf8 {
            ["⟦", "⟧"]
        } else {
            ["[[", "]]"]
        };
        let mut marked = false;
        let mut column = 0;
        for (i, (text, weight)) in self.items.iter().enumerate() {
            let strong = *weight > 0.5;
            let mark = match (!terminal.colour && strong != marked, strong) {
                (true, true) => open,
                (true, false) => close,
                _ if i > 0 && column > 0 => bar,
                _ => "",
            };
            marked = strong;
            // A mark that closes may follow.
            let width = text.width() + mark.width();
            if column > 0 && column + width + close.width() > terminal.width {
                out.push_str(if mark == close { close } else { "" });
                out.push('\n');
                out.push_str(if mark == open { open } else { "" });
                column = text.width() + if mark == open { open.width() } else { 0 };
            } else {
                out.push_str(mark);
                column += width;
            }
            let shade = self.shades.background(*weight);
            match shade.filter(|_| terminal.colour) {
                Some(shade) => out.push_str(&format!("\x1b[30;48;5;{shade}m{text}\x1b[0m")),
                None => out.push_str(text),
            }
            if text.ends_with('⏎') {
                out.push('\n');
                column = 0;
            }
        }
        if marked && !terminal.colour {
            out.push_str(close);
        }
        out.trim_end_matches('\n').to_owned()
    }

    /// `{"title": …, "tokens": [[text, weight], …]}`.
    pub fn to_json(&self) -> Value {
        json!({ "title": self.title, "tokens": self.items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_with_and_without_colour() {
        let items = [
            ("<s>", 0.0),
            ("a⏎", 0.0),
            ("b", 1.0),
            ("␣c", 1.0),
            ("d", 0.0),
        ];
        let tokens = Tokens {
            title: "t".into(),
            items: items.map(|(text, weight)| (text.to_owned(), weight)).into(),
            shades: Shades::Green,
        };
        let plain = Terminal::default();
        assert_eq!(tokens.render(&plain), "t\n<s>│a⏎\n⟦b│␣c⟧d");
        let colour = Terminal {
            colour: true,
            ..plain
        };
        assert_eq!(
            tokens.render(&colour),
            "t\n<s>│a⏎\n\x1b[30;48;5;42mb\x1b[0m│\x1b[30;48;5;42m␣c\x1b[0m│d"
        );
    }

    #[test]
    fn lines_end_between_tokens() {
        let items = [
            ("ab", 0.0),
            ("cd", 1.0),
            ("你好", 1.0),
            ("e", 0.0),
            ("f", 1.0),
        ];
        let tokens = Tokens {
            items: items.map(|(text, weight)| (text.to_owned(), weight)).into(),
            shades: Shades::Red,
            ..Tokens::default()
        };
        let check = |width: usize, expected: &str| {
            let plain = Terminal {
                width,
                ..Terminal::default()
            };
            let text = tokens.render(&plain);
            assert_eq!(text, expected);
            assert!(
                text.lines().all(|line| line.width() <= width.max(6)),
                "{text}"
            );
        };
        check(40, "ab⟦cd│你好⟧e⟦f⟧");
        check(8, "ab⟦cd\n你好⟧e\n⟦f⟧");
        check(3, "ab\n⟦cd\n你好⟧\ne\n⟦f⟧");
    }
}
