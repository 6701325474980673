//! A server that speaks OpenAI's chat completions: one request, one answer, and what is wrong with it.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Uri;
use ureq::{Agent, Body, http::Response};

use super::Secret;
use crate::diag::{Error, Kind, Result};
use crate::fail;

/// Most bytes of an answer.
const ANSWER: u64 = 16 << 20;
/// Characters of a server's own words that an error repeats.
const WORDS: usize = 300;
/// How long the list of models may take.
const LISTING: Duration = Duration::from_secs(5);

/// Where questions are sent.
pub struct Server {
    agent: Agent,
    /// Without a slash at its end.
    base: String,
    key: Option<Secret>,
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It would be the same again.
    Final(Error),
    /// It may go another time; how long the server asks to wait.
    Passing(Error, Option<Duration>),
    /// Nobody is there.
    Absent(Error),
}

type Answer = std::result::Result<String, Failure>;

impl Server {
    /// `url` is where the API is, such as `http://localhost:11434/v1`; without a path `/v1` is meant.
    ///
    /// # Errors
    /// The URL is none of http or https, or carries a password or a query.
    pub fn new(url: &str, key: Option<Secret>, timeout: Duration) -> Result<Self> {
        let (base, host) = base(url)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(timeout))
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ));
        let config = match ["localhost", "127.0.0.1", "[::1]"].contains(&host.as_str()) {
            // No proxy leads to this machine.
            true => config.proxy(None),
            false => config,
        };
        Ok(Self {
            agent: Agent::new_with_config(config.build()),
            base,
            key,
            timeout,
        })
    }

    /// Where the API is; it carries no secret.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The answer to a request for a completion by `model`.
    pub(super) fn complete(&self, model: &str, body: &str) -> Answer {
        let request = self.agent.post(format!("{}/chat/completions", self.base));
        let request = request.header("content-type", "application/json");
        let request = match &self.key {
            Some(key) => request.header("authorization", key.header()),
            None => request,
        };
        let response = request.send(body).map_err(|error| self.unreached(error))?;
        let (status, wait) = (response.status().as_u16(), wait(&response));
        let text = text(response).map_err(|error| self.unreached(error))?;
        let text = match &self.key {
            // Some servers repeat what they were sent.
            Some(key) => key.hide(&text),
            None => text,
        };
        match status {
            200..300 => Ok(text),
            _ => Err(self.refused(status, wait, &text, model)),
        }
    }

    /// No answer came.
    fn unreached(&self, error: ureq::Error) -> Failure {
        let url = &self.base;
        let failed = |words: String| Error::new(words).kind_of(Kind::Io);
        match error {
            ureq::Error::Timeout(_) => {
                let seconds = self.timeout.as_secs_f64();
                let error = failed(format!("{url} gives no answer in {seconds} s"));
                Failure::Final(error.hint("the option timeout lets it take longer"))
            }
            ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                let error = failed(format!("there is no server at {url}"));
                Failure::Absent(error.hint("start it, or give the address it listens at"))
            }
            ureq::Error::HostNotFound => {
                Failure::Absent(failed(format!("nobody knows the host of {url}")))
            }
            // What the standard library says of a name that it can't look up.
            ureq::Error::Io(error) if error.to_string().starts_with("failed to lookup") => {
                Failure::Absent(failed(format!("nobody knows the host of {url}: {error}")))
            }
            ureq::Error::Io(error) => Failure::Passing(
                failed(format!("the connection to {url} broke: {error}")),
                None,
            ),
            ureq::Error::Protocol(error) => Failure::Passing(
                failed(format!("{url} breaks off or speaks no HTTP: {error}")),
                None,
            ),
            error => Failure::Final(failed(format!("can't reach {url}: {error}"))),
        }
    }

    /// An answer that is none.
    fn refused(&self, status: u16, wait: Option<Duration>, body: &str, model: &str) -> Failure {
        let url = &self.base;
        let words = words(body);
        let colon = if words.is_empty() { "" } else { ": " };
        let error = Error::new(format!("{url} answers {status}{colon}{words}"));
        if words.to_lowercase().contains("logprobs") {
            let hint = "top_logprobs: 0 asks for labels alone; some servers take fewer than 20, or give them only when started so";
            return Failure::Final(error.hint(hint));
        }
        match status {
            // What the server says here may hold parts of the key.
            401 | 403 => Failure::Final(self.locked(status)),
            400 | 404 => Failure::Final(self.lacks(model).unwrap_or(error)),
            429 | 500..600 => Failure::Passing(error.kind_of(Kind::Io), wait),
            _ => Failure::Final(error),
        }
    }

    fn locked(&self, status: u16) -> Error {
        let url = &self.base;
        match &self.key {
            Some(key) => Error::new(format!(
                "{url} refuses the key in {} ({status})",
                key.variable
            )),
            None => Error::new(format!("{url} wants a key ({status})"))
                .hint("key_env: \"NAME\" names the environment variable that holds it"),
        }
    }

    /// That the server does not have the model, if it lists others.
    fn lacks(&self, model: &str) -> Option<Error> {
        let request = self.agent.get(format!("{}/models", self.base));
        let request = match &self.key {
            Some(key) => request.header("authorization", key.header()),
            None => request,
        };
        let limited = request.config().timeout_global(Some(LISTING)).build();
        let list: Value = serde_json::from_str(&text(limited.call().ok()?).ok()?).ok()?;
        let models = list.get("data")?.as_array()?.iter();
        let names: Vec<&str> = models
            .filter_map(|model| model.get("id")?.as_str())
            .collect();
        let lacks = !names.is_empty() && !names.contains(&model);
        lacks.then(|| Error::unknown("model", model, names).context(self.base.clone()))
    }
}

/// The address of the API without a slash at its end, and its host.
fn base(url: &str) -> Result<(String, String)> {
    let wrong = |why: &str| {
        Err(Error::new(why).hint("a server's address is written http://localhost:11434/v1"))
    };
    let Ok(uri) = url.trim().parse::<Uri>() else {
        return wrong("that is no address of a server");
    };
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return wrong("a server's address begins with http:// or https:// and a host");
    };
    if authority.as_str().contains('@') || uri.query().is_some() {
        fail!(
            "a server's address carries no password and no query; key_env names the variable of a key"
        );
    }
    let path = uri.path().trim_end_matches('/');
    let path = path.strip_suffix("/chat/completions").unwrap_or(path);
    let path = if path.is_empty() { "/v1" } else { path };
    let scheme = uri.scheme_str().unwrap_or_default();
    Ok((
        format!("{scheme}://{authority}{path}"),
        authority.host().to_owned(),
    ))
}

fn text(mut response: Response<Body>) -> std::result::Result<String, ureq::Error> {
    let body = response.body_mut().with_config().limit(ANSWER);
    body.lossy_utf8(true).read_to_string()
}

/// How long the server asks to wait, in seconds; a date is not understood, for nobody here knows the time.
fn wait(response: &Response<Body>) -> Option<Duration> {
    let header = response.headers().get("retry-after")?;
    let seconds: f64 = header.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// What the server says is wrong, in one line, if anything.
fn words(body: &str) -> String {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let places = ["/error/message", "/error", "/message", "/detail"];
    let said = places
        .iter()
        .find_map(|place| json.pointer(place)?.as_str());
    let line: Vec<&str> = said.unwrap_or(body).split_whitespace().collect();
    line.join(" ").chars().take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |url: &str, expected: &str| assert_eq!(base(url).unwrap().0, expected, "{url}");
        check("http://localhost:11434", "http://localhost:11434/v1");
        check("http://localhost:8000/v1/", "http://localhost:8000/v1");
        check(
            "https://api.x.com/openai/v1/chat/completions",
            "https://api.x.com/openai/v1",
        );
        let wrong = |url: &str| {
            let error = base(url).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        };
        for url in [
            "localhost:8000",
            "/v1",
            "ftp://x",
            "http://u:secret@x/v1",
            "http://x/v1?key=secret",
            "http://[secret",
        ] {
            wrong(url);
        }
    }

    #[test]
    fn what_a_server_says_is_one_line() {
        let check = |body: &str, expected: &str| assert_eq!(words(body), expected, "{body}");
        check(r#"{"error": {"message": "no\n model"}}"#, "no model");
        check(r#"{"error": "busy"}"#, "busy");
        check(r#"{"detail": "bad"}"#, "bad");
        check("<html>\n  Bad Gateway", "<html> Bad Gateway");
        check("", "");
    }
}
