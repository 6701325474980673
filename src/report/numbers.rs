//! Tensors as text: one line of statistics, and the numbers at their corners.

use super::number::{format_column, format_number};
use crate::numeric::Stats;

/// As many numbers are shown in full.
const ALL: usize = 100;
/// Of a long side, so many are shown at each end.
const EDGE: usize = 3;

/// "fp32 [2, 3]  min -1  max 2  mean 0.5  std 1.2  NaN 3  Inf 1"; the last two where there are any.
pub fn stats_line(kind: &str, shape: &[usize], stats: &Stats) -> String {
    let mut parts = vec![format!("{kind} {shape:?}")];
    let mut tell = |name: &str, text: String| parts.push(format!("{name} {text}"));
    if stats.finite() > 0 {
        for (name, value) in [
            ("min", stats.min),
            ("max", stats.max),
            ("mean", stats.mean),
            ("std", stats.std),
        ] {
            tell(name, format_number(value, 4));
        }
    }
    for (name, count) in [("NaN", stats.nan), ("Inf", stats.inf)] {
        if count > 0 {
            tell(name, count.to_string());
        }
    }
    parts.join("  ")
}

/// The numbers of a tensor, row by row in nested brackets; of a large one those at the corners, with `…` for
/// the rest. At most `width` columns wide where that can be.
pub fn corners(shape: &[usize], values: &[f64], width: usize) -> String {
    if shape.iter().product::<usize>() != values.len() || values.is_empty() {
        return "[]".to_owned();
    }
    let cut = values.len() > ALL;
    let side = |length: usize| shown(length, if cut { EDGE } else { length });
    let mut sides: Vec<Vec<Option<usize>>> = shape.iter().map(|length| side(*length)).collect();
    let mut corners = Corners::new(shape, values, sides.clone());
    let room = width.saturating_sub(2 * shape.len()) / (corners.width + 1);
    if let Some((last, length)) = sides.last_mut().zip(shape.last())
        && last.len() > room
    {
        *last = shown(*length, (room.saturating_sub(1) / 2).max(1));
        corners = Corners::new(shape, values, sides);
    }
    corners.text(0, 0, &mut corners.texts.iter())
}

/// The places of a side that are shown; `None` for those left out.
fn shown(length: usize, edge: usize) -> Vec<Option<usize>> {
    if length <= 2 * edge {
        return (0..length).map(Some).collect();
    }
    let (head, tail) = ((0..edge).map(Some), (length - edge..length).map(Some));
    head.chain([None]).chain(tail).collect()
}

struct Corners {
    sides: Vec<Vec<Option<usize>>>,
    /// What is shown, in order.
    texts: Vec<String>,
    /// Of the widest.
    width: usize,
}

impl Corners {
    fn new(shape: &[usize], values: &[f64], sides: Vec<Vec<Option<usize>>>) -> Self {
        let mut places = vec![0];
        for (length, side) in shape.iter().zip(&sides) {
            let inside = |place: &usize| {
                let place = *place;
                side.iter().flatten().map(move |at| place * length + at)
            };
            places = places.iter().flat_map(inside).collect();
        }
        let shown: Vec<f64> = places.into_iter().map(|place| values[place]).collect();
        let texts = format_column(&shown, 4);
        let width = texts.iter().map(String::len).max().unwrap_or(0);
        Self {
            sides,
            texts,
            width,
        }
    }

    /// What is shown from the side `depth` on, `indent` columns from the left.
    fn text<'a>(
        &self,
        depth: usize,
        indent: usize,
        texts: &mut impl Iterator<Item = &'a String>,
    ) -> String {
        let Some(side) = self.sides.get(depth) else {
            let text = texts.next().map_or("", String::as_str);
            return format!("{text:>0$}", self.width);
        };
        let last = depth + 1 == self.sides.len();
        let part = |place: &Option<usize>| match place {
            Some(_) => self.text(depth + 1, indent + 1, texts),
            None => "…".to_owned(),
        };
        let parts: Vec<String> = side.iter().map(part).collect();
        let between = match last {
            true => " ".to_owned(),
            // An empty line between matrices.
            false => {
                let lines = (self.sides.len() - depth - 1).min(2);
                format!("{}{}", "\n".repeat(lines), " ".repeat(indent + 1))
            }
        };
        format!("[{}]", parts.join(&between))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_in_a_line() {
        let check = |values: &[f64], expected: &str| {
            let stats = Stats::of_values(values.iter().copied());
            assert_eq!(stats_line("fp32", &[values.len()], &stats), expected);
        };
        check(&[1.0, 3.0], "fp32 [2]  min 1  max 3  mean 2  std 1");
        check(
            &[1.0, f64::NAN, f64::INFINITY],
            "fp32 [3]  min 1  max 1  mean 1  std 0  NaN 1  Inf 1",
        );
        check(&[f64::NAN], "fp32 [1]  NaN 1");
        check(&[], "fp32 [0]");
    }

    #[test]
    fn small_ones_are_shown_in_full() {
        let check = |shape: &[usize], values: &[f64], expected: &str| {
            assert_eq!(corners(shape, values, 80), expected);
        };
        check(&[], &[1.5], "1.500");
        check(&[0, 3], &[], "[]");
        check(&[3], &[1.0, -20.0, 3.0], "[  1 -20   3]");
        check(
            &[2, 2],
            &[0.5, f64::NAN, -1.25, 2.0],
            "[[ 0.500    nan]\n [-1.250  2.000]]",
        );
        check(&[2, 1, 2], &[1.0, 2.0, 3.0, 4.0], "[[[1 2]]\n\n [[3 4]]]");
    }

    #[test]
    fn large_ones_by_their_corners() {
        let values: Vec<f64> = (0..200).map(f64::from).collect();
        assert_eq!(
            corners(&[10, 20], &values, 80),
            "[[  0   1   2 …  17  18  19]\n [ 20  21  22 …  37  38  39]\n [ 40  41  42 …  57  58  59]\n \
             …\n [140 141 142 … 157 158 159]\n [160 161 162 … 177 178 179]\n [180 181 182 … 197 198 199]]"
        );
        assert_eq!(corners(&[200], &values, 80), "[  0   1   2 … 197 198 199]");
        assert_eq!(
            corners(&[2, 100], &values, 20),
            "[[  0 …  99]\n [100 … 199]]"
        );
        assert_eq!(
            corners(&[20], &values[..20], 30),
            "[ 0  1  2  3 … 16 17 18 19]"
        );
    }
}
