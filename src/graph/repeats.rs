//! Repeated structure: the same operations in the same order, several times in a row.

/// Shorter repetitions are no layers.
const PERIOD_MIN: usize = 4;

/// Stretches of `ops` that repeat, as (start, period, count), none over another. A repetition may be cut
/// at any place of its period: it is cut where the fewest values cross, if at least two periods are left.
pub(super) fn find(ops: &[&str], crossing: &[usize]) -> Vec<(usize, usize, usize)> {
    let mut found = Vec::new();
    let mut open = vec![(0, ops.len())];
    while let Some((from, to)) = open.pop() {
        let Some((start, period, length)) = longest(&ops[from..to]) else {
            continue;
        };
        let start = from + start;
        let offsets = 0..=(length - 2 * period).min(period - 1);
        let offset = offsets
            .min_by_key(|offset| crossing[start + offset])
            .unwrap_or(0);
        let count = (length - offset) / period;
        let start = start + offset;
        found.push((start, period, count));
        open.push((from, start));
        open.push((start + count * period, to));
    }
    found
}

/// The (start, period, length) of the stretch that repeats itself after `period` operations and covers
/// the most whole periods, two at least; of several the one of the shortest period.
fn longest(ops: &[&str]) -> Option<(usize, usize, usize)> {
    let mut best = None;
    let mut most = 0;
    for period in PERIOD_MIN..=ops.len() / 2 {
        let mut start = 0;
        while start + period < ops.len() {
            let pairs = start..ops.len() - period;
            let equal = pairs.take_while(|i| ops[*i] == ops[i + period]).count();
            let covered = (equal / period + 1) * period;
            if equal >= period && covered > most {
                most = covered;
                best = Some((start, period, equal + period));
            }
            start += equal + 1;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ops: &str, crossing: &[usize], expected: &[(usize, usize, usize)]) {
        let ops: Vec<&str> = ops.split("").filter(|op| !op.is_empty()).collect();
        let mut flat = vec![1; ops.len() + 1];
        flat[..crossing.len()].copy_from_slice(crossing);
        let mut found = find(&ops, &flat);
        found.sort_unstable();
        assert_eq!(found, expected, "{ops:?}");
    }

    #[test]
    fn layers_are_the_shortest_period_of_the_longest_repetition() {
        check("xyabcdabcdabcdz", &[], &[(2, 4, 3)]);
        check("abcdabcd", &[], &[(0, 4, 2)]);
        check("abcabcabc", &[], &[]);
        check("abcdefgh", &[], &[]);
        check("", &[], &[]);
        check("abcdeabcdexpqrstpqrst", &[], &[(0, 5, 2), (11, 5, 2)]);
    }

    #[test]
    fn a_repetition_is_cut_where_the_fewest_values_cross() {
        check("cdabcdabcdabcx", &[9, 2, 1, 2, 2], &[(2, 4, 2)]);
        check("cdabcdabcdabcdx", &[9, 2, 1, 2, 2], &[(2, 4, 3)]);
        check("cdabcdabx", &[9, 2, 1, 2, 2], &[(0, 4, 2)]);
    }
}
