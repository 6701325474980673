//! The text of a row while it grows: where a stop string begins, and which part of it is final.

/// The bytes that a row's tokens wrote so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Text {
    bytes: Vec<u8>,
    /// How many of the bytes [`Text::news`] has told.
    told: usize,
    /// Where the text ends, once that is known.
    end: Option<usize>,
}

impl Text {
    /// Adds what a token writes; gives where the first of the stop strings begins, if one is there now.
    pub fn push(&mut self, piece: &[u8], stops: &[String]) -> Option<usize> {
        let old = self.bytes.len();
        self.bytes.extend_from_slice(piece);
        let found = stops.iter().filter_map(|stop| {
            let from = old.saturating_sub(stop.len() - 1);
            let mut windows = self.bytes[from..].windows(stop.len());
            Some(from + windows.position(|window| window == stop.as_bytes())?)
        });
        self.end = found.min();
        self.end
    }

    /// The row has ended: what was held back is final.
    pub fn close(&mut self) {
        self.end = self.end.or(Some(self.bytes.len()));
    }

    /// The text since the last call that nothing to come can change: whole characters, no possible
    /// beginning of a stop string.
    pub fn news(&mut self, stops: &[String]) -> String {
        let end = match self.end {
            Some(end) => end,
            None => self.whole(self.bytes.len() - self.open_stop(stops)),
        };
        if end <= self.told {
            return String::new();
        }
        let text = String::from_utf8_lossy(&self.bytes[self.told..end]).into_owned();
        self.told = end;
        text
    }

    /// All of it, with bytes that are no UTF-8 as U+FFFD.
    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// How many bytes at the end may begin a stop string.
    fn open_stop(&self, stops: &[String]) -> usize {
        let begun = |stop: &String| {
            let most = (stop.len() - 1).min(self.bytes.len());
            let begins = |n: &usize| self.bytes.ends_with(&stop.as_bytes()[..*n]);
            (1..=most).rev().find(begins).unwrap_or(0)
        };
        stops.iter().map(begun).max().unwrap_or(0)
    }

    /// `end`, or less, so that no character is cut there.
    fn whole(&self, end: usize) -> usize {
        let from = self.told.min(end);
        let last = self.bytes[from..end].utf8_chunks().last();
        let invalid = last.map_or(&[][..], |chunk| chunk.invalid());
        let begun = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        end - if begun { invalid.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces that show, one for each token, and what shows at the end.
    fn shown(tokens: &[&[u8]], stops: &[&str]) -> Vec<String> {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut text = Text::default();
        let mut news = Vec::new();
        for token in tokens {
            let stopped = text.push(token, &stops).is_some();
            news.push(text.news(&stops));
            if stopped {
                break;
            }
        }
        text.close();
        news.push(text.news(&stops));
        news
    }

    #[test]
    fn characters_are_held_back_until_they_are_whole() {
        let check = |tokens: &[&[u8]], expected: &[&str]| {
            assert_eq!(shown(tokens, &[]), expected, "{tokens:?}");
        };
        check(&[b"a", b"b"], &["a", "b", ""]);
        check(&[b"\xf0\x9f", b"\x98", b"\x80!"], &["", "", "😀!", ""]);
        check(&["你".as_bytes(), b"\xe5\xa5"], &["你", "", "\u{fffd}"]);
        check(
            &[b"a\xffb", b"\xe4", b"c"],
            &["a\u{fffd}b", "", "\u{fffd}c", ""],
        );
    }

    #[test]
    fn a_stop_string_is_found_across_tokens_and_never_shows() {
        let check = |tokens: &[&[u8]], stops: &[&str], expected: &[&str]| {
            assert_eq!(shown(tokens, stops), expected, "{tokens:?} {stops:?}");
        };
        check(
            &[b"one.", b"\n", b"\ntwo"],
            &["\n\n"],
            &["one.", "", "", ""],
        );
        check(
            &[b"one.", b"\n", b"two"],
            &["\n\n"],
            &["one.", "", "\ntwo", ""],
        );
        check(&[b"a END b"], &["END"], &["a ", ""]);
        check(&[b"xaab", b"c"], &["aabc", "b"], &["xaa", ""]);
        check(&[b"xa", b"ab"], &["ab", "aab"], &["x", "", ""]);
        check(&[b"ababa", b"bac"], &["ababac"], &["", "ab", ""]);
        check(
            &["é".as_bytes(), b"\xe2\x82", b"\xac"],
            &["€"],
            &["é", "", "", ""],
        );
    }

    /// Pieces together are the whole text, whatever the cuts between tokens.
    #[test]
    fn pieces_add_up_to_the_text() {
        let bytes = b"so\xe4\xbd\xa0\xff\xe4 go\xf0\x9f\x98\x80\xe2\x82\xac.\xf0\x9f";
        for cut in 1..bytes.len() {
            for step in 1..5 {
                let mut tokens = vec![&bytes[..cut]];
                tokens.extend(bytes[cut..].chunks(step));
                let together = shown(&tokens, &["goo", ".."]).concat();
                assert_eq!(together, String::from_utf8_lossy(bytes), "{cut} {step}");
            }
        }
    }
}
