//! What encoders and classifiers tell of whole texts.

use rhai::{Array, Dynamic};

use super::models::Model;
use crate::diag::{Error, Result};
use crate::host::{Call, Kind, Topic, method};
use crate::models::text_outputs;

pub(super) const TOPIC: Topic = Topic {
    name: "encoders",
    summary: "Encoders, classifiers and reward models: what they tell of whole texts.",
    functions: || {
        vec![
            method::<Model>("scores", "The logits of the classes of each text, as a classifier or reward model gives them.")
                .param("texts", Kind::Array, "The texts.")
                .returns("array")
                .details("One array of numbers for each text. The model gives `logits` [batch, classes], as `convert` makes it of a …ForSequenceClassification.")
                .example("try { load(\"embedded:student\").scores([\"tea\"]) } catch { print(\"not a classifier\") }", "not a classifier")
                .run(|call| each(call, "logits")),
            method::<Model>("embeddings", "The mean of an encoder's last states over each text.")
                .param("texts", Kind::Array, "The texts.")
                .returns("array")
                .details("One array of numbers for each text. The model gives `embedding` [batch, hidden], as `convert` makes it of BERT, MiniLM or ModernBERT.")
                .example("try { load(\"embedded:student\").embeddings([\"tea\"]) } catch { print(\"not an encoder\") }", "not an encoder")
                .run(|call| each(call, "embedding")),
        ]
    },
    types: Vec::new,
};

/// The vector `output` of each text.
fn each(call: &mut Call, output: &str) -> Result<Array> {
    let texts: Vec<String> = call.get("texts")?;
    let model = call.receiver::<Model>()?.0;
    let mut vectors = Array::new();
    for text in texts {
        call.host.check()?;
        let ids = model.tokenizer()?.encode(&text, true)?;
        let outputs = text_outputs(&model, &ids)?;
        let found = outputs.get(output).filter(|array| array.shape().len() == 1);
        let Some(vector) = found else {
            let message = format!("\"{}\" gives no \"{output}\" of a whole text", model.name());
            return Err(Error::new(message));
        };
        let numbers = vector.to_f64s().into_iter().map(Dynamic::from);
        vectors.push(numbers.collect::<Array>().into());
    }
    Ok(vectors)
}
