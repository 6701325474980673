//! A small writer of GGUF version 3.

/// A file in the making.
#[derive(Default, Clone)]
pub struct Writer {
    entries: Vec<(String, Vec<u8>)>,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

fn text(value: &str) -> Vec<u8> {
    let length = (value.len() as u64).to_le_bytes();
    [length.as_slice(), value.as_bytes()].concat()
}

fn typed(kind: u32, value: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes(), value].concat()
}

fn list(kind: u32, items: Vec<Vec<u8>>) -> Vec<u8> {
    let head = [
        kind.to_le_bytes().as_slice(),
        &(items.len() as u64).to_le_bytes(),
    ]
    .concat();
    typed(9, &[head, items.concat()].concat())
}

impl Writer {
    fn with(mut self, key: &str, value: Vec<u8>) -> Self {
        self.entries.retain(|(known, _)| known != key);
        self.entries.push((key.to_owned(), value));
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        self.entries.retain(|(known, _)| known != key);
        self
    }

    pub fn text(self, key: &str, value: &str) -> Self {
        self.with(key, typed(8, &text(value)))
    }

    pub fn count(self, key: &str, value: u32) -> Self {
        self.with(key, typed(4, &value.to_le_bytes()))
    }

    pub fn float(self, key: &str, value: f32) -> Self {
        self.with(key, typed(6, &value.to_le_bytes()))
    }

    pub fn flag(self, key: &str, value: bool) -> Self {
        self.with(key, typed(7, &[value.into()]))
    }

    pub fn texts(self, key: &str, values: &[&str]) -> Self {
        self.with(key, list(8, values.iter().map(|v| text(v)).collect()))
    }

    pub fn ints(self, key: &str, values: &[i32]) -> Self {
        self.with(
            key,
            list(5, values.iter().map(|v| v.to_le_bytes().to_vec()).collect()),
        )
    }

    pub fn floats(self, key: &str, values: &[f32]) -> Self {
        self.with(
            key,
            list(6, values.iter().map(|v| v.to_le_bytes().to_vec()).collect()),
        )
    }

    /// A tensor of 0, 1, 2, … in fp32; `shape` is slowest first.
    pub fn tensor(self, name: &str, shape: &[usize]) -> Self {
        let count = shape.iter().product::<usize>();
        let bytes = (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect();
        self.stored(name, shape, 0, bytes)
    }

    pub fn stored(mut self, name: &str, shape: &[usize], form: u32, bytes: Vec<u8>) -> Self {
        let extents = shape.iter().rev().map(|n| *n as u64).collect();
        self.tensors.retain(|(known, ..)| known != name);
        self.tensors.push((name.to_owned(), extents, form, bytes));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.entries.len() as u64).to_le_bytes());
        for (key, value) in &self.entries {
            file.extend(text(key));
            file.extend(value);
        }
        let mut offset = 0u64;
        for (name, extents, form, bytes) in &self.tensors {
            file.extend(text(name));
            file.extend((extents.len() as u32).to_le_bytes());
            file.extend(extents.iter().flat_map(|n| n.to_le_bytes()));
            file.extend(form.to_le_bytes());
            file.extend(offset.to_le_bytes());
            offset += bytes.len().next_multiple_of(32) as u64;
        }
        for (.., bytes) in &self.tensors {
            file.resize(file.len().next_multiple_of(32), 0);
            file.extend(bytes);
        }
        file
    }
}
