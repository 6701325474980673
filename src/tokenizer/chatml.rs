//! The ChatML conversation format, as SmolLM2 and Qwen write it.

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    pub content: String,
}

impl Message {
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
        }
    }
}

/// `<|im_start|>role⏎content<|im_end|>⏎` for each message, then `<|im_start|>assistant⏎` if the model is
/// to answer.
///
/// `system` stands first when the conversation has no system message of its own (SmolLM2's template
/// does that with a text of its own).
pub fn chatml(messages: &[Message], system: Option<&str>, answer: bool) -> String {
    let own = messages.first().is_some_and(|m| m.role == "system");
    let system = system
        .filter(|_| !own)
        .map(|text| Message::new("system", text));
    let mut out: String = system
        .iter()
        .chain(messages)
        .map(|m| format!("<|im_start|>{}\n{}<|im_end|>\n", m.role, m.content))
        .collect();
    if answer {
        out.push_str("<|im_start|>assistant\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_and_the_default_system_message() {
        let user = Message::new("user", "hi");
        assert_eq!(
            chatml(std::slice::from_ref(&user), Some("be kind"), true),
            "<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n\
             <|im_start|>assistant\n"
        );
        let own = [Message::new("system", "be brief"), user];
        assert_eq!(
            chatml(&own, Some("be kind"), false),
            "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
        );
    }
}
