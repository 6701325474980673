//! Conversations: chat templates, and models that answer.

use std::sync::Arc;

use rhai::{Array, Dynamic, Map};
use serde_json::Value as Json;

use super::models::{Model, ids_to_script, tell};
use super::sampling::{SAMPLING, sampling};
use super::writing::{WRITING, write};
use crate::chat::{Clock, Conversation, Encoded, Rendered, Template};
use crate::diag::{Context as _, Error, Result};
use crate::fail;
use crate::host::{Call, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, method};
use crate::report::{Display, Shades, Tokens, visible_bytes};
use crate::tokenizer::Tokenizer;

pub(super) const TOPIC: Topic = Topic {
    name: "chat",
    summary: "Conversations: chat templates, models that answer.",
    functions,
    types: || {
        vec![
            TypeEntry::of::<ChatTemplate>(),
            TypeEntry::of::<TokenView>(),
        ]
    },
};

/// What models without a template of their own are asked in: the format of SmolLM2 and Qwen.
const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// A chat template with the tokenizer that it writes for.
#[derive(Clone)]
pub(super) struct ChatTemplate {
    template: Arc<Template>,
    tokenizer: Arc<Tokenizer>,
    /// Whether it came with the model.
    own: bool,
}

impl ScriptValue for ChatTemplate {
    const NAME: &'static str = "ChatTemplate";
    const SUMMARY: &'static str = "How a conversation is written as text for a model.";

    fn line(&self) -> String {
        let origin = if self.own {
            "the model's own"
        } else {
            "ChatML"
        };
        format!("ChatTemplate({origin})")
    }
}

/// Tokens of a conversation, shown one by one.
#[derive(Clone)]
pub(super) struct TokenView(Arc<Tokens>);

impl TokenView {
    pub fn new(tokens: Tokens) -> Self {
        Self(Arc::new(tokens))
    }
}

impl ScriptValue for TokenView {
    const NAME: &'static str = "TokenView";
    const SUMMARY: &'static str = "A text token by token; what counts stands out.";

    fn line(&self) -> String {
        format!("TokenView({} tokens)", self.0.items.len())
    }

    fn show(&self) -> Display {
        Display::Tokens((*self.0).clone())
    }
}

const RENDER: &[Key] = &[
    Key::bool(
        "answer",
        false,
        "Whether the text ends where the assistant begins to answer.",
    ),
    Key::optional(
        "tools",
        Kind::Either(&[Kind::Array, Kind::Text]),
        "Function signatures: maps, or JSON text where the order of keys matters.",
    ),
    Key::optional(
        "variables",
        Kind::Map,
        "What else the template reads, such as enable_thinking.",
    ),
];

const MESSAGES: (&str, Kind, &str) = (
    "messages",
    Kind::Either(&[Kind::Text, Kind::Array]),
    "What the user says, or maps with role and content.",
);

fn functions() -> Vec<ScriptFn> {
    let (name, kind, summary) = MESSAGES;
    vec![
        method::<Model>("template", "How conversations are written for the model.")
            .returns("ChatTemplate")
            .details("The template beside the tokenizer; ChatML if there is none.")
            .example("[load(\"embedded:student\").template()]", "[ChatTemplate(ChatML)]")
            .run(|call| template(&call.receiver::<Model>()?)),
        method::<ChatTemplate>("render", "The text of a conversation.")
            .param(name, kind, summary)
            .options(RENDER)
            .returns("string")
            .example(
                "load(\"embedded:student\").template().render([#{role: \"user\", content: \"hi\"}])",
                "`<|im_start|>user\nhi<|im_end|>\n`",
            )
            .run(|call| Ok(rendered(call)?.1.text)),
        method::<ChatTemplate>("encode", "The token ids of a conversation, and which of them the assistant wrote.")
            .param(name, kind, summary)
            .options(RENDER)
            .returns("map")
            .fields(&[
                ("ids", "The tokens."),
                ("mask", "Which of them the assistant wrote; () if the template has no generation blocks."),
            ])
            .example("load(\"embedded:student\").template().encode(\"hi\").ids.len() > 0", "true")
            .run(encode),
        method::<ChatTemplate>("show", "The tokens of a conversation; what the assistant wrote stands out.")
            .param(name, kind, summary)
            .options(RENDER)
            .returns("TokenView")
            .example("type_of(load(\"embedded:student\").template().show(\"hi\"))", "\"TokenView\"")
            .run(show),
        method::<Model>("chat", "The answer to a message or a conversation, greedy unless told otherwise.")
            .param(name, kind, summary)
            .options(SAMPLING)
            .options(WRITING)
            .options(&[Key::text("system", "", "What the system message says.")])
            .returns("string")
            .example("type_of(load(\"embedded:student\").chat(\"hi\", #{max_new_tokens: 1}))", "\"string\"")
            .run(chat),
    ]
}

fn template(model: &Model) -> Result<ChatTemplate> {
    let tokenizer = model.0.tokenizer()?.clone();
    let source = tokenizer.chat_template();
    let template = Template::new(source.unwrap_or(CHATML), tokenizer.special_tokens())?;
    Ok(ChatTemplate {
        template: Arc::new(template),
        own: source.is_some(),
        tokenizer,
    })
}

/// The conversation that the call's arguments tell.
fn conversation(call: &Call, add_generation_prompt: bool) -> Result<Conversation> {
    let messages = match call.get::<String>("messages") {
        Ok(text) => vec![serde_json::json!({ "role": "user", "content": text })],
        Err(_) => list(&call.get::<Array>("messages")?.into())?,
    };
    for message in &messages {
        if message.get("role").is_none_or(|role| !role.is_string()) {
            fail!("a message must be a map with a role, got {message}");
        }
    }
    Ok(Conversation {
        messages,
        add_generation_prompt,
        now: Clock::read(&call.host.clock().now())?,
        ..Conversation::default()
    })
}

fn rendered(call: &Call) -> Result<(ChatTemplate, Rendered)> {
    let receiver = call.receiver::<ChatTemplate>()?;
    let mut conversation = conversation(call, call.options.get("answer")?)?;
    if let Some(tools) = call.options.get::<Option<Dynamic>>("tools")? {
        conversation.tools = list(&tools).context("option \"tools\"")?;
    }
    if let Some(variables) = call.options.get::<Option<Map>>("variables")?
        && let Json::Object(variables) = json(&variables.into())?
    {
        conversation.variables = variables;
    }
    let rendered = receiver.template.render(&conversation)?;
    Ok((receiver, rendered))
}

fn encoded(call: &Call) -> Result<(ChatTemplate, Encoded)> {
    let (template, rendered) = rendered(call)?;
    let encoded = rendered.encode(&template.tokenizer)?;
    Ok((template, encoded))
}

fn encode(call: &mut Call) -> Result<Map> {
    let (_, encoded) = encoded(call)?;
    let mask = encoded
        .mask
        .map(|mask| mask.into_iter().map(Dynamic::from_bool).collect::<Array>());
    Ok(Map::from([
        ("ids".into(), ids_to_script(&encoded.ids).into()),
        ("mask".into(), mask.map_or(Dynamic::UNIT, Dynamic::from)),
    ]))
}

fn show(call: &mut Call) -> Result<TokenView> {
    let (template, encoded) = encoded(call)?;
    let mut items = Vec::with_capacity(encoded.ids.len());
    for (i, id) in encoded.ids.iter().enumerate() {
        let counts = encoded.mask.as_ref().is_some_and(|mask| mask[i]);
        let text = visible_bytes(&template.tokenizer.token_bytes(*id)?);
        items.push((text, f64::from(u8::from(counts))));
    }
    let total = items.len();
    let counted = items.iter().filter(|(_, weight)| *weight > 0.0).count();
    let title = match encoded.mask {
        Some(_) => format!("{total} tokens, a loss counts {counted}"),
        None => format!("{total} tokens; the template does not say which the assistant wrote"),
    };
    Ok(TokenView::new(Tokens {
        title,
        items,
        shades: Shades::Green,
    }))
}

fn chat(call: &mut Call) -> Result<Dynamic> {
    let model = call.receiver::<Model>()?;
    let template = template(&model)?;
    let mut conversation = conversation(call, true)?;
    let system: String = call.options.get("system")?;
    if !system.is_empty() {
        let message = serde_json::json!({ "role": "system", "content": system });
        conversation.messages.insert(0, message);
    }
    let mut sampling = sampling(call, &template.tokenizer)?;
    if !call.options.given("temperature") {
        sampling.temperature = 0.0;
    }
    let prompt = template
        .template
        .render(&conversation)?
        .encode(&template.tokenizer)?
        .ids;
    let written = write(call, &*model.0, &[prompt], &sampling)?;
    tell(call, model.0.remark());
    tell(call, model.0.news());
    let answer = written.rollouts[0].text(template.tokenizer.vocabulary());
    written.give(call.host, answer)
}

/// An array of maps, or JSON text of one.
fn list(value: &Dynamic) -> Result<Vec<Json>> {
    let parsed = match value.as_immutable_string_ref() {
        Ok(text) => serde_json::from_str(&text).map_err(|error| Error::new(error.to_string()))?,
        Err(_) => json(value)?,
    };
    match parsed {
        Json::Array(items) => Ok(items),
        other => fail!("expected a list, got {other}"),
    }
}

fn json(value: &Dynamic) -> Result<Json> {
    rhai::serde::from_dynamic(value).map_err(|error| Error::new(error.to_string()))
}
