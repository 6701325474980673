//! A key that opens a server: it is sent there, and shown nowhere.

use crate::diag::{Error, Result};
use crate::fail;

/// A key out of the environment. It has no `Debug`, and no way out but into a request's header.
#[derive(Clone)]
pub struct Secret {
    /// The variable that holds it.
    pub variable: String,
    value: String,
}

impl Secret {
    /// Reads the environment variable of that name.
    ///
    /// # Errors
    /// It is not set, or holds what no header can carry. What looks like a key in place of a name is not repeated.
    pub fn read(name: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let shown = match name.chars().all(plain) {
            true => name,
            false => "that key_env names",
        };
        let value = variable(name).map(|value| value.trim().to_owned());
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            let error = Error::new(format!("the environment variable {shown} is not set"));
            return Err(error.hint(
                "key_env takes the name of the variable that holds the key, never the key itself",
            ));
        };
        if !value.chars().all(|c| c.is_ascii_graphic()) {
            fail!("the environment variable {shown} holds what no key can be");
        }
        Ok(Self {
            variable: name.to_owned(),
            value,
        })
    }

    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.value)
    }

    /// The text with the key blotted out.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&self.value, "***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_and_never_told() {
        let variable = |name: &str| match name {
            "A_KEY" => Some(" sk-1 \n".to_owned()),
            "BAD_KEY" => Some("sk-\u{1}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let read = |name: &str| Secret::read(name, &variable);
        let key = read("A_KEY").unwrap();
        assert_eq!(
            (key.header(), key.hide("no sk-1!")),
            ("Bearer sk-1".into(), "no ***!".into())
        );
        let check = |name: &str, words: &str| {
            let error = read(name).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
            error
        };
        check("BAD_KEY", "BAD_KEY holds what no key can be");
        check("EMPTY", "EMPTY is not set");
        check("OTHER_KEY", "OTHER_KEY is not set");
        assert!(!check("gsk_abc123", "that key_env names is not set").contains("gsk_"));
    }
}
