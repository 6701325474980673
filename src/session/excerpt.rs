//! The line of a script that an error is about, as wide as a screen, and the place in it.

use unicode_width::UnicodeWidthStr as _;

use crate::report::cut;

/// Columns of an excerpt, and of what stands before the place in a longer line.
const WIDTH: usize = 88;
const BEFORE: usize = 56;

/// The part of the line around its `column`, counted in letters from 1, and the column of the screen where that
/// letter stands, counted from 0.
pub(super) fn excerpt(line: &str, column: usize) -> (String, usize) {
    let line = line.replace('\t', " ");
    let letter = line.char_indices().nth(column.saturating_sub(1));
    let (mut before, after) = line.split_at(letter.map_or(line.len(), |(at, _)| at));
    let mut shown = String::new();
    if line.width() > WIDTH && before.width() > BEFORE {
        while before.width() >= BEFORE {
            let mut letters = before.chars();
            letters.next();
            before = letters.as_str();
        }
        shown.push('…');
    }
    shown.push_str(before);
    let at = shown.width();
    shown.push_str(after);
    (cut(&shown, WIDTH, "…"), at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_stands_in_what_is_shown() {
        let check = |line: &str, column, expected: &str, at| {
            assert_eq!(excerpt(line, column), (expected.to_string(), at), "{line}");
        };
        check("let a = 1;", 5, "let a = 1;", 4);
        check("\tf()", 2, " f()", 1);
        check("f()", 9, "f()", 3);
        check("", 1, "", 0);
        check("let 你好 = g();", 10, "let 你好 = g();", 11);
        let long = format!("{}^{}", "ab".repeat(50), "cd".repeat(50));
        let (shown, at) = excerpt(&long, 101);
        assert!(shown.starts_with("…b") && shown.ends_with("cd…"), "{shown}");
        assert_eq!((shown.width(), shown.chars().nth(at)), (WIDTH, Some('^')));
        let (shown, at) = excerpt(&long, 3);
        assert!(shown.starts_with("abab") && shown.ends_with('…'), "{shown}");
        assert_eq!(at, 2);
    }
}
