//! Colours of code while it is typed; the width of the text never changes.

use crate::session::lexer::{Kind, Token, lex};

/// Paints code; the pieces of the last text are kept, since every key asks again.
pub(super) struct Painter {
    colour: bool,
    text: String,
    tokens: Vec<Token>,
}

impl Painter {
    pub(super) fn new(colour: bool) -> Self {
        Self {
            colour,
            text: String::new(),
            tokens: Vec::new(),
        }
    }

    /// The text in colours, with the bracket at the cursor and its partner.
    pub(super) fn paint(&mut self, text: &str, at: Option<usize>) -> String {
        if !self.colour {
            return text.into();
        }
        if self.text != text {
            self.text = text.into();
            self.tokens = lex(text);
        }
        let pair = at.and_then(|at| partners(text, &self.tokens, at));
        let mut painted = String::with_capacity(text.len() * 2);
        for (index, token) in self.tokens.iter().enumerate() {
            let piece = &text[token.start..token.end];
            let colour = match pair {
                Some((a, b)) if index == a || index == b => "1;4;36",
                _ => colour(token.kind, piece),
            };
            match colour {
                "" => painted.push_str(piece),
                // A line break inside a colour would colour the margin of some terminals.
                code => painted.push_str(&format!("\x1b[{code}m{piece}\x1b[0m")),
            }
        }
        painted
    }
}

fn colour(kind: Kind, piece: &str) -> &'static str {
    match kind {
        Kind::Comment => "90",
        Kind::Text => "32",
        Kind::Number => "36",
        Kind::Keyword if matches!(piece, "true" | "false" | "this") => "36",
        Kind::Keyword => "35",
        // Plain blue is too dark for dark backgrounds.
        Kind::Call => "94",
        _ => "",
    }
}

/// The bracket under or before the cursor and the one that belongs to it, as token indices.
fn partners(text: &str, tokens: &[Token], at: usize) -> Option<(usize, usize)> {
    let bracket = |token: &Token| matches!(token.kind, Kind::Open | Kind::Close);
    let here = tokens
        .iter()
        .position(|t| bracket(t) && t.start <= at && at < t.end);
    let before = tokens.iter().position(|t| bracket(t) && t.end == at);
    let from = here.or(before)?;
    let mut open = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => open.push(index),
            Kind::Close => {
                let partner = open.pop()?;
                let fit = fits(
                    &text[tokens[partner].start..tokens[partner].end],
                    &text[token.start..token.end],
                );
                if fit && (index == from || partner == from) {
                    return Some((partner, index));
                }
            }
            _ => {}
        }
    }
    None
}

fn fits(open: &str, close: &str) -> bool {
    matches!(
        (open, close),
        ("(", ")") | ("[", "]") | ("{" | "#{" | "${", "}")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        let mut shown = String::new();
        let mut inside = false;
        for c in text.chars() {
            match c {
                '\x1b' => inside = true,
                'm' if inside => inside = false,
                c if !inside => shown.push(c),
                _ => {}
            }
        }
        shown
    }

    #[test]
    fn the_text_stays_and_partners_shine() {
        let text = "let x = f(\"(\", [1]); // é";
        let painted = Painter::new(true).paint(text, Some(9));
        assert_eq!(plain(&painted), text);
        assert!(
            painted.contains("\x1b[1;4;36m(\x1b[0m") && painted.contains("\x1b[1;4;36m)\x1b[0m"),
            "{painted:?}"
        );
        assert_eq!(Painter::new(false).paint(text, Some(9)), text);
    }
}
