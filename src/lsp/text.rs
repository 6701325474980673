//! Bytes and paths in the editor's terms: lines with UTF-16 columns, `file:` addresses.

use std::path::{Component, Path, PathBuf};

use lsp_types::{Position, Range};

/// The byte at a position; the end of the line where there is no such column, of the text where there is no such
/// line.
pub(super) fn byte(text: &str, at: Position) -> usize {
    let mut start = 0;
    for _ in 0..at.line {
        match text[start..].find('\n') {
            Some(end) => start += end + 1,
            None => return text.len(),
        }
    }
    let line = text[start..].split('\n').next().unwrap_or("");
    let mut column = 0;
    for (offset, c) in line.char_indices() {
        if column >= at.character {
            return start + offset;
        }
        column += c.len_utf16() as u32;
    }
    // To some editors the `\r` before the end of a line is a letter.
    match column == at.character {
        true => start + line.len(),
        false => start + line.trim_end_matches('\r').len(),
    }
}

/// The text after an edit: of a range, or of all of it.
pub(super) fn edited(text: &mut String, range: Option<Range>, new: &str) {
    let Some(range) = range else {
        *text = new.into();
        return;
    };
    let start = byte(text, range.start);
    let end = byte(text, range.end).max(start);
    text.replace_range(start..end, new);
}

/// The position of a byte.
pub(super) fn position(text: &str, byte: usize) -> Position {
    let before = text.get(..byte).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let column: usize = before[start..].chars().map(char::len_utf16).sum();
    Position::new(before.matches('\n').count() as u32, column as u32)
}

pub(super) fn range(text: &str, (start, end): (usize, usize)) -> Range {
    Range::new(position(text, start), position(text, end))
}

/// The path of a `file:` address.
pub(super) fn path_of(uri: &str) -> Option<PathBuf> {
    let path = uri.strip_prefix("file://")?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        (rest, _) = match (first, code) {
            (b'%', Some(code)) => (&tail[2..], bytes.push(code)),
            _ => (tail, bytes.push(*first)),
        };
    }
    let path = String::from_utf8(bytes).ok()?;
    // `/C:/x` is `C:/x` on Windows.
    let drive = path.as_bytes().get(2) == Some(&b':') && cfg!(windows);
    Some(PathBuf::from(if drive { &path[1..] } else { &path }))
}

/// The `file:` address of a path, without `..`: to an editor each address is another file.
pub(super) fn uri_of(path: &Path) -> String {
    let mut straight = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(straight.pop()),
            part => straight.push(part),
        }
    }
    let path = straight.to_string_lossy().replace('\\', "/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~:".contains(&byte);
    let encoded: String = path
        .bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect();
    format!("file://{slash}{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_utf16() {
        let text = "a\né😀x\r\nend";
        let check = |line, character, expected: usize| {
            let at = Position::new(line, character);
            assert_eq!(byte(text, at), expected, "{line}:{character}");
        };
        check(0, 0, 0);
        check(1, 1, 4);
        check(1, 3, 8);
        check(1, 4, 9);
        check(1, 5, 10);
        check(1, 99, 9);
        check(2, 3, 14);
        check(9, 0, text.len());
        for at in [0, 1, 2, 4, 8, 9, 11, 14] {
            assert_eq!(byte(text, position(text, at)), at);
        }
    }

    #[test]
    fn edits_follow_each_other() {
        let mut text = String::from("let s = \"😀\";\nx");
        let mut check = |from: (u32, u32), to: (u32, u32), new: &str, expected: &str| {
            let position = |(line, character)| Position::new(line, character);
            edited(
                &mut text,
                Some(Range::new(position(from), position(to))),
                new,
            );
            assert_eq!(text, expected);
        };
        check((0, 11), (0, 11), "!", "let s = \"😀!\";\nx");
        check((0, 9), (0, 11), "", "let s = \"!\";\nx");
        check((0, 12), (1, 0), "", "let s = \"!\";x");
        check((7, 0), (9, 9), "\n", "let s = \"!\";x\n");
        edited(&mut text, None, "all");
        assert_eq!(text, "all");
    }

    #[test]
    fn addresses_of_paths() {
        let check = |path: &str, uri: &str| {
            assert_eq!(uri_of(Path::new(path)), uri);
            assert_eq!(path_of(uri), Some(PathBuf::from(path)));
        };
        check("/a/b.rhai", "file:///a/b.rhai");
        check("/a b/é%.rhai", "file:///a%20b/%C3%A9%25.rhai");
        assert_eq!(path_of("untitled:1"), None);
        assert_eq!(uri_of(Path::new("/a/b/.././c.rhai")), "file:///a/c.rhai");
    }
}
