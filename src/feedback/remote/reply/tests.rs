//! Replies as servers write them, and their worth.

use super::*;

fn labels(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn answer(text: &str, logprobs: &Value) -> String {
    json!({ "choices": [{ "message": { "content": text }, "logprobs": logprobs }] }).to_string()
}

/// A position with its likeliest tokens and their probabilities.
fn position(tokens: &[(&str, f64)]) -> Value {
    let top = tokens
        .iter()
        .map(|(token, p)| json!({ "token": token, "logprob": p.ln() }));
    json!({ "token": tokens[0].0, "top_logprobs": top.collect::<Vec<_>>() })
}

fn worth_of_tokens(positions: &[Value], names: &[&str]) -> Option<f64> {
    let reply = Reply::parse(&answer("?", &json!({ "content": positions }))).unwrap();
    let worth = reply.worth(&labels(names), 0.01).unwrap();
    worth.map(|p| (p * 1e9).round() / 1e9)
}

#[test]
fn labels_share_the_likelihood_of_their_tokens() {
    let check = |tokens: &[(&str, f64)], names: &[&str], expected| {
        assert_eq!(
            worth_of_tokens(&[position(tokens)], names),
            expected,
            "{tokens:?}"
        );
    };
    let ab = ["A", "B"];
    check(&[("A", 0.6), ("B", 0.2)], &ab, Some(0.75));
    check(
        &[("A", 0.3), (" A", 0.3), ("ĠB", 0.2), ("a", 0.1)],
        &ab,
        Some(0.75),
    );
    check(&[("The", 0.9), ("A", 0.004)], &ab, None);
    check(&[("B", 1.0)], &ab, Some(0.0));
    let words = ["Yes", "No"];
    check(
        &[("yes", 0.3), ("Y", 0.3), ("No", 0.2), ("Not", 0.2)],
        &words,
        Some(0.75),
    );
    check(&[("2", 0.5), ("1", 0.5)], &["3", "2", "1"], Some(0.25));
    check(
        &[("un", 0.5), ("good", 0.1)],
        &["unkind", "unjust", "good"],
        Some(0.0),
    );
}

#[test]
fn the_reply_begins_after_thoughts_and_blanks() {
    let position = |token: &str| position(&[(token, 0.9)]);
    let positions = ["B", "</think>", "\n\n", "A", "B"].map(position);
    assert_eq!(worth_of_tokens(&positions, &["A", "B"]), Some(1.0));
}

#[test]
fn a_bare_reply_is_its_label_or_no_verdict() {
    let check = |text: &str, names: &[&str], expected| {
        let reply = Reply::parse(&answer(text, &Value::Null)).unwrap();
        assert!(reply.is_bare());
        assert_eq!(
            reply.worth(&labels(names), 0.5).unwrap(),
            expected,
            "{text}"
        );
    };
    let ab = ["A", "B"];
    check("A", &ab, Some(1.0));
    check(" **B**\n", &ab, Some(0.0));
    check("A.", &ab, Some(1.0));
    check("<think>B or</think>\nA", &ab, Some(1.0));
    check("Answer A", &ab, None);
    check("a", &ab, None);
    check("", &ab, None);
    check("[[B]]", &["[[A]]", "[[B]]"], Some(0.0));
    check("yes, it is", &["Yes", "No"], Some(1.0));
    check("Yesterday", &["Yes", "No"], None);
    check("2", &["3", "2", "1"], Some(0.5));
    check("very good indeed", &["very good", "bad"], Some(1.0));
}

#[test]
fn what_is_no_answer_is_told() {
    let check = |answer: &str, words: &str| {
        let error = Reply::parse(answer).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    check("<html>hello</html>", "no JSON: <html>");
    check("{\"object\": \"list\"}", "no choices");
    check("{\"choices\": [{\"logprobs\": NaN}]}", "none: NaN");
    let with = |logprob: Value| {
        let top = json!([{ "token": "A", "logprob": logprob }]);
        answer(
            "A",
            &json!({ "content": [{ "token": "A", "top_logprobs": top }] }),
        )
    };
    check(&with(Value::Null), "log-probabilities are none");
    check(&with(json!("NaN")), "log-probabilities are none");
    check(&with(json!(0.7)), "0.7");
}

#[test]
fn the_cache_gives_back_every_bit() {
    let reply = Reply {
        text: "A \"quoted\"".into(),
        likely: Some(vec![
            ("A".into(), -0.1 - 0.2),
            ("\n".into(), f64::NEG_INFINITY),
        ]),
    };
    let line = reply.to_json().to_string();
    let back = Reply::from_json(&serde_json::from_str(&line).unwrap()).unwrap();
    assert_eq!(back, reply);
    let bare = Reply {
        likely: None,
        ..reply
    };
    assert_eq!(Reply::from_json(&bare.to_json()), Some(bare));
    assert_eq!(Reply::from_json(&json!({ "text": "A" })), None);
}
