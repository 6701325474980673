//! Text that grows: on the standard output as it comes, and below a progress bar until it is done.

use unicode_width::UnicodeWidthChar as _;

/// The line that the standard output stands on.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Whether something stands on it.
    begun: bool,
    /// Text that waits for the end of its line.
    held: String,
}

impl Line {
    /// What to print for more text; `whole`: lines only, since bars stand below.
    pub fn add(&mut self, text: &str, whole: bool) -> String {
        self.held.push_str(text);
        let ready = match whole {
            true => self.held.rfind('\n').map_or(0, |end| end + 1),
            false => self.held.len(),
        };
        let rest = self.held.split_off(ready);
        let ready = std::mem::replace(&mut self.held, rest);
        if let Some(last) = ready.chars().last() {
            self.begun = last != '\n';
        }
        ready
    }

    /// What to print before something that needs a line of its own.
    pub fn end(&mut self) -> String {
        let mut text = std::mem::take(&mut self.held);
        if std::mem::take(&mut self.begun) || !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

/// The last lines of a text in so many columns, `rows` at most.
pub(super) fn tail(text: &str, columns: usize, rows: usize) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    let mut width = 0;
    for c in text.chars() {
        let own = c.width().unwrap_or(0);
        if c == '\n' || width + own > columns {
            lines.push(String::new());
            width = 0;
        }
        if let Some(line) = lines.last_mut().filter(|_| c != '\n') {
            line.push(c);
            width += own;
        }
    }
    lines[lines.len().saturating_sub(rows)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_whole_where_bars_stand() {
        let mut line = Line::default();
        assert_eq!(line.add("a", false), "a");
        assert_eq!(line.add("b\nc", true), "b\n");
        assert_eq!(line.add("d", true), "");
        assert_eq!(line.end(), "cd\n");
        assert_eq!(line.end(), "");
        assert_eq!(line.add("e", false), "e");
        assert_eq!(line.end(), "\n");
        assert_eq!(line.add("f\n", false), "f\n");
        assert_eq!(line.end(), "");
    }

    #[test]
    fn the_tail_fits() {
        let check = |text, columns, rows, expected: &str| {
            assert_eq!(tail(text, columns, rows), expected, "{text:?}");
        };
        check("abcdef", 4, 9, "abcd\nef");
        check("abcdef\n\nx", 4, 2, "\nx");
        check("你好吗", 5, 9, "你好\n吗");
        check("", 4, 2, "");
    }
}
