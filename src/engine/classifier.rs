//! What a classifier's prediction says: the label and the probability of each class.

use super::Features;
use crate::diag::Result;
use crate::fail;
use crate::numeric::Array;
use crate::package::FunctionDescription;

/// The classes of one prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// The most probable class; the first of equal ones.
    pub label: String,
    /// Every class, in the model's order.
    pub probabilities: Vec<(String, f64)>,
}

/// Reads `outputs` of a classifier; `None` if `function` is no classifier.
///
/// Packages name the probabilities as the description does; compiled bundles need not, so that else the
/// one output with a number for each class is taken.
pub fn classification(
    function: &FunctionDescription,
    outputs: &Features,
) -> Result<Option<Classification>> {
    let labels = &function.class_labels;
    if labels.is_empty() {
        return Ok(None);
    }
    let fits = |array: &&Array| array.dtype().is_float() && array.len() == labels.len();
    let named = function.predicted_probabilities.as_ref();
    let named = named.and_then(|name| outputs.get(name)).filter(fits);
    let Some(array) = named.or_else(|| outputs.values().find(fits)) else {
        fail!(
            "no output has a probability for each of the {} classes",
            labels.len()
        );
    };
    let values = array.to_f64s();
    let highest = values.iter().enumerate().rev();
    let best = highest
        .max_by(|a, b| a.1.total_cmp(b.1))
        .map_or(0, |(i, _)| i);
    Ok(Some(Classification {
        label: labels[best].clone(),
        probabilities: labels.iter().cloned().zip(values).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_most_probable_wins() {
        let function = FunctionDescription {
            class_labels: ["a", "b", "c"].map(String::from).to_vec(),
            predicted_probabilities: Some("p".into()),
            ..FunctionDescription::default()
        };
        let check = |name: &str, values: &[f32], expected: Option<&str>| {
            let array = Array::from_f32(vec![1, values.len()], values).unwrap();
            let outputs = Features::from([(name.to_owned(), array)]);
            let read = classification(&function, &outputs);
            let label = read.ok().flatten().map(|read| read.label);
            assert_eq!(label.as_deref(), expected, "{values:?}");
        };
        check("p", &[0.25, 0.5, 0.25], Some("b"));
        check("var_7", &[0.25, 0.375, 0.375], Some("b"));
        check("p", &[0.5, 0.5], None);
        let none = classification(&FunctionDescription::default(), &Features::new());
        assert_eq!(none.unwrap(), None);
    }
}
