//! Which candidates fit what is typed: those that begin so; if there are none, those that have its letters in order.

use super::candidates::Candidate;

/// How closely candidates must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit<'a> {
    Start(&'a str),
    /// The letters in order, in any case, others between them.
    Letters(&'a str),
}

impl Fit<'_> {
    pub fn fits(self, text: &str) -> bool {
        match self {
            Self::Start(typed) => text.starts_with(typed),
            Self::Letters(typed) => distance(typed, text).is_some(),
        }
    }

    /// The best first; what begins as typed stays in its order.
    pub fn sort(self, candidates: &mut [Candidate]) {
        if let Self::Letters(typed) = self {
            candidates.sort_by_key(|candidate| distance(typed, &candidate.text));
        }
    }
}

/// How many letters of `text` stand before and between those typed, if they are there in order. The text's own
/// words may be skipped whole, so that `mnt` finds `max_new_tokens`.
fn distance(typed: &str, text: &str) -> Option<usize> {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    let (mut skipped, mut new_word) = (0, true);
    for wanted in typed.chars().flat_map(char::to_lowercase) {
        loop {
            let letter = letters.next()?;
            if letter == wanted {
                break;
            }
            skipped += if new_word { 2 } else { 1 };
            new_word = letter == '_';
        }
    }
    Some(skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_fit() {
        let check = |typed, text, expected| {
            assert_eq!(Fit::Letters(typed).fits(text), expected, "{typed} {text}");
        };
        check("mnt", "max_new_tokens", true);
        check("LOAD", "load(", true);
        check("tok", "vocabulary_token", true);
        check("dolad", "load(", false);
    }

    #[test]
    fn the_nearest_comes_first() {
        let mut found = ["attokens", "tokens", "to_kens"]
            .map(Candidate::word)
            .to_vec();
        Fit::Letters("tok").sort(&mut found);
        let texts: Vec<&str> = found.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(texts, ["tokens", "to_kens", "attokens"]);
    }
}
