//! How a value depends on the tokens of a sequence, and how a step is run on a window of it.

use crate::engine::portable::value::Value;

/// What is known of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// No token reaches it.
    Fixed,
    /// What stands at `t` of `axis` depends on the tokens up to `t`, and is computed without its
    /// neighbours.
    Rows { axis: usize },
    /// What stands at (`row`, `key`) relates the position `row` to the position `key`.
    Scores { row: usize, key: usize },
}

/// Where a value that no token reaches comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    Slot(usize),
    Literal(Value),
}

/// What an argument is given when the step runs on a window.
#[derive(Debug, Clone)]
pub enum Feed {
    /// All of it.
    Whole(Origin),
    /// Its entries at the window's positions.
    At { origin: Origin, axis: usize },
    /// Its rows at the positions of one sequence's tokens, its columns at those of the history.
    Square {
        origin: Origin,
        row: Option<usize>,
        key: Option<usize>,
    },
    /// The window's rows.
    Rows { slot: usize, axis: usize },
    /// All rows that one sequence has so far.
    Keys { slot: usize, axis: usize },
    /// The scores of one sequence.
    Scores { slot: usize },
    /// Integers with the number of the window's rows, or that of the history, in their places.
    Ints {
        ints: Vec<i64>,
        rows: Option<usize>,
        keys: Option<usize>,
    },
}

/// The feeds of one parameter.
#[derive(Debug, Clone)]
pub enum Feeds {
    One(Feed),
    Many(Vec<Feed>),
}

impl Feeds {
    pub fn iter(&self) -> impl Iterator<Item = &Feed> {
        match self {
            Feeds::One(feed) => std::slice::from_ref(feed),
            Feeds::Many(feeds) => feeds,
        }
        .iter()
    }
}

/// What has to be shown of the scores that a step makes or takes, so that no position sees a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// There are none.
    None,
    /// They are made here.
    Starts,
    /// They are changed one by one.
    Carries,
    /// They become weights: what belongs to later positions must vanish.
    Normalises,
    /// They are weights that meet the values: those of later positions must be 0.
    Weighs,
    /// They are made, masked and used inside the operation.
    Masks,
}

/// How a step runs on a window.
#[derive(Debug, Clone)]
pub struct Way {
    pub feeds: Vec<(String, Feeds)>,
    /// Whether it runs for each sequence by itself.
    pub split: bool,
    /// What its results are.
    pub tags: Vec<Tag>,
    pub proof: Proof,
}

impl Way {
    /// Replaces what a parameter is given, or adds a parameter.
    pub fn set(&mut self, name: &str, feed: Feed) {
        let feeds = Feeds::One(feed);
        match self.feeds.iter_mut().find(|(own, _)| own == name) {
            Some((_, own)) => *own = feeds,
            None => self.feeds.push((name.to_owned(), feeds)),
        }
    }

    pub fn each(&self) -> impl Iterator<Item = &Feed> {
        self.feeds.iter().flat_map(|(_, feeds)| feeds.iter())
    }
}
