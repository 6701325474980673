//! Colours: of series, and of numbers on a heat map.

/// Red, green, blue.
pub(super) type Rgb = [u8; 3];

/// Okabe–Ito colours without yellow and with a brighter blue: told apart by colour-blind readers, visible on
/// white and on black.
pub(super) const SERIES: [Rgb; 6] = [
    [36, 134, 201],
    [213, 94, 0],
    [0, 158, 115],
    [204, 121, 167],
    [230, 159, 0],
    [86, 180, 233],
];

/// Matplotlib's viridis at equal distances.
const VIRIDIS: [Rgb; 9] = [
    [68, 1, 84],
    [71, 45, 123],
    [59, 82, 139],
    [44, 114, 142],
    [33, 145, 140],
    [40, 174, 128],
    [94, 201, 98],
    [173, 220, 48],
    [253, 231, 37],
];

/// ColorBrewer's RdBu, from blue over white to red.
const BLUE_RED: [Rgb; 7] = [
    [33, 102, 172],
    [103, 169, 207],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [239, 138, 98],
    [178, 24, 43],
];

/// From a number to its colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    colours: &'static [Rgb],
}

impl Scale {
    /// From blue over white at 0 to red for a range on both sides of 0, else from dark to bright.
    pub fn new(low: f64, high: f64) -> Self {
        match low < 0.0 && high > 0.0 {
            true => Self {
                low: -high.max(-low),
                high: high.max(-low),
                colours: &BLUE_RED,
            },
            false => Self {
                low,
                high,
                colours: &VIRIDIS,
            },
        }
    }

    /// Whether 0 is in the middle.
    pub fn has_sign(&self) -> bool {
        self.low < 0.0 && self.high > 0.0
    }

    /// Between 0 and 1; `None` for a number that is not one.
    pub fn fraction(&self, value: f64) -> Option<f64> {
        let range = self.high - self.low;
        let fraction = match range > 0.0 {
            true => (value - self.low) / range,
            false => 0.5,
        };
        (!value.is_nan()).then(|| fraction.clamp(0.0, 1.0))
    }

    /// The colour at a fraction of the range.
    pub fn colour(&self, fraction: f64) -> Rgb {
        let place = fraction.clamp(0.0, 1.0) * (self.colours.len() - 1) as f64;
        let below = (place as usize).min(self.colours.len() - 2);
        let (from, to) = (self.colours[below], self.colours[below + 1]);
        let share = place - below as f64;
        std::array::from_fn(|i| {
            let (from, to) = (f64::from(from[i]), f64::from(to[i]));
            (from + share * (to - from)).round() as u8
        })
    }
}

/// The nearest of the 6 × 6 × 6 cube in the 256-colour palette.
pub(super) fn palette(colour: Rgb) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |value: u8| {
        let distance = |level: &usize| LEVELS[*level].abs_diff(value);
        (0..LEVELS.len()).min_by_key(distance).unwrap_or(0) as u8
    };
    let [red, green, blue] = colour.map(nearest);
    16 + 36 * red + 6 * green + blue
}

pub(super) fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_around_zero_has_white_there() {
        let scale = Scale::new(-1.0, 3.0);
        assert_eq!((scale.low, scale.high), (-3.0, 3.0));
        assert_eq!(scale.fraction(0.0), Some(0.5));
        assert_eq!(scale.colour(0.5), [247, 247, 247]);
        assert_eq!(scale.colour(1.0), [178, 24, 43]);
        let scale = Scale::new(0.0, 1.0);
        assert_eq!(scale.colour(0.0), [68, 1, 84]);
        assert_eq!(scale.colour(2.0), [253, 231, 37]);
        assert_eq!(scale.fraction(f64::NAN), None);
        assert_eq!(Scale::new(1.0, 1.0).fraction(1.0), Some(0.5));
    }

    #[test]
    fn the_palette_has_the_corners() {
        assert_eq!(palette([0, 0, 0]), 16);
        assert_eq!(palette([255, 255, 255]), 231);
        assert_eq!(palette([250, 3, 100]), 16 + 36 * 5 + 1);
    }
}
