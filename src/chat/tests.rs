//! The same conversations through the same templates as transformers renders them.
//!
//! `tests/fixtures/chat`: templates in the manner of ten families, and `cases.json`, made from them by
//! `cases.py` with transformers 4.51.3 and Jinja 3.1.6.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::{Clock, Conversation, Encoded, Template};
use crate::tokenizer::{Tokenizer, train_bpe};

/// 2025-03-09 08:05:01, which `cases.py` takes for now.
const NOW: Clock = Clock(1_741_507_501);

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chat");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

fn list(case: &Json, key: &str) -> Vec<Json> {
    case[key].as_array().cloned().unwrap_or_default()
}

fn conversation(case: &Json) -> Conversation {
    Conversation {
        messages: list(case, "messages"),
        tools: list(case, "tools"),
        add_generation_prompt: case["prompt"].as_bool().unwrap(),
        variables: case["variables"].as_object().cloned().unwrap_or_default(),
        now: NOW,
    }
}

fn template(source: &str) -> Template {
    let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")];
    let tokens = tokens.map(|(name, token)| (name.to_owned(), token.to_owned()));
    Template::new(source, BTreeMap::from(tokens)).unwrap()
}

fn check(case: &Json) -> Result<(), String> {
    let template = template(&fixture(&format!(
        "{}.jinja",
        case["template"].as_str().unwrap()
    )));
    let rendered = template.render(&conversation(case));
    let rendered = match (rendered, case["error"].as_str()) {
        (Err(_), Some(_)) => return Ok(()),
        (Err(error), None) => return Err(error.to_string()),
        (Ok(rendered), Some(error)) => return Err(format!("{rendered:?}\nexpected {error}")),
        (Ok(rendered), None) => rendered,
    };
    if rendered.text != case["text"].as_str().unwrap() {
        return Err(format!("{:?}\nexpected {}", rendered.text, case["text"]));
    }
    let generated = rendered.generated.map(|ranges| {
        let texts = ranges
            .into_iter()
            .map(|range| Json::from(&rendered.text[range]));
        texts.collect::<Vec<Json>>()
    });
    match generated.as_ref() == case["generated"].as_array() {
        true => Ok(()),
        false => Err(format!("{generated:?}\nexpected {}", case["generated"])),
    }
}

#[test]
fn templates_render_as_in_python() {
    let cases: Vec<Json> = serde_json::from_str(&fixture("cases.json")).unwrap();
    assert!(cases.len() >= 70);
    let mut wrong = Vec::new();
    for case in &cases {
        if let Err(error) = check(case) {
            wrong.push(format!("{}, {}:\n{error}", case["template"], case["case"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_a_template_refuses_is_told_in_its_words() {
    let conversation = Conversation::default();
    let refused = |source: &str| {
        template(source)
            .render(&conversation)
            .unwrap_err()
            .to_string()
    };
    let error = refused("a\n{{ raise_exception('roles must alternate') }}");
    assert_eq!(
        error,
        "the chat template says: roles must alternate (line 2 of the template)"
    );
    let broken = Template::new("{% if %}", BTreeMap::new()).unwrap_err();
    assert!(
        broken.to_string().contains("line 1 of the template"),
        "{broken}"
    );
}

#[test]
fn marks_can_t_be_smuggled_in() {
    let mut conversation = Conversation::default();
    let message = json!({ "role": "user", "content": "\u{FDD0}" });
    conversation.messages.push(message);
    assert!(
        template("{{ messages[0].content }}")
            .render(&conversation)
            .is_err()
    );
}

#[test]
fn smollm2_is_asked_in_its_own_words() {
    let Ok(models) = std::env::var("RLAIF_MODELS") else {
        eprintln!("skipped: set RLAIF_MODELS to the folder of reference models");
        return;
    };
    let folder = Path::new(&models).join("smollm2-135m");
    let tokenizer = Tokenizer::load(&folder).unwrap();
    let source = tokenizer.chat_template().unwrap();
    let template = Template::new(source, tokenizer.special_tokens()).unwrap();
    let reference = std::fs::read_to_string(folder.join("reference.json")).unwrap();
    let reference: Json = serde_json::from_str(&reference).unwrap();
    let asked = &reference["greedy"][0];
    let message = json!({ "role": "user", "content": "What is the capital of France?" });
    let conversation = Conversation {
        messages: vec![message],
        add_generation_prompt: true,
        ..Conversation::default()
    };
    let rendered = template.render(&conversation).unwrap();
    assert_eq!(rendered.text, asked["prompt"].as_str().unwrap());
    let ids: Vec<u32> = serde_json::from_value(asked["prompt_ids"].clone()).unwrap();
    assert_eq!(
        rendered.encode(&tokenizer).unwrap(),
        Encoded { ids, mask: None }
    );
}

#[test]
fn the_mask_covers_what_the_assistant_wrote() {
    let corpus = "tea is hot and so is the soup here";
    let tokenizer = train_bpe(&[corpus], 300, &["<|end|>"]).unwrap();
    let source = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}\
        {{ m.content }}<|end|>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
    let message = |role: &str, content: &str| json!({ "role": role, "content": content });
    let conversation = Conversation {
        messages: vec![
            message("user", "is tea hot?"),
            message("assistant", "tea is hot"),
            message("user", "so"),
        ],
        ..Conversation::default()
    };
    let encoded = template(source)
        .render(&conversation)
        .unwrap()
        .encode(&tokenizer)
        .unwrap();
    let mask = encoded.mask.unwrap();
    let kept: Vec<u32> = encoded
        .ids
        .iter()
        .zip(&mask)
        .filter(|(_, kept)| **kept)
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(tokenizer.decode(&kept, false).unwrap(), "tea is hot<|end|>");
}
