//! Which extents an array of a function may have, axis by axis.

use crate::diag::Result;
use crate::fail;
use crate::package::{Feature, FeatureKind, Flexibility};

/// What an unbounded extent is taken for.
pub const UNBOUNDED: usize = 1 << 20;

/// The extents that an axis allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    pub least: usize,
    pub most: usize,
    /// The only ones allowed, ascending; none: all between the bounds.
    listed: Vec<usize>,
}

impl Bounds {
    pub fn range(least: usize, most: usize) -> Self {
        Self {
            least,
            most,
            listed: Vec::new(),
        }
    }

    fn listed(mut extents: Vec<usize>) -> Self {
        extents.sort_unstable();
        extents.dedup();
        Self {
            least: extents.first().copied().unwrap_or(1),
            most: extents.last().copied().unwrap_or(1),
            listed: extents,
        }
    }

    /// The one extent that is allowed.
    pub fn fixed(&self) -> Option<usize> {
        (self.least == self.most).then_some(self.most)
    }

    /// Whether nobody said how large it may be.
    pub fn unbounded(&self) -> bool {
        self.most >= UNBOUNDED
    }

    pub fn allows(&self, extent: usize) -> bool {
        self.nearest(extent) == extent
    }

    /// The smallest that is not below `extent`, else the largest.
    pub fn nearest(&self, extent: usize) -> usize {
        let listed = self.listed.iter().copied().find(|n| *n >= extent);
        match self.listed.is_empty() {
            true => extent.clamp(self.least, self.most),
            false => listed.unwrap_or(self.most),
        }
    }

    /// The largest that is not above `extent`.
    pub fn within(&self, extent: usize) -> Option<usize> {
        match self.listed.is_empty() {
            true => (extent >= self.least).then(|| extent.min(self.most)),
            false => self.listed.iter().rev().copied().find(|n| *n <= extent),
        }
    }
}

/// The bounds of each axis of an input or state.
pub fn bounds(feature: &Feature) -> Result<Vec<Bounds>> {
    let FeatureKind::Array {
        shape, flexibility, ..
    } = &feature.kind
    else {
        fail!("\"{}\" is not an array", feature.name);
    };
    Ok(match flexibility {
        Flexibility::Fixed => shape.iter().map(|n| Bounds::range(*n, *n)).collect(),
        Flexibility::Ranges(ranges) => ranges
            .iter()
            .map(|(low, high)| Bounds::range(*low, high.unwrap_or(UNBOUNDED)))
            .collect(),
        Flexibility::Enumerated(shapes) => {
            let extent = |i: usize| shapes.iter().filter_map(move |s| s.get(i).copied());
            (0..shape.len())
                .map(|i| Bounds::listed(extent(i).collect()))
                .collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_found_within_their_bounds() {
        let ranged = Bounds::range(2, 8);
        let listed = Bounds::listed(vec![64, 1, 16]);
        for (bounds, asked, nearest, within) in [
            (&ranged, 1, 2, None),
            (&ranged, 5, 5, Some(5)),
            (&ranged, 9, 8, Some(8)),
            (&listed, 2, 16, Some(1)),
            (&listed, 64, 64, Some(64)),
            (&listed, 70, 64, Some(64)),
        ] {
            assert_eq!(bounds.nearest(asked), nearest, "{asked}");
            assert_eq!(bounds.within(asked), within, "{asked}");
        }
        assert_eq!(
            (ranged.fixed(), Bounds::range(3, 3).fixed()),
            (None, Some(3))
        );
        assert!(listed.allows(16) && !listed.allows(17));
    }
}
