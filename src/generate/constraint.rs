//! What a completion must be, and which tokens keep it possible.
//!
//! An automaton reads the bytes that tokens write. A token is allowed if some way to a match is left after
//! it; a token need not be whole characters. End of sequence is allowed where what came matches.

use std::collections::HashMap;
use std::sync::Arc;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::hybrid::{CacheError, LazyStateID};
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};

use super::mask::Mask;
use crate::diag::{Error, Result};
use crate::tokenizer::Vocabulary;

/// What a completion must be, from its first to its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// One of these texts.
    Choices(Vec<String>),
    /// A text that matches this regular expression (the syntax of the `regex` crate).
    Pattern(String),
}

impl Constraint {
    fn pattern(&self) -> String {
        match self {
            Self::Pattern(pattern) => pattern.clone(),
            Self::Choices(texts) => {
                let exact = |c: char| format!("\\x{{{:x}}}", u32::from(c));
                let texts = texts.iter().map(|text| text.chars().map(exact).collect());
                texts.collect::<Vec<String>>().join("|")
            }
        }
    }
}

/// Bytes that the states of one automaton may take.
const ROOM: usize = 128 << 20;

/// A constraint over a vocabulary. States and their tokens are found when they are first asked for.
pub(super) struct Automaton {
    dfa: DFA,
    cache: Cache,
    vocabulary: Arc<Vocabulary>,
    /// Ids that write something, in the order of their bytes: neighbours share beginnings.
    order: Vec<u32>,
    eos: Vec<u32>,
    next: HashMap<LazyStateID, Arc<Next>>,
}

/// What may follow a state.
pub(super) struct Next {
    /// With the end-of-sequence tokens where the text matches.
    pub tokens: Mask,
    /// Whether the text so far is whole.
    pub matches: bool,
}

impl Automaton {
    pub fn new(constraint: &Constraint, vocabulary: &Arc<Vocabulary>, eos: &[u32]) -> Result<Self> {
        if *constraint == Constraint::Choices(Vec::new()) {
            return Err(Error::new("there is nothing to choose from"));
        }
        let config = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(ROOM)
            .minimum_cache_clear_count(Some(0));
        let dfa = DFA::builder()
            .configure(config)
            .build(&constraint.pattern());
        let dfa = dfa.map_err(|error| unusable(&error))?;
        let ids = 0..vocabulary.size() as u32;
        let mut order: Vec<u32> = ids
            .filter(|id| !vocabulary.piece(*id).is_empty() && !eos.contains(id))
            .collect();
        order.sort_by_key(|id| vocabulary.piece(*id));
        Ok(Self {
            cache: dfa.create_cache(),
            dfa,
            vocabulary: vocabulary.clone(),
            order,
            eos: eos.to_vec(),
            next: HashMap::new(),
        })
    }

    /// The state before the first token.
    pub fn start(&mut self) -> Result<LazyStateID> {
        let config = start::Config::new().anchored(Anchored::Yes);
        let state = self.dfa.start_state(&mut self.cache, &config);
        state.map_err(|error| Error::new(error.to_string()))
    }

    /// The state after a token.
    pub fn advance(&mut self, state: LazyStateID, id: u32) -> Result<LazyStateID> {
        let Self {
            dfa,
            cache,
            vocabulary,
            ..
        } = self;
        let mut bytes = vocabulary.piece(id).iter();
        let end = bytes.try_fold(state, |state, byte| dfa.next_state(cache, state, *byte));
        end.map_err(full)
    }

    /// What may follow a state.
    pub fn next(&mut self, state: LazyStateID) -> Result<Arc<Next>> {
        if let Some(next) = self.next.get(&state) {
            return Ok(next.clone());
        }
        let matches = self.matches(state).map_err(full)?;
        let mut tokens = self.walk(state).map_err(full)?;
        if matches {
            self.eos.iter().for_each(|id| tokens.insert(*id));
        }
        let next = Arc::new(Next { tokens, matches });
        self.next.insert(state, next.clone());
        Ok(next)
    }

    /// The tokens after which a match is still possible.
    fn walk(&mut self, from: LazyStateID) -> Result<Mask, CacheError> {
        let vocabulary = self.vocabulary.clone();
        let mut allowed = Mask::default();
        // The states after each byte of the token before, up to the one that fails.
        let mut path = vec![from];
        let mut before: &[u8] = &[];
        for at in 0..self.order.len() {
            let id = self.order[at];
            let piece = vocabulary.piece(id);
            let same = before.iter().zip(piece).take_while(|(a, b)| a == b).count();
            if same >= path.len() {
                continue;
            }
            path.truncate(same + 1);
            before = piece;
            for byte in &piece[same..] {
                let state = self
                    .dfa
                    .next_state(&mut self.cache, path[path.len() - 1], *byte)?;
                if !self.lives(state)? {
                    break;
                }
                path.push(state);
            }
            if path.len() > piece.len() {
                allowed.insert(id);
            }
        }
        Ok(allowed)
    }

    fn matches(&mut self, state: LazyStateID) -> Result<bool, CacheError> {
        let end = self.dfa.next_eoi_state(&mut self.cache, state)?;
        Ok(end.is_match())
    }

    /// Whether a match is still possible. An automaton of `regex-automata` tells a match one byte late, so
    /// a state that tells one may have nothing after it.
    fn lives(&mut self, state: LazyStateID) -> Result<bool, CacheError> {
        if !state.is_match() || self.matches(state)? {
            return Ok(!state.is_dead());
        }
        for byte in 0..=255 {
            if !self.dfa.next_state(&mut self.cache, state, byte)?.is_dead() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn full(_: CacheError) -> Error {
    Error::new("the pattern needs too many states")
        .hint("bound its repetitions lower, or use classes of fewer characters")
}

/// The innermost reason: the outer ones say only that building failed.
fn unusable(error: &regex_automata::hybrid::BuildError) -> Error {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    let reason = reason.to_string();
    let last = reason.lines().last().unwrap_or_default();
    let last = last.trim_start_matches("error: ");
    Error::new(format!("the pattern can't be used: {last}"))
}
