//! A text token by token, each with a weight: which tokens a loss counts, how surprising each was.

use serde_json::{Value, json};

use super::Terminal;

/// Tokens in order, with a weight between 0 (plain) and 1 (strongest).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tokens {
    /// What stands above, with what the weight means.
    pub title: String,
    /// Visible text (see [`visible_bytes`](super::visible_bytes)) and weight.
    pub items: Vec<(String, f64)>,
}

/// Backgrounds of the 256-colour palette from faint to strong, under black text.
const HEAT: [u8; 6] = [194, 157, 120, 84, 48, 42];

impl Tokens {
    /// With colours, each token on a background as strong as its weight, neighbours told apart by a thin
    /// bar; without, runs of tokens above one half stand between `⟦` and `⟧`. A line ends after `⏎`.
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
        for (i, (text, weight)) in self.items.iter().enumerate() {
            let strong = *weight > 0.5;
            if !terminal.colour && strong != marked {
                out.push_str(if strong { open } else { close });
            } else if i > 0 && !out.ends_with('\n') {
                out.push_str(bar);
            }
            marked = strong;
            match shade(*weight).filter(|_| terminal.colour) {
                Some(shade) => out.push_str(&format!("\x1b[30;48;5;{shade}m{text}\x1b[0m")),
                None => out.push_str(text),
            }
            if text.ends_with('⏎') {
                out.push('\n');
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

/// None for a weight of 0 (or one that is no number).
fn shade(weight: f64) -> Option<u8> {
    let last = HEAT.len() - 1;
    (weight > 0.0).then(|| HEAT[((weight.min(1.0) * last as f64).round() as usize).min(last)])
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
}
