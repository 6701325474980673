//! What every token writes.

/// The bytes of each token by id; special tokens, which no text shows, write none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vocabulary {
    bytes: Vec<u8>,
    /// Where the bytes of each id end.
    ends: Vec<usize>,
}

impl Vocabulary {
    /// From the bytes of ids 0, 1, 2, …
    pub fn new<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> Self {
        let mut vocabulary = Self::default();
        for piece in pieces {
            vocabulary.bytes.extend_from_slice(piece.as_ref());
            vocabulary.ends.push(vocabulary.bytes.len());
        }
        vocabulary
    }

    /// The bytes of a token, not always whole characters; none outside of the vocabulary.
    pub fn piece(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = id.checked_sub(1).and_then(|before| self.ends.get(before));
        match self.ends.get(id) {
            Some(end) => &self.bytes[start.copied().unwrap_or(0)..*end],
            None => &[],
        }
    }

    /// How many ids there are.
    pub fn size(&self) -> usize {
        self.ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_by_id() {
        let vocabulary = Vocabulary::new(["a", "", " the"]);
        let pieces: Vec<&[u8]> = (0..4).map(|id| vocabulary.piece(id)).collect();
        assert_eq!(pieces, [b"a".as_slice(), b"", b" the", b""]);
        assert_eq!(vocabulary.size(), 3);
    }
}
