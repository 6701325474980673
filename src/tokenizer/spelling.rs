//! How a vocabulary spells bytes.

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// GPT-2's: every byte is a printable character, a space is `Ġ`.
    ByteLevel,
    /// SentencePiece's: a space is `▁`, a lone byte `<0x0A>`.
    Metaspace,
    /// The text itself.
    Plain,
}

impl Spelling {
    /// From the decoder and pre-tokenizer of a `tokenizer.json`.
    pub fn of(json: &Value) -> Self {
        let parts = || {
            ["decoder", "pre_tokenizer"]
                .into_iter()
                .filter_map(|key| json.get(key))
        };
        if parts().any(|part| mentions(part, "ByteLevel")) {
            Self::ByteLevel
        } else if parts().any(|part| {
            mentions(part, "Metaspace") || mentions(part, "ByteFallback") || mentions(part, "▁")
        }) {
            Self::Metaspace
        } else {
            Self::Plain
        }
    }

    /// The bytes of a token of the model's own vocabulary.
    pub fn bytes(self, token: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel => {
                let bytes: Option<Vec<u8>> = token.chars().map(byte_level).collect();
                bytes.unwrap_or_else(|| token.as_bytes().to_vec())
            }
            Self::Metaspace => match lone_byte(token) {
                Some(byte) => vec![byte],
                None => token.replace('▁', " ").into_bytes(),
            },
            Self::Plain => token.as_bytes().to_vec(),
        }
    }
}

fn mentions(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text == word,
        Value::Array(items) => items.iter().any(|item| mentions(item, word)),
        Value::Object(fields) => fields.values().any(|field| mentions(field, word)),
        _ => false,
    }
}

/// The byte behind a character of GPT-2's `bytes_to_unicode`: printable Latin-1 stands for itself, the
/// others are numbered from U+0100.
fn byte_level(c: char) -> Option<u8> {
    let itself = |b: &u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let code = u32::from(c);
    match u8::try_from(code) {
        Ok(byte) => Some(byte).filter(itself),
        Err(_) => (0..=255u8)
            .filter(|b| !itself(b))
            .nth(usize::try_from(code.checked_sub(0x100)?).ok()?),
    }
}

/// `<0x0A>`.
fn lone_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16)
        .ok()
        .filter(|_| digits.len() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spellings_are_recognised() {
        let check = |json: Value, expected| assert_eq!(Spelling::of(&json), expected);
        check(
            json!({ "decoder": { "type": "ByteLevel" } }),
            Spelling::ByteLevel,
        );
        check(
            json!({ "decoder": { "type": "Sequence", "decoders": [
                { "type": "Replace", "pattern": { "String": "▁" }, "content": " " },
                { "type": "ByteFallback" }
            ] } }),
            Spelling::Metaspace,
        );
        check(json!({ "decoder": null }), Spelling::Plain);
    }

    #[test]
    fn bytes_of_tokens() {
        let check = |spelling: Spelling, token: &str, expected: &[u8]| {
            assert_eq!(spelling.bytes(token), expected, "{token}");
        };
        check(Spelling::ByteLevel, "Ġthe", b" the");
        check(Spelling::ByteLevel, "Ċ", b"\n");
        check(Spelling::ByteLevel, "Ã©", "é".as_bytes());
        check(Spelling::ByteLevel, "Ń", b"\xad");
        check(Spelling::Metaspace, "▁the", b" the");
        check(Spelling::Metaspace, "<0x0A>", b"\n");
        check(Spelling::Plain, "the", b"the");
    }
}
