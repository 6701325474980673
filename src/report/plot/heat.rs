//! A matrix whose numbers are colours.

use serde_json::{Value, json};

use super::colours::Scale;
use crate::diag::Result;
use crate::fail;
use crate::numeric::to_json;

/// A matrix, row by row, with names for its rows and columns or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    values: Vec<Vec<f64>>,
    rows: Vec<String>,
    columns: Vec<String>,
    /// Of the colours; what lies beyond has the colour of the end.
    range: (f64, f64),
}

impl Heat {
    /// With the range of its finite numbers.
    ///
    /// # Errors
    /// No numbers, rows of unequal lengths, or none that is finite.
    pub fn new(values: Vec<Vec<f64>>) -> Result<Self> {
        let width = values.first().map_or(0, Vec::len);
        if width == 0 {
            fail!("a heat map needs a matrix of at least one number");
        }
        if let Some(row) = values.iter().find(|row| row.len() != width) {
            fail!(
                "a heat map needs rows of one length, not {width} and {}",
                row.len()
            );
        }
        let finite = values.iter().flatten().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(*v), high.max(*v))
        });
        if low > high {
            fail!("a heat map needs a number that is finite");
        }
        Ok(Self {
            values,
            rows: Vec::new(),
            columns: Vec::new(),
            range: (low, high),
        })
    }

    /// Names of the rows and of the columns; no names for none.
    ///
    /// # Errors
    /// Another number of names than of rows or columns.
    pub fn names(mut self, rows: Vec<String>, columns: Vec<String>) -> Result<Self> {
        let sides = [
            ("row", &rows, self.values.len()),
            ("column", &columns, self.width()),
        ];
        for (side, names, count) in sides {
            if !names.is_empty() && names.len() != count {
                fail!("there are {} {side} names for {count} {side}s", names.len());
            }
        }
        (self.rows, self.columns) = (rows, columns);
        Ok(self)
    }

    /// With colours from one number to another.
    ///
    /// # Errors
    /// `low` is not below `high`.
    pub fn between(mut self, low: Option<f64>, high: Option<f64>) -> Result<Self> {
        let (least, most) = self.range;
        self.range = (low.unwrap_or(least), high.unwrap_or(most));
        if (low.is_some() || high.is_some()) && self.range.0 >= self.range.1 {
            fail!(
                "colours can't reach from {} to {}",
                self.range.0,
                self.range.1
            );
        }
        Ok(self)
    }

    pub fn values(&self) -> &[Vec<f64>] {
        &self.values
    }

    pub fn width(&self) -> usize {
        self.values.first().map_or(0, Vec::len)
    }

    pub fn row_names(&self) -> &[String] {
        &self.rows
    }

    pub fn column_names(&self) -> &[String] {
        &self.columns
    }

    /// The numbers of the colours at both ends.
    pub fn range(&self) -> (f64, f64) {
        self.range
    }

    pub(super) fn scale(&self) -> Scale {
        Scale::new(self.range.0, self.range.1)
    }

    /// As means of equal blocks, at most so many rows and columns, which then have no names; the same if it
    /// is no larger.
    pub(super) fn reduced(&self, rows: usize, columns: usize) -> Self {
        let (height, width) = (self.values.len(), self.width());
        if height <= rows && width <= columns {
            return self.clone();
        }
        let (rows, columns) = (rows.clamp(1, height), columns.clamp(1, width));
        let mean = |i: usize, j: usize| {
            let block = &self.values[i * height / rows..(i + 1) * height / rows];
            let columns = j * width / columns..(j + 1) * width / columns;
            let cells = block.iter().flat_map(|row| &row[columns.clone()]);
            cells.clone().sum::<f64>() / cells.count() as f64
        };
        let row = |i| (0..columns).map(|j| mean(i, j)).collect();
        let kept = |names: &Vec<String>, same: bool| match same {
            true => names.clone(),
            false => Vec::new(),
        };
        Self {
            values: (0..rows).map(row).collect(),
            rows: kept(&self.rows, rows == height),
            columns: kept(&self.columns, columns == width),
            range: self.range,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let row = |row: &Vec<f64>| row.iter().map(|v| to_json(*v)).collect::<Value>();
        json!({
            "values": self.values.iter().map(row).collect::<Vec<_>>(),
            "rows": self.rows,
            "columns": self.columns,
            "range": [self.range.0, self.range.1],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_their_means() {
        let heat = Heat::new(vec![vec![1.0, 3.0, 5.0], vec![1.0, 3.0, 9.0]]).unwrap();
        assert_eq!(heat.reduced(2, 3), heat);
        let check = |rows, columns, expected: &[&[f64]]| {
            assert_eq!(heat.reduced(rows, columns).values, expected);
        };
        check(1, 3, &[&[1.0, 3.0, 7.0]]);
        check(2, 2, &[&[1.0, 4.0], &[1.0, 6.0]]);
        check(0, 0, &[&[22.0 / 6.0]]);
    }

    #[test]
    fn what_is_no_matrix_is_an_error() {
        for (values, words) in [
            (vec![], "at least one number"),
            (vec![vec![]], "at least one number"),
            (vec![vec![1.0], vec![]], "rows of one length"),
            (vec![vec![f64::NAN]], "finite"),
        ] {
            let error = Heat::new(values).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let heat = || Heat::new(vec![vec![1.0, 2.0]]).unwrap();
        assert!(heat().names(vec!["a".into()], vec!["b".into()]).is_err());
        assert!(heat().between(Some(3.0), None).is_err());
    }
}
