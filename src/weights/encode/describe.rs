//! How a weight is stored, in words.

use super::{Encoded, Offset};

impl Encoded {
    /// In words: `int8 per channel`, `4-bit palette in 16 groups`, `50% of fp16`.
    pub fn describe(&self) -> String {
        match self {
            Encoded::Dense(array) => array.dtype().name().to_owned(),
            Encoded::Linear { data, .. } => self.linear(data.shape()),
            Encoded::Palette { .. } => self.palette(),
            Encoded::Sparse { mask, values } => {
                let set = mask.bytes().iter().filter(|bit| **bit != 0).count();
                let percent = 100.0 * set as f64 / mask.len().max(1) as f64;
                let inner = match &**values {
                    Encoded::Linear { .. } => values.linear(mask.shape()),
                    other => other.describe(),
                };
                format!("{percent:.0}% of {inner}")
            }
            Encoded::Cast { source, .. } => source.describe(),
        }
    }

    fn linear(&self, shape: &[usize]) -> String {
        let Encoded::Linear { data, scale, .. } = self else {
            return String::new();
        };
        let number = data.dtype().name();
        let fitted = match self.scheme() {
            Ok(super::Scheme::Linear {
                offset: Offset::Fitted(_),
                ..
            }) => " with offsets",
            _ => "",
        };
        let pairs = || shape.iter().zip(scale.shape());
        let whole = pairs().all(|(extent, n)| *n == 1 || n == extent);
        let long = pairs().filter(|(_, n)| **n > 1).count();
        let blocks = match (whole, long) {
            (true, 0) => " per tensor".to_owned(),
            (true, 1) => " per channel".to_owned(),
            _ => {
                let sizes = pairs().map(|(extent, n)| (extent / n.max(&1)).to_string());
                format!(" in blocks of {}", sizes.collect::<Vec<_>>().join("×"))
            }
        };
        format!("{number}{blocks}{fitted}")
    }

    fn palette(&self) -> String {
        let Encoded::Palette { indices, lut, .. } = self else {
            return String::new();
        };
        let bits = indices.dtype().bits();
        let table = lut.shape();
        let (length, groups) = match table.split_last_chunk::<2>() {
            Some((groups, [_, length])) => (*length, groups.iter().product()),
            None => (1, 1),
        };
        let mut words = match length {
            1 => format!("{bits}-bit palette"),
            _ => format!("{bits}-bit palette of {length}-vectors"),
        };
        if groups != 1 {
            words += &format!(" in {groups} groups");
        }
        if let Encoded::Linear { data, .. } = &**lut {
            words += &format!(", {} table with scales", data.dtype());
        }
        words
    }
}
