//! What the terminal tells of itself when it is asked: whether it shows pictures, and how large a letter is.

#[cfg(unix)]
mod posix;

pub(super) use posix::{ask, cell};

use crate::report::Images;

/// A terminal's answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    name: String,
    /// Width and height in pixels.
    pub cell: Option<(u32, u32)>,
    attributes: Option<Vec<u32>>,
    /// What the user typed meanwhile.
    pub typed: String,
}

impl Answer {
    /// What a text says in which answers and typed keys are mixed.
    fn read(text: &str) -> Self {
        let mut answer = Self::default();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some((name, after)) = between(rest, "\x1bP>|", "\x1b\\") {
                (answer.name, rest) = (name.into(), after);
            } else if let Some((size, after)) = numbers(rest, "\x1b[6;", 't') {
                let cell = size.get(1).copied().zip(size.first().copied());
                answer.cell = cell.filter(|(width, height)| *width > 0 && *height > 0);
                rest = after;
            } else if let Some((list, after)) = numbers(rest, "\x1b[?", 'c') {
                (answer.attributes, rest) = (Some(list), after);
            } else {
                answer.typed.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        answer
    }

    /// The pictures that it takes.
    pub(super) fn images(&self) -> Images {
        match &self.attributes {
            Some(attributes) => Images::of(&self.name, attributes),
            None => Images::Off,
        }
    }
}

fn between<'a>(text: &'a str, head: &str, end: &str) -> Option<(&'a str, &'a str)> {
    text.strip_prefix(head)?.split_once(end)
}

fn numbers<'a>(text: &'a str, head: &str, end: char) -> Option<(Vec<u32>, &'a str)> {
    let body = text.strip_prefix(head)?;
    let (list, after) = body.split_at(body.find(|c: char| c != ';' && !c.is_ascii_digit())?);
    let list = list.split(';').filter_map(|n| n.parse().ok()).collect();
    Some((list, after.strip_prefix(end)?))
}

/// Nobody asks on other systems.
#[cfg(not(unix))]
mod posix {
    pub fn ask() -> super::Answer {
        super::Answer::default()
    }

    pub fn cell() -> Option<(u32, u32)> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_keys_are_told_apart() {
        let answer = Answer::read("1 +\x1bP>|XTerm(379)\x1b\\ 2\x1b[6;17;8t\x1b[?63;1;2;4c\x1b[A");
        assert_eq!(answer.name, "XTerm(379)");
        assert_eq!(answer.cell, Some((8, 17)));
        assert_eq!(answer.attributes, Some(vec![63, 1, 2, 4]));
        assert_eq!(answer.typed, "1 + 2\x1b[A");
        assert_eq!(answer.images(), Images::Sixel);
        assert_eq!(Answer::read("\x1b[?62;c").attributes, Some(vec![62]));
        assert_eq!(Answer::read("\x1b[?62;4").attributes, None);
        assert_eq!(Answer::read("").images(), Images::Off);
    }
}
