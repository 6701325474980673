//! What a rule sees of a step: its arguments with what is known of them.

use super::way::{Feed, Feeds, Origin, Proof, Tag, Way};
use crate::diag::{Context, Result};
use crate::engine::portable::ops::shapes;
use crate::engine::portable::value::Value;
use crate::fail;

/// An argument, at the full length.
#[derive(Debug, Clone)]
pub struct Operand {
    pub origin: Origin,
    pub tag: Tag,
    pub shape: Vec<usize>,
    /// The value, if no token reaches it.
    pub value: Option<Value>,
}

/// A step under analysis.
pub struct Sight<'a> {
    pub opset: u32,
    /// Parameter, whether it takes several values, and those.
    pub args: Vec<(&'a str, bool, Vec<Operand>)>,
    /// How many results there are.
    pub results: usize,
    /// The length that the program runs at.
    pub capacity: usize,
    /// The axis of the softmax that follows, where one does.
    pub softmax: Option<i64>,
}

impl Operand {
    /// The way an argument is given by default.
    pub fn feed(&self) -> Feed {
        match (&self.origin, self.tag) {
            (Origin::Slot(slot), Tag::Rows { axis }) => Feed::Rows { slot: *slot, axis },
            (Origin::Slot(slot), Tag::Scores { .. }) => Feed::Scores { slot: *slot },
            _ => Feed::Whole(self.origin.clone()),
        }
    }

    /// All rows that a sequence has so far.
    pub fn keys(&self) -> Result<Feed> {
        match (&self.origin, self.tag) {
            (Origin::Slot(slot), Tag::Rows { axis }) => Ok(Feed::Keys { slot: *slot, axis }),
            _ => fail!("has keys or values that are not rows of positions"),
        }
    }

    /// The positions axis of rows.
    pub fn axis(&self) -> Result<usize> {
        match self.tag {
            Tag::Rows { axis } => Ok(axis),
            Tag::Fixed => fail!("has no positions to follow"),
            Tag::Scores { .. } => fail!("is not known to keep attention scores apart"),
        }
    }

    pub fn is_fixed(&self) -> bool {
        self.tag == Tag::Fixed
    }
}

impl Sight<'_> {
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.args.iter().flat_map(|(_, _, operands)| operands)
    }

    pub fn opt(&self, name: &str) -> Option<&Operand> {
        let (_, _, operands) = self.args.iter().find(|(own, ..)| *own == name)?;
        operands.first()
    }

    pub fn operand(&self, name: &str) -> Result<&Operand> {
        match self.opt(name) {
            Some(operand) => Ok(operand),
            None => fail!("lacks the parameter \"{name}\""),
        }
    }

    pub fn many(&self, name: &str) -> Result<&[Operand]> {
        match self.args.iter().find(|(own, ..)| *own == name) {
            Some((_, _, operands)) => Ok(operands),
            None => fail!("lacks the parameter \"{name}\""),
        }
    }

    /// Integers that no token reaches.
    pub fn opt_ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        let Some((_, _, operands)) = self.args.iter().find(|(own, ..)| *own == name) else {
            return Ok(None);
        };
        let mut ints = Vec::new();
        for operand in operands {
            match &operand.value {
                Some(value) => ints.extend(value.ints().with_context(|| name.to_owned())?),
                None => fail!("takes \"{name}\" from the tokens"),
            }
        }
        Ok(Some(ints))
    }

    pub fn ints(&self, name: &str) -> Result<Vec<i64>> {
        match self.opt_ints(name)? {
            Some(ints) => Ok(ints),
            None => fail!("lacks the parameter \"{name}\""),
        }
    }

    pub fn int_or(&self, name: &str, default: i64) -> Result<i64> {
        let ints = self.opt_ints(name)?;
        Ok(ints.and_then(|i| i.first().copied()).unwrap_or(default))
    }

    pub fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.int_or(name, 0)? != 0)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        match self.opt(name)?.value.as_ref()? {
            Value::Texts(texts) => texts.first().cloned(),
            _ => None,
        }
    }

    /// The parameter `axis` for a tensor of `rank` axes.
    pub fn axis_or(&self, default: i64, rank: usize) -> Result<usize> {
        shapes::axis(self.int_or("axis", default)?, rank)
    }

    /// Every argument as it comes; all results are of one kind.
    pub fn way(&self, tag: Tag) -> Way {
        let feeds = self.args.iter().map(|(name, several, operands)| {
            let mut feeds: Vec<Feed> = operands.iter().map(Operand::feed).collect();
            let feeds = match *several {
                true => Feeds::Many(feeds),
                false => Feeds::One(feeds.remove(0)),
            };
            ((*name).to_owned(), feeds)
        });
        Way {
            feeds: feeds.collect(),
            split: false,
            tags: vec![tag; self.results],
            proof: Proof::None,
        }
    }

    /// Every argument as `feed` says.
    pub fn way_of(&self, tag: Tag, mut feed: impl FnMut(&Operand) -> Result<Feed>) -> Result<Way> {
        let mut way = self.way(tag);
        for ((_, feeds), (_, _, operands)) in way.feeds.iter_mut().zip(&self.args) {
            let mut made: Vec<Feed> = operands.iter().map(&mut feed).collect::<Result<_>>()?;
            *feeds = match feeds {
                Feeds::Many(_) => Feeds::Many(made),
                Feeds::One(_) => Feeds::One(made.remove(0)),
            };
        }
        Ok(way)
    }
}
