//! Byte-level BPE trained on a few texts: small vocabularies for small models and tests.

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerImpl, models::TrainerWrapper};

use super::{Tokenizer, foreign};
use crate::diag::{Error, Result};
use crate::fail;

/// Bytes are always in the vocabulary, so any text can be encoded.
const BYTES: usize = 256;

/// Trains a byte-level BPE of at most `vocab_size` tokens, `specials` first (ids 0, 1, …).
///
/// The same texts give the same `tokenizer.json`, byte for byte, in any order of the texts.
pub fn train_bpe(texts: &[&str], vocab_size: usize, specials: &[&str]) -> Result<Tokenizer> {
    let least = BYTES + specials.len();
    if vocab_size < least {
        fail!(
            "a vocabulary of {vocab_size} can't hold {BYTES} bytes and {} special tokens",
            specials.len()
        );
    }
    let special = |name: &&str| AddedToken::from(*name, true);
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocab_size)
        .min_frequency(2)
        .special_tokens(specials.iter().map(special).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut inner = tokenizers::Tokenizer::new(BPE::default());
    inner.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
    inner.with_decoder(Some(ByteLevel::new(false, false, true)));
    let mut trainer = TrainerWrapper::from(trainer);
    inner.train(&mut trainer, texts.iter()).map_err(foreign)?;
    let json = TokenizerImpl::to_string(&inner, false).map_err(foreign)?;
    let json = serde_json::from_str(&json).map_err(|e| Error::new(e.to_string()))?;
    Tokenizer::wrap(inner, &json)
}
