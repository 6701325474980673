//! Rows of named fields.

use std::path::Path;

use serde_json::{Map, Value};

use super::jsonl;
use crate::diag::{Error, Result};
use crate::files;
use crate::numeric::Rng;

/// One row: fields in the order of the file.
pub type Row = Map<String, Value>;

/// Rows in memory, with a name for error messages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dataset {
    name: String,
    rows: Vec<Row>,
}

impl Dataset {
    pub fn new(name: impl Into<String>, rows: Vec<Row>) -> Self {
        let name = name.into();
        Self { name, rows }
    }

    /// Reads a JSON Lines file.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path.display().to_string(), &files::read_text(path)?)
    }

    /// Parses JSON Lines; `name` stands in errors.
    pub fn parse(name: impl Into<String>, text: &str) -> Result<Self> {
        let name = name.into();
        let rows = jsonl::parse(text, &name)?;
        Ok(Self { name, rows })
    }

    /// Writes JSON Lines, the whole file or nothing.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::write_atomic(path, jsonl::write(&self.rows).as_bytes())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Names of all fields, in the order in which they first appear.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        for key in self.rows.iter().flat_map(Map::keys) {
            if !fields.contains(&key.as_str()) {
                fields.push(key.as_str());
            }
        }
        fields
    }

    /// A field of a row, counted from 0.
    pub fn field(&self, index: usize, field: &str) -> Result<&Value> {
        let Some(row) = self.rows.get(index) else {
            let (name, len) = (&self.name, self.len());
            return Err(Error::new(format!("{name} has no row {index} (of {len})")));
        };
        row.get(field).ok_or_else(|| {
            let known = row.keys().map(String::as_str);
            Error::unknown("field", field, known).context(format!("{} row {index}", self.name))
        })
    }

    /// A field that must be a string.
    pub fn text(&self, index: usize, field: &str) -> Result<&str> {
        let value = self.field(index, field)?;
        value.as_str().ok_or_else(|| {
            let message = format!("field \"{field}\" is no string: {value}");
            Error::new(message).context(format!("{} row {index}", self.name))
        })
    }

    /// Fails unless every row has all of `fields`; the first that has not is named.
    pub fn require(&self, fields: &[&str]) -> Result<()> {
        for index in 0..self.len() {
            for field in fields {
                self.field(index, field)?;
            }
        }
        Ok(())
    }

    /// Each row made anew; an error is told with its row.
    pub fn map(&self, mut change: impl FnMut(&Row) -> Result<Row>) -> Result<Self> {
        let rows = self.rows.iter().enumerate().map(|(index, row)| {
            change(row).map_err(|error| error.context(format!("{} row {index}", self.name)))
        });
        Ok(Self::new(self.name.clone(), rows.collect::<Result<_>>()?))
    }

    /// The rows that `keep` accepts.
    pub fn filter(&self, mut keep: impl FnMut(&Row) -> Result<bool>) -> Result<Self> {
        let mut rows = Vec::new();
        for (index, row) in self.rows.iter().enumerate() {
            let kept = keep(row);
            if kept.map_err(|error| error.context(format!("{} row {index}", self.name)))? {
                rows.push(row.clone());
            }
        }
        Ok(Self::new(self.name.clone(), rows))
    }

    /// The first `count` rows.
    pub fn take(&self, count: usize) -> Self {
        self.pick(0..count.min(self.len()))
    }

    /// The rows in an order that depends on the seed only.
    pub fn shuffled(&self, seed: u64) -> Self {
        self.pick(order(self.len(), seed, "shuffle"))
    }

    /// Two parts, `share` (0 to 1) of the rows in the first; drawn by seed, each in its old order.
    pub fn split(&self, share: f64, seed: u64) -> Result<(Self, Self)> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::new(format!("a share is from 0 to 1, not {share}")));
        }
        let mut order = order(self.len(), seed, "split");
        let (first, second) = order.split_at_mut((share * self.len() as f64).round() as usize);
        first.sort_unstable();
        second.sort_unstable();
        let part = |part: &[usize]| self.pick(part.iter().copied());
        Ok((part(first), part(second)))
    }

    /// SHA-256 of the rows as JSON Lines with sorted keys: the same data, however it was written.
    pub fn hash(&self) -> String {
        let lines: String = self
            .rows
            .iter()
            .map(|row| jsonl::canonical(row) + "\n")
            .collect();
        files::sha256(lines.as_bytes())
    }

    fn pick(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        let rows = indices.into_iter().map(|index| self.rows[index].clone());
        Self::new(self.name.clone(), rows.collect())
    }
}

fn order(len: usize, seed: u64, purpose: &str) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    Rng::named(seed, purpose).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Dataset {
        let line = |n: usize| format!("{{\"n\": {n}, \"text\": \"t{n}\"}}\n");
        Dataset::parse("n.jsonl", &(0..count).map(line).collect::<String>()).unwrap()
    }

    fn ns(dataset: &Dataset) -> Vec<u64> {
        let n = |row: &Row| row["n"].as_u64().unwrap();
        dataset.rows().iter().map(n).collect()
    }

    #[test]
    fn errors_have_line_and_column() {
        let check = |text: &str, expected: &str| {
            let error = Dataset::parse("d.jsonl", text).unwrap_err().to_string();
            assert_eq!(error.lines().next().unwrap(), expected);
        };
        check("{\"a\": 1}\n\n{\"a\": }\n", "d.jsonl:3:7: expected value");
        check("[1]\n", "d.jsonl:1:1: expected a JSON object, got an array");
        let read = Dataset::parse("d", "\u{feff}{\"a\": 1}\r\n  \r\n{\"a\": 2}").unwrap();
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn files_round_trip_in_field_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.jsonl");
        let text = "{\"z\":\"é\\n\",\"a\":[1,2.5,null]}\n{\"b\":true}\n";
        Dataset::parse("d", text).unwrap().write(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let read = Dataset::read(&path).unwrap();
        assert_eq!(read.fields(), ["z", "a", "b"]);
        assert!(Dataset::read(&folder.path().join("no.jsonl")).is_err());
    }

    #[test]
    fn order_and_split_depend_on_the_seed_only() {
        let data = numbers(20);
        assert_eq!(data.shuffled(3), numbers(20).shuffled(3));
        assert_ne!(ns(&data.shuffled(3)), ns(&data.shuffled(4)));
        let (train, test) = data.split(0.75, 1).unwrap();
        assert_eq!((train.len(), test.len()), (15, 5));
        assert!(ns(&train).is_sorted() && ns(&test).is_sorted());
        let mut all = [ns(&train), ns(&test)].concat();
        all.sort_unstable();
        assert_eq!(all, ns(&data));
        assert!(data.split(1.5, 1).is_err());
        assert_eq!(ns(&data.take(2)), [0, 1]);
        assert_eq!(data.take(99).len(), 20);
    }

    #[test]
    fn hash_is_of_the_data_not_of_its_writing() {
        let hash = |text: &str| Dataset::parse("d", text).unwrap().hash();
        let one = hash("{\"a\": 1, \"b\": {\"y\": 2, \"x\": 3}}");
        assert_eq!(one, hash("{ \"b\": {\"x\":3, \"y\":2}, \"a\":1 }\n\n"));
        assert_ne!(one, hash("{\"a\": 2, \"b\": {\"y\": 2, \"x\": 3}}"));
        // sha256sum of `{"a":1,"b":{"x":3,"y":2}}` and a line end.
        assert_eq!(one, files::sha256(b"{\"a\":1,\"b\":{\"x\":3,\"y\":2}}\n"));
    }

    #[test]
    fn missing_fields_are_named_with_their_row() {
        let data = Dataset::parse("d.jsonl", "{\"prompt\": \"a\"}\n{\"promt\": 1}").unwrap();
        let error = data.require(&["prompt"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "d.jsonl row 1: unknown field \"prompt\"\n  hint: did you mean \"promt\"?"
        );
        assert_eq!(data.text(0, "prompt").unwrap(), "a");
        assert!(
            data.text(1, "promt")
                .unwrap_err()
                .to_string()
                .contains("is no string: 1")
        );
        assert!(data.text(2, "prompt").is_err());
    }

    #[test]
    fn map_and_filter_tell_the_row_of_an_error() {
        let data = numbers(4);
        let even = data
            .filter(|row| Ok(row["n"].as_u64().unwrap() % 2 == 0))
            .unwrap();
        assert_eq!(ns(&even), [0, 2]);
        let fails = |row: &Row| match row["n"].as_u64() {
            Some(2) => Err(Error::new("no")),
            _ => Ok(row.clone()),
        };
        assert_eq!(
            data.map(fails).unwrap_err().to_string(),
            "n.jsonl row 2: no"
        );
    }
}
