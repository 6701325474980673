//! Texts with `{places}` to fill, in one pass: what is put in is never searched for places again.

use crate::diag::{Error, Result};

/// A text with named places.
#[derive(Debug, Clone, PartialEq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Place(usize),
}

impl Template {
    /// Reads a template that may use the places `names`; all of `needed` must occur.
    pub fn new(text: &str, names: &[&str], needed: &[&str]) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, tail)) = after.split_once('}') else {
                return Err(Error::new(format!(
                    "template \"{text}\" has a `{{` without `}}`"
                )));
            };
            let Some(index) = names.iter().position(|n| *n == name) else {
                return Err(Error::unknown(
                    "place in a template",
                    name,
                    names.iter().copied(),
                ));
            };
            parts.extend([Part::Text(before.to_owned()), Part::Place(index)]);
            rest = tail;
        }
        parts.push(Part::Text(rest.to_owned()));
        let has = |name: &&&str| {
            let index = names.iter().position(|n| n == *name);
            parts
                .iter()
                .any(|p| matches!(p, Part::Place(i) if Some(*i) == index))
        };
        match needed.iter().find(|name| !has(name)) {
            Some(name) => Err(Error::new(format!("template \"{text}\" lacks {{{name}}}"))),
            None => Ok(Self(parts)),
        }
    }

    /// The text with `values` in the places, in the order of the names given to [`Template::new`].
    pub fn fill(&self, values: &[&str]) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Place(i) => values.get(*i).copied().unwrap_or_default().to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_searched_again() {
        let template = Template::new("{a} or {b}?", &["a", "b"], &["a", "b"]).unwrap();
        assert_eq!(template.fill(&["{b}", "x"]), "{b} or x?");
    }

    #[test]
    fn unknown_and_missing_places_are_errors() {
        let error = |text| Template::new(text, &["prompt", "answer"], &["answer"]).unwrap_err();
        assert!(
            error("{anwser}")
                .to_string()
                .contains("did you mean \"answer\"?")
        );
        assert!(error("{prompt}").to_string().contains("lacks {answer}"));
        assert!(error("{answer").to_string().contains("without"));
    }
}
