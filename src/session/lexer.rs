//! A lexer for input that is still being typed: never fails, keeps comments, says what is unfinished.

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Space,
    Comment,
    /// String, character or template text.
    Text,
    Number,
    Keyword,
    Name,
    /// A name before a bracket.
    Call,
    Operator,
    Open,
    Close,
}

/// A piece of text, as bytes of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    /// A comment or text that the input leaves open.
    pub open: bool,
}

const KEYWORDS: &[&str] = &[
    "let",
    "const",
    "if",
    "else",
    "switch",
    "do",
    "while",
    "until",
    "loop",
    "for",
    "in",
    "continue",
    "break",
    "return",
    "throw",
    "try",
    "catch",
    "import",
    "export",
    "as",
    "global",
    "fn",
    "private",
    "this",
    "true",
    "false",
    "Fn",
    "call",
    "curry",
    "is_shared",
    "is_def_fn",
    "is_def_var",
    "type_of",
    "eval",
];

/// The words that the language reserves.
pub fn keywords() -> &'static [&'static str] {
    KEYWORDS
}

/// Splits `text` without gaps.
pub fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        at: 0,
        tokens: Vec::new(),
        templates: Vec::new(),
    };
    while lexer.at < text.len() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    /// For each template that an interpolation `${` has left: the bracket depth inside it.
    templates: Vec<usize>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn push(&mut self, kind: Kind, length: usize, open: bool) {
        let start = self.at;
        self.at += length;
        self.tokens.push(Token {
            kind,
            start,
            end: self.at,
            open,
        });
    }

    fn take_while(&mut self, kind: Kind, belongs: impl Fn(char) -> bool) {
        let rest = self.rest();
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.push(kind, length, false);
    }

    fn step(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return;
        };
        match first {
            c if c.is_whitespace() => self.take_while(Kind::Space, char::is_whitespace),
            '/' if rest.starts_with("//") => self.take_while(Kind::Comment, |c| c != '\n'),
            '/' if rest.starts_with("/*") => self.block_comment(),
            '"' => self.quoted('"'),
            '\'' => self.quoted('\''),
            '`' => self.template(1),
            '#' if raw_hashes(rest).is_some() => self.raw_text(),
            '0'..='9' => self.number(),
            c if is_name(c) => self.name(),
            '{' | '(' | '[' => self.open(1),
            '#' if rest.starts_with("#{") => self.open(2),
            '}' if self.templates.last() == Some(&0) => {
                self.templates.pop();
                self.push(Kind::Close, 1, false);
                self.template(0);
            }
            '}' | ')' | ']' => self.close(),
            c => self.push(Kind::Operator, c.len_utf8(), false),
        }
    }

    fn open(&mut self, length: usize) {
        if let Some(depth) = self.templates.last_mut() {
            *depth += 1;
        }
        self.push(Kind::Open, length, false);
    }

    fn close(&mut self) {
        if let Some(depth) = self.templates.last_mut() {
            *depth = depth.saturating_sub(1);
        }
        self.push(Kind::Close, 1, false);
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let (rest, mut depth, mut at) = (self.rest(), 0_usize, 0);
        loop {
            let tail = rest.get(at..).unwrap_or("");
            if tail.starts_with("/*") {
                (depth, at) = (depth + 1, at + 2);
            } else if tail.starts_with("*/") {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return self.push(Kind::Comment, at, false);
                }
            } else if let Some(c) = tail.chars().next() {
                at += c.len_utf8();
            } else {
                return self.push(Kind::Comment, at, true);
            }
        }
    }

    fn quoted(&mut self, quote: char) {
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\n' => return self.push(Kind::Text, at, true),
                c if c == quote => return self.push(Kind::Text, at + 1, false),
                _ => {}
            }
        }
        self.push(Kind::Text, self.rest().len(), true);
    }

    /// The text of a template up to its end or its next `${`.
    fn template(&mut self, skip: usize) {
        let rest = self.rest();
        let mut at = skip;
        while let Some(c) = rest.get(at..).and_then(|tail| tail.chars().next()) {
            let tail = &rest[at..];
            if tail.starts_with("``") {
                at += 2;
            } else if c == '`' {
                return self.push(Kind::Text, at + 1, false);
            } else if tail.starts_with("${") {
                self.push(Kind::Text, at, false);
                self.push(Kind::Open, 2, false);
                self.templates.push(0);
                return;
            } else {
                at += c.len_utf8();
            }
        }
        self.push(Kind::Text, at, true);
    }

    fn raw_text(&mut self) {
        let rest = self.rest();
        let hashes = raw_hashes(rest).unwrap_or(1);
        let close = format!("\"{}", "#".repeat(hashes));
        match rest[hashes + 1..].find(&close) {
            Some(at) => self.push(Kind::Text, hashes + 1 + at + close.len(), false),
            None => self.push(Kind::Text, rest.len(), true),
        }
    }

    fn number(&mut self) {
        let rest = self.rest();
        let mut length = 0;
        let mut previous = ' ';
        let mut chars = rest.chars().peekable();
        while let Some(c) = chars.next() {
            let next_digit = chars.peek().is_some_and(char::is_ascii_digit);
            let belongs = c.is_ascii_alphanumeric()
                || c == '_'
                || (c == '.' && next_digit && !rest[..length].contains('.'))
                || ((c == '-' || c == '+')
                    && matches!(previous, 'e' | 'E')
                    && !rest.starts_with("0x"));
            if !belongs {
                break;
            }
            previous = c;
            length += c.len_utf8();
        }
        self.push(Kind::Number, length, false);
    }

    fn name(&mut self) {
        let rest = self.rest();
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let kind = match rest[length..].starts_with('(') {
            _ if KEYWORDS.contains(&&rest[..length]) => Kind::Keyword,
            true => Kind::Call,
            false => Kind::Name,
        };
        self.push(kind, length, false);
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many `#` open a raw string here.
fn raw_hashes(rest: &str) -> Option<usize> {
    let hashes = rest.chars().take_while(|c| *c == '#').count();
    rest[hashes..]
        .starts_with('"')
        .then_some(hashes)
        .filter(|n| *n > 0)
}

/// The pieces of `text` that are neither space nor comment.
pub fn significant(text: &str) -> Vec<Token> {
    let mut tokens = lex(text);
    tokens.retain(|token| !matches!(token.kind, Kind::Space | Kind::Comment));
    tokens
}

/// Open brackets at byte `at` that nothing before it has closed.
pub fn depth(tokens: &[Token], at: usize) -> usize {
    tokens
        .iter()
        .take_while(|token| token.end <= at)
        .fold(0, |depth: usize, token| match token.kind {
            Kind::Open => depth + 1,
            Kind::Close => depth.saturating_sub(1),
            _ => depth,
        })
}

/// Whether a `;` ends the code: its value is not to be shown.
pub fn ends_quietly(code: &str) -> bool {
    let tokens = lex(code);
    let last = tokens
        .iter()
        .rfind(|token| !matches!(token.kind, Kind::Space | Kind::Comment));
    last.is_some_and(|token| &code[token.start..token.end] == ";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let tokens = lex(text);
        let shown: Vec<String> = tokens
            .iter()
            .filter(|t| t.kind != Kind::Space)
            .map(|t| {
                format!(
                    "{:?}:{}{}",
                    t.kind,
                    &text[t.start..t.end],
                    if t.open { "…" } else { "" }
                )
            })
            .collect();
        assert_eq!(shown.join(" "), expected);
        assert_eq!(
            tokens
                .iter()
                .map(|t| &text[t.start..t.end])
                .collect::<String>(),
            text
        );
    }

    #[test]
    fn pieces() {
        check(
            "let x = 1.5e-3;",
            "Keyword:let Name:x Operator:= Number:1.5e-3 Operator:;",
        );
        check(
            "f(0..9)",
            "Call:f Open:( Number:0 Operator:. Operator:. Number:9 Close:)",
        );
        check(
            "a /* b /* c */ */ d // e",
            "Name:a Comment:/* b /* c */ */ Name:d Comment:// e",
        );
        check("\"a\\\"b\" 'c'", "Text:\"a\\\"b\" Text:'c'");
        check(
            "`a${b + #{c: 1}.c}d`",
            "Text:`a Open:${ Name:b Operator:+ Open:#{ Name:c Operator:: Number:1 Close:} Operator:. Name:c Close:} Text:d`",
        );
        check("#\"raw \" text\"#", "Text:#\"raw \" text\"#");
        check("/* open", "Comment:/* open…");
        check("`open", "Text:`open…");
        check("\"open", "Text:\"open…");
        check("ñ = 'é' // ü", "Name:ñ Operator:= Text:'é' Comment:// ü");
    }
}
