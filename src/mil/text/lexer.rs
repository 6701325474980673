//! Splits MIL text into tokens, each with its byte offset.

use crate::diag::{Error, Result};

/// A piece of MIL text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// Identifier, type name or keyword.
    Word(&'a str),
    /// Integer or float as written; also `-inf` and `-nan`.
    Number(&'a str),
    /// The content of a quoted string.
    Text(String),
    /// One of `( ) { } [ ] < > , = ; ?`.
    Symbol(char),
    /// `->`.
    Arrow,
    /// `...`.
    Ellipsis,
    End,
}

impl Token<'_> {
    /// The token as an error message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Word(word) | Token::Number(word) => format!("\"{word}\""),
            Token::Text(_) => "a string".into(),
            Token::Symbol(symbol) => format!("\"{symbol}\""),
            Token::Arrow => "\"->\"".into(),
            Token::Ellipsis => "\"...\"".into(),
            Token::End => "the end of the text".into(),
        }
    }
}

/// Reads tokens from the front of a text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    source: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, source: &'a str) -> Self {
        Self {
            text,
            source,
            at: 0,
        }
    }

    /// The next token and the byte offset where it starts.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, usize)> {
        let rest = self.text[self.at..].trim_start();
        let start = self.text.len() - rest.len();
        self.at = start;
        let Some(first) = rest.chars().next() else {
            return Ok((Token::End, start));
        };
        let token = match first {
            'a'..='z' | 'A'..='Z' | '_' => Token::Word(self.take(rest, is_word)),
            '0'..='9' => Token::Number(self.take_number(rest)),
            '-' if rest.starts_with("->") => {
                self.at += 2;
                Token::Arrow
            }
            '-' | '+' => Token::Number(self.take_number(rest)),
            '"' => Token::Text(self.take_string(rest)?),
            '.' if rest.starts_with("...") => {
                self.at += 3;
                Token::Ellipsis
            }
            '(' | ')' | '{' | '}' | '[' | ']' | '<' | '>' | ',' | '=' | ';' | '?' => {
                self.at += 1;
                Token::Symbol(first)
            }
            other => return Err(self.error(start, format!("unexpected character {other:?}"))),
        };
        Ok((token, start))
    }

    /// An error at the byte offset `at`.
    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> Error {
        let (line, column) = self.place(at);
        Error::new(message).at(self.source, line, column)
    }

    /// Gives `error` the place `at`, unless it has one.
    pub(super) fn locate(&self, at: usize, error: Error) -> Error {
        if error.position().is_some() {
            return error;
        }
        let (line, column) = self.place(at);
        error.at(self.source, line, column)
    }

    fn place(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }

    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    fn take(&mut self, rest: &'a str, keep: impl Fn(char) -> bool) -> &'a str {
        let end = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// A sign, then letters, digits and dots; a sign also after an exponent's letter.
    fn take_number(&mut self, rest: &'a str) -> &'a str {
        let hexadecimal = rest.trim_start_matches(['-', '+']).starts_with("0x");
        let exponent = if hexadecimal { ['p', 'P'] } else { ['e', 'E'] };
        let mut previous = 'e';
        let mut end = rest.len();
        for (i, c) in rest.char_indices() {
            let sign = matches!(c, '-' | '+') && (i == 0 || exponent.contains(&previous));
            if !(sign || c.is_ascii_alphanumeric() || c == '.') {
                end = i;
                break;
            }
            previous = c;
        }
        self.at += end;
        &rest[..end]
    }

    fn take_string(&mut self, rest: &str) -> Result<String> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += i + 1;
                    return Ok(text);
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    Some('t') => text.push('\t'),
                    Some(quoted @ ('"' | '\\')) => text.push(quoted),
                    _ => return Err(self.error(start + i, "unknown escape in a string")),
                },
                c => text.push(c),
            }
        }
        Err(self.error(start, "a string that is never closed"))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '@')
}
