//! Merges that the `tokenizers` crate would panic over.

use serde_json::Value;

use crate::diag::Result;
use crate::fail;

/// Fails on a merge whose result can't be a token: the crate builds it in a buffer as long as the longest
/// token, and takes the right part's prefix for granted.
pub(super) fn check(json: &Value) -> Result<()> {
    let model = &json["model"];
    let (Some(vocab), Some(merges)) = (model["vocab"].as_object(), model["merges"].as_array())
    else {
        return Ok(());
    };
    let longest = vocab.keys().map(String::len).max().unwrap_or(0);
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or("");
    for merge in merges {
        let Some((left, right)) = parts(merge) else {
            fail!("not a tokenizer.json: the merge {merge} is no pair");
        };
        match right.len().checked_sub(prefix.len()) {
            Some(rest) if left.len() + rest <= longest => {}
            _ => fail!("not a tokenizer.json: the merge {merge} gives no token"),
        }
    }
    Ok(())
}

/// A merge is `["a", "b"]` or, as of old, `"a b"`.
fn parts(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(text) => text.split_once(' '),
        Value::Array(pair) => match pair.as_slice() {
            [left, right] => Some((left.as_str()?, right.as_str()?)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merges_that_give_no_token() {
        let check = |merge: Value, prefix: Value, good: bool| {
            let vocab = json!({ "a": 0, "b": 1, "##b": 2, "ab": 3 });
            let model =
                json!({ "vocab": vocab, "merges": [merge], "continuing_subword_prefix": prefix });
            let got = super::check(&json!({ "model": model }));
            assert_eq!(got.is_ok(), good, "{merge} {prefix}");
        };
        check(json!("a b"), Value::Null, true);
        check(json!(["a", "b"]), Value::Null, true);
        check(json!(["a", "##b"]), json!("##"), true);
        check(json!(["ab", "ab"]), Value::Null, false);
        check(json!(["a", "b"]), json!("##"), false);
        check(json!(["a"]), Value::Null, false);
        check(json!("ab"), Value::Null, false);
    }
}
