//! A judge behind a server, against one that the test scripts.

mod faults;
mod scripts;
pub mod server;

use std::path::Path;
use std::time::Duration;

use rlaif_repl::diag::{Interrupt, Result};
use rlaif_repl::feedback::remote::{Cache, Pace, Parts, RemoteJudge, Request};
use rlaif_repl::feedback::{self, Item, Judge as _, Pair, Wording};
use serde_json::{Map, json};

use server::{Asked, Given, Server, bare, likely};

/// A judge of that server with nothing special about it.
fn parts(url: &str) -> Parts {
    Parts {
        server: feedback::remote::Server::new(url, None, Duration::from_secs(20)).unwrap(),
        request: Request {
            model: "m".into(),
            system: None,
            top_logprobs: 20,
            extra: Map::new(),
        },
        wording: Wording::of_chat(),
        pace: Pace {
            pause: Duration::ZERO,
            ..Pace::default()
        },
        cache: Cache::in_memory(),
        replay: false,
        interrupt: Interrupt::default(),
        watch: Box::new(|_| Box::new(|_| {})),
    }
}

fn judge(server: &Server) -> RemoteJudge {
    RemoteJudge::new(parts(&server.url)).unwrap()
}

fn cached(server: &Server, folder: &Path) -> RemoteJudge {
    let cache = Cache::in_folder(folder, false).unwrap();
    let parts = Parts {
        cache,
        ..parts(&server.url)
    };
    RemoteJudge::new(parts).unwrap()
}

fn item(answer: &str) -> Item {
    Item {
        prompt: "p".into(),
        answer: answer.into(),
    }
}

fn items(count: usize) -> Vec<Item> {
    (0..count).map(|i| item(&format!("<{i}>"))).collect()
}

/// The number that [`items`] has put into a question.
fn number(asked: &Asked) -> usize {
    let question = asked.question();
    let (_, rest) = question.split_once('<').unwrap();
    rest.split_once('>').unwrap().0.parse().unwrap()
}

fn pair() -> Pair {
    Pair {
        prompt: "p".into(),
        first: "good".into(),
        second: "poor".into(),
    }
}

/// Likes the good answer, and the one that is shown first.
fn biased(asked: &Asked) -> Given {
    let p = match asked.question().contains("Answer A:\ngood") {
        true => 0.689974,
        false => 0.401312,
    };
    likely(&[("A", 0.9 * p), ("B", 0.9 * (1.0 - p)), ("The", 0.1)])
}

fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() < 1e-9, "{got} {expected}");
}

/// With p₁ .689974 and p₂ .401312, (p₁ + 1 − p₂) / 2 is .644331, and (p₁ + p₂) / 2 is .545643.
#[test]
fn both_orders_undo_a_bias_to_the_first() {
    let server = Server::open(biased);
    let judge = judge(&server);
    let verdict = judge.compare(&[pair()]).unwrap().remove(0);
    near(verdict.p_first.unwrap(), 0.644331);
    near(verdict.by_order[1].unwrap(), 1.0 - 0.401312);
    assert!(!verdict.order_flip());
    let card = feedback::card(&judge, &[pair()]).unwrap();
    near(card.p_shown_first, 0.545643);
    assert_eq!(card.accuracy, 1.0);
    let asked = server.asked();
    assert_eq!(asked.len(), 2, "the card asked nothing new");
    assert_eq!(asked[0].path, "/v1/chat/completions");
    let body = &asked[0].body;
    let fields = [
        "model",
        "max_tokens",
        "temperature",
        "logprobs",
        "top_logprobs",
    ];
    let sent = fields.map(|field| body[field].clone());
    assert_eq!(json!(sent), json!(["m", 1, 0, true, 20]));
    assert_eq!(judge.name(), format!("remote judge m at {}/v1", server.url));
}

#[test]
fn results_come_in_the_order_of_the_questions() {
    let share = |i: usize| (i + 1) as f64 / 64.0;
    let server = Server::open(move |asked| {
        let p = share(number(asked));
        likely(&[("Yes", p), ("No", 1.0 - p)])
    });
    let scores = judge(&server)
        .score(&[items(40), items(40)].concat())
        .unwrap();
    for (i, score) in scores.iter().enumerate() {
        near(score.unwrap(), share(i % 40));
    }
    assert_eq!(server.asked().len(), 40, "equal questions are asked once");
}

#[test]
fn a_score_is_the_expectation_over_its_labels() {
    let server = Server::open(|_| likely(&[("4", 0.4), ("2", 0.4), ("I", 0.2)]));
    let mut parts = parts(&server.url);
    parts.wording.score_labels = ["5", "4", "3", "2", "1"].map(String::from).into();
    let score = RemoteJudge::new(parts)
        .unwrap()
        .score(&[item("a")])
        .unwrap();
    near(score[0].unwrap(), 0.5);
}

#[test]
fn without_probabilities_the_label_is_the_verdict() {
    let server = Server::open(|asked| match asked.question().contains("Answer A:\ngood") {
        true => bare("**A**."),
        false => bare("B"),
    });
    let judge = judge(&server);
    assert!(!judge.name().contains("labels"));
    let verdict = judge.compare(&[pair()]).unwrap().remove(0);
    assert_eq!(verdict.p_first, Some(1.0));
    assert!(judge.name().ends_with("(labels only)"), "{}", judge.name());
    assert_eq!(judge.usage().unwrap().labels_only, 2);
}

#[test]
fn what_is_no_label_is_no_verdict() {
    let server = Server::open(|asked| match number(asked) {
        0 => bare("Neither of them."),
        1 => likely(&[("The", 0.9), ("Yes", 1e-5)]),
        2 => bare(""),
        _ => likely(&[("No", 0.9)]),
    });
    let scores = judge(&server).score(&items(4)).unwrap();
    assert_eq!(scores, [None, None, None, Some(0.0)]);
    let one_order = Server::open(|asked| match asked.question().contains("Answer A:\ngood") {
        true => bare("A"),
        false => bare("both"),
    });
    let verdict = judge(&one_order).compare(&[pair()]).unwrap().remove(0);
    assert_eq!(
        (verdict.p_first, verdict.by_order),
        (None, [Some(1.0), None])
    );
}

#[test]
fn fields_of_the_request_are_added_and_taken_away() {
    let server = Server::open(biased);
    let mut parts = parts(&server.url);
    parts.request.system = Some("be fair".into());
    parts.request.top_logprobs = 0;
    let extra = json!({ "max_tokens": null, "max_completion_tokens": 1, "seed": 7 });
    parts.request.extra = extra.as_object().unwrap().clone();
    RemoteJudge::new(parts).unwrap().compare(&[pair()]).unwrap();
    let body = &server.asked()[0].body;
    let fields = [
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "logprobs",
        "top_logprobs",
    ];
    let sent = fields.map(|field| body[field].clone());
    assert_eq!(json!(sent), json!([null, 1, 7, null, null]));
    assert_eq!(
        body["messages"][0],
        json!({ "role": "system", "content": "be fair" })
    );
}

#[test]
fn a_cache_repeats_a_run_bit_for_bit() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::open(biased));
    let verdicts = cached(&server, folder.path()).compare(&[pair()]).unwrap();
    assert_eq!(server.asked().len(), 2);
    let again = cached(&server, folder.path());
    assert_eq!(again.compare(&[pair()]).unwrap(), verdicts);
    let usage = again.usage().unwrap();
    assert_eq!((usage.calls, usage.cached), (0, 2));
    // The same questions to another address, where nobody is.
    let replay = |change: &dyn Fn(&mut Parts)| {
        let mut parts = parts("http://127.0.0.1:9");
        parts.cache = Cache::in_folder(folder.path(), true).unwrap();
        parts.replay = true;
        change(&mut parts);
        RemoteJudge::new(parts).unwrap()
    };
    assert_eq!(replay(&|_| {}).compare(&[pair()]).unwrap(), verdicts);
    let other = replay(&|parts| parts.request.model = "n".into());
    let error = other.compare(&[pair()]).unwrap_err().to_string();
    assert!(
        error.contains("no reply to 2 of the questions, the first begins \"Here are"),
        "{error}"
    );
    let used = usage.questions;
    assert_eq!(replay(&|_| {}).usage().unwrap().questions, used);
    assert_ne!(other.usage().unwrap().questions, used);
    assert!(server.asked().is_empty());
}

/// The third of six questions is never answered; the user interrupts.
#[test]
fn an_interrupt_leaves_a_call_and_keeps_what_was_answered() {
    let interrupt = Interrupt::default();
    let user = interrupt.clone();
    let server = Server::open(move |asked| match (number(asked), user.is_set()) {
        (2, false) if asked.before == 2 => {
            user.set();
            Given::Hangs
        }
        _ => likely(&[("Yes", 0.5), ("No", 0.5)]),
    });
    let folder = tempfile::tempdir().unwrap();
    let with = |interrupt: &Interrupt| {
        let mut parts = parts(&server.url);
        parts.cache = Cache::in_folder(folder.path(), false).unwrap();
        parts.pace.parallel = 1;
        parts.interrupt = interrupt.clone();
        RemoteJudge::new(parts).unwrap()
    };
    let result: Result<_> = with(&interrupt).score(&items(6));
    assert!(result.unwrap_err().is_interrupt());
    assert_eq!(server.asked().len(), 3);
    interrupt.clear();
    let scores = with(&interrupt).score(&items(6)).unwrap();
    assert_eq!(scores.iter().flatten().count(), 6);
    let numbers: Vec<usize> = server.asked().iter().map(number).collect();
    assert_eq!(numbers, [2, 3, 4, 5]);
}
