//! How each operation treats the positions of a sequence. What is not listed here ends the analysis.

mod pointwise;
mod products;
mod reducing;
mod shaping;

use super::sight::Sight;
use super::way::Way;
use crate::diag::Result;

type Rule = fn(&Sight) -> Result<Way>;

/// Operations that look at the shape of an argument alone.
pub const OF_SHAPES: [&str; 2] = ["shape", "fill_like"];

/// The rule of an operation that tokens reach.
pub fn find(op: &str) -> Option<Rule> {
    let families: [fn(&str) -> Option<Rule>; 4] = [
        pointwise::rule,
        shaping::rule,
        products::rule,
        reducing::rule,
    ];
    families.iter().find_map(|family| family(op))
}

/// Whether each entry of the result comes from the entries at the same place.
pub fn is_pointwise(op: &str) -> bool {
    op != "rotary" && pointwise::rule(op).is_some()
}
