//! A set of token ids, a bit each.

/// A set of token ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mask(Vec<u64>);

impl Mask {
    pub fn insert(&mut self, id: u32) {
        let word = id as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (id % 64);
    }

    pub fn contains(&self, id: u32) -> bool {
        let word = self.0.get(id as usize / 64);
        word.is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

impl FromIterator<u32> for Mask {
    fn from_iter<T: IntoIterator<Item = u32>>(ids: T) -> Self {
        let mut mask = Self::default();
        ids.into_iter().for_each(|id| mask.insert(id));
        mask
    }
}
