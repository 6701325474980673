//! What servers do wrong, and what the user is told.

use std::time::Duration;

use rlaif_repl::feedback::Judge as _;
use rlaif_repl::feedback::remote::{self, Parts, RemoteJudge, Secret};

use super::server::{Asked, Given, Server, likely};
use super::{item, items, parts};

fn says(status: u16, body: &str) -> Given {
    Given::Says(status, "", body.to_owned())
}

fn yes() -> Given {
    likely(&[("Yes", 0.5), ("No", 0.5)])
}

/// The error of asking one question of a server, and how many requests that took.
fn error(
    mind: impl Fn(&Asked) -> Given + Send + Sync + 'static,
    change: impl FnOnce(&mut Parts, &str),
) -> (String, usize) {
    let server = Server::open(mind);
    let mut parts = parts(&server.url);
    change(&mut parts, &server.url);
    let judge = RemoteJudge::new(parts).unwrap();
    let error = judge.score(&[item("a")]).unwrap_err().to_string();
    (
        error.replace(&server.url, "URL"),
        judge.usage().unwrap().calls,
    )
}

fn check(mind: impl Fn(&Asked) -> Given + Send + Sync + 'static, calls: usize, words: &[&str]) {
    let (error, asked) = error(mind, |_, _| {});
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    assert_eq!(asked, calls, "{error}");
}

#[test]
fn a_busy_server_and_a_broken_line_are_tried_again() {
    let server = Server::open(|asked| match asked.before {
        0 => says(503, "loading"),
        1 => Given::Says(429, "retry-after: 0", String::new()),
        2 => Given::Breaks,
        _ => yes(),
    });
    let judge = super::judge(&server);
    assert_eq!(judge.score(&[item("a")]).unwrap(), [Some(0.5)]);
    assert_eq!((server.asked().len(), judge.usage().unwrap().calls), (4, 4));
}

#[test]
fn what_does_not_pass_is_told() {
    check(
        |_| says(503, "{\"error\": \"loading\"}"),
        4,
        &["asked 4 times: URL/v1 answers 503: loading"],
    );
    check(|_| Given::Breaks, 4, &["asked 4 times"]);
    check(|_| says(418, ""), 1, &["URL/v1 answers 418"]);
    check(
        |_| Given::Says(429, "retry-after: 3600", String::new()),
        1,
        &["answers 429", "asks to wait 3600 s"],
    );
    check(
        |_| says(400, "{\"error\": {\"message\": \"no such field\"}}"),
        1,
        &["answers 400: no such field"],
    );
    check(
        |_| says(500, "{\"error\": \"logprobs is not supported\"}"),
        1,
        &["logprobs is not supported", "top_logprobs: 0"],
    );
    check(
        |_| Given::Says(308, "location: /elsewhere", String::new()),
        1,
        &["answers 308"],
    );
    check(
        |_| says(200, "<html>Welcome"),
        1,
        &["no JSON: <html>Welcome", "hint"],
    );
    check(
        |_| says(200, "{\"choices\": [{\"logprobs\": [NaN]}]}"),
        1,
        &["log-probabilities are none: NaN"],
    );
    check(
        |_| says(200, "{\"error\": \"x\"}"),
        1,
        &["no choices: {\"error\""],
    );
    let (error, _) = error(
        |_| Given::Hangs,
        |parts, url| {
            parts.server = remote::Server::new(url, None, Duration::from_millis(5)).unwrap();
        },
    );
    assert!(
        error.contains("URL/v1 gives no answer in 0.005 s"),
        "{error}"
    );
}

#[test]
fn a_model_that_is_not_there_has_neighbours() {
    let mind = |asked: &Asked| match asked.path.as_str() {
        "/v1/models" => says(
            200,
            "{\"data\": [{\"id\": \"qwen3:4b\"}, {\"id\": \"gemma3\"}]}",
        ),
        _ => says(404, "{\"error\": \"not found\"}"),
    };
    let named = |model: &'static str| error(mind, |parts, _| parts.request.model = model.into()).0;
    let told = named("qwen3:4");
    assert!(
        told.contains("URL/v1: unknown model \"qwen3:4\"\n  hint: did you mean \"qwen3:4b\"?"),
        "{told}"
    );
    assert!(named("x").contains("known: qwen3:4b, gemma3"));
    // The model is there, so what is not there is the address.
    assert!(named("gemma3").contains("answers 404: not found"));
}

#[test]
fn nobody_there_is_told_at_once() {
    let judge = RemoteJudge::new(parts("http://127.0.0.1:9")).unwrap();
    let error = judge.score(&[item("a")]).unwrap_err().to_string();
    assert!(
        error.contains("there is no server at http://127.0.0.1:9/v1"),
        "{error}"
    );
    assert_eq!(judge.usage().unwrap().calls, 1);
}

#[test]
fn a_key_is_sent_and_not_told() {
    let variable = |name: &str| (name == "JUDGE_KEY").then(|| "sk-secret".to_owned());
    let with_key = |parts: &mut Parts, url: &str| {
        let key = Secret::read("JUDGE_KEY", &variable).unwrap();
        parts.server = remote::Server::new(url, Some(key), Duration::from_secs(20)).unwrap();
    };
    let open = |asked: &Asked| asked.key.as_deref() == Some("Bearer sk-secret");
    let locked = move |asked: &Asked| match open(asked) {
        true => says(400, "{\"error\": \"bad header Bearer sk-secret\"}"),
        false => says(401, "who are you?"),
    };
    check(
        locked,
        1,
        &["URL/v1 wants a key (401)", "key_env: \"NAME\""],
    );
    let (told, _) = error(locked, with_key);
    assert!(
        told.contains("bad header Bearer ***") && !told.contains("sk-"),
        "{told}"
    );
    let (told, _) = error(|_| says(200, "<pre>Bearer sk-secret"), with_key);
    assert!(told.contains("no JSON: <pre>Bearer ***"), "{told}");
    let (told, _) = error(|_| says(401, "wrong key sk-se*ret"), with_key);
    assert!(
        told.ends_with("URL/v1 refuses the key in JUDGE_KEY (401)"),
        "{told}"
    );
}

#[test]
fn a_budget_is_not_overdrawn() {
    let server = Server::open(|_| yes());
    let mut parts = parts(&server.url);
    parts.pace.budget = Some(3);
    let judge = RemoteJudge::new(parts).unwrap();
    judge.score(&items(2)).unwrap();
    let error = judge.score(&items(5)).unwrap_err().to_string();
    assert!(
        error.contains("needs 3 more calls, and has made 2 of its budget of 3"),
        "{error}"
    );
    judge.score(&items(3)).unwrap();
    assert_eq!(server.asked().len(), 3);
    let (error, calls) = self::error(|_| says(503, ""), |parts, _| parts.pace.budget = Some(2));
    assert!(error.contains("budget of 2") && calls == 2, "{error}");
}
