//! Fetching from a hub that the test serves itself.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rlaif_repl::diag::{Interrupt, Result};
use rlaif_repl::hub::{Settings, Step, Wanted, fetch};
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What a hub does wrong, once.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The connection breaks in the middle of the weights.
    Breaks,
    /// It sends the whole file whatever part is asked for.
    IgnoresRanges,
    /// It sends other bytes than it lists.
    Garbles,
}

/// A hub with one repository, on a port of its own.
struct Hub {
    endpoint: String,
    state: Arc<Mutex<State>>,
}

struct State {
    files: BTreeMap<String, Vec<u8>>,
    commit: String,
    token: Option<&'static str>,
    fault: Fault,
    /// Requests as `path range`.
    seen: Vec<String>,
}

impl Hub {
    fn open(fault: Fault) -> Self {
        let weights: Vec<u8> = (0..300_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let files = [
            ("README.md", b"about".to_vec()),
            ("config.json", b"{}".to_vec()),
            ("model.safetensors", weights),
            ("M.mlpackage/Data/weight.bin", b"bundle".to_vec()),
        ];
        let files = files.map(|(name, content)| (name.to_owned(), content));
        let state = Arc::new(Mutex::new(State {
            files: files.into(),
            commit: COMMIT.to_owned(),
            token: None,
            fault,
            seen: Vec::new(),
        }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { endpoint, state }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// What was asked for since the last call.
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }

    fn settings(&self, cache: &Path) -> Settings {
        Settings {
            cache: cache.to_owned(),
            endpoint: self.endpoint.clone(),
            token: None,
            offline: false,
        }
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(1..) if line != "\r\n" => lines.push(line),
                Ok(2..) => break,
                _ => return,
            }
        }
        if !answer(&lines, reader.get_mut(), &mut state.lock().unwrap()) {
            return;
        }
    }
}

/// Answers a request; false if the connection breaks.
fn answer(lines: &[String], stream: &mut TcpStream, state: &mut State) -> bool {
    let path = lines[0].split(' ').nth(1).unwrap();
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let range = header("range");
    let range = range
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes="));
    state.seen.push(format!("{path} {}", range.unwrap_or("")));
    let token = state.token.map(|token| format!("Bearer {token}"));
    if token.is_some() && header("authorization") != token {
        return send(stream, "401 Unauthorized", &[], b"");
    }
    let listed = "/api/models/org/name/revision/main?blobs=true";
    let by_commit = format!("/api/models/org/name/revision/{}?blobs=true", state.commit);
    if path == listed || path == by_commit {
        return send(stream, "200 OK", &[], listing(state).as_bytes());
    }
    let file = path.strip_prefix(&format!("/org/name/resolve/{}/", state.commit));
    match file.map(str::to_owned) {
        Some(name) if state.files.contains_key(&name) => give(&name, range, stream, state),
        _ => send(stream, "404 Not Found", &[], b""),
    }
}

fn give(name: &str, range: Option<&str>, stream: &mut TcpStream, state: &mut State) -> bool {
    let mut content = state.files[name].clone();
    let (etag, total) = (etag(name, &content), content.len());
    let probe = range == Some("0-0");
    let weights = name == "model.safetensors" && !probe;
    let fault = match weights {
        true => std::mem::replace(&mut state.fault, Fault::None),
        false => Fault::None,
    };
    let (from, to) = range.unwrap().split_once('-').unwrap();
    let mut from: usize = from.parse().unwrap();
    let to = to.parse().unwrap_or(total - 1);
    if from >= total {
        return send(stream, "416 Range Not Satisfiable", &[], b"");
    }
    match fault {
        Fault::IgnoresRanges => from = 0,
        Fault::Garbles => content[total - 1] ^= 1,
        Fault::None | Fault::Breaks => {}
    }
    let headers = [
        format!("etag: \"{etag}\""),
        format!("x-repo-commit: {}", state.commit),
        format!("content-range: bytes {from}-{to}/{total}"),
    ];
    let part = &content[from..=to];
    if fault == Fault::Breaks {
        let head = format!(
            "HTTP/1.1 206 Partial\r\ncontent-length: {}\r\n{}\r\n\r\n",
            part.len(),
            headers.join("\r\n")
        );
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&part[..part.len() / 3]);
        return false;
    }
    send(stream, "206 Partial Content", &headers, part)
}

fn send(stream: &mut TcpStream, status: &str, headers: &[String], body: &[u8]) -> bool {
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        head += &format!("{header}\r\n");
    }
    let head = head + "\r\n";
    stream.write_all(&[head.as_bytes(), body].concat()).is_ok()
}

fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Large files are kept by their SHA-256, others by the id that git gives them: here by another digest.
fn etag(name: &str, content: &[u8]) -> String {
    let digest = sha256(content);
    match name.ends_with(".safetensors") {
        true => digest,
        false => digest[..40].to_owned(),
    }
}

fn listing(state: &State) -> String {
    let file = |(name, content): (&String, &Vec<u8>)| {
        let etag = etag(name, content);
        let size = content.len();
        match name.ends_with(".safetensors") {
            true => format!(
                r#"{{"rfilename": "{name}", "size": {size}, "blobId": "aa", "lfs": {{"sha256": "{etag}", "size": {size}}}}}"#
            ),
            false => format!(r#"{{"rfilename": "{name}", "size": {size}, "blobId": "{etag}"}}"#),
        }
    };
    let files: Vec<String> = state.files.iter().map(file).collect();
    format!(
        r#"{{"sha": "{}", "siblings": [{}]}}"#,
        state.commit,
        files.join(", ")
    )
}

fn wanted(files: &[&str]) -> Wanted {
    Wanted {
        name: "org/name".to_owned(),
        revision: "main".to_owned(),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
    }
}

fn get(wanted: &Wanted, settings: &Settings) -> Result<PathBuf> {
    fetch(wanted, settings, &Interrupt::default(), &mut |_| {})
}

/// The weights in a snapshot, which must be those that the hub has.
fn check_weights(hub: &Hub, folder: &Path) {
    let content = std::fs::read(folder.join("model.safetensors")).unwrap();
    assert!(content == hub.state.lock().unwrap().files["model.safetensors"]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_snapshot_is_laid_out_as_huggingface_hub_does() {
    let (hub, cache) = (Hub::open(Fault::None), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    let mut steps: Vec<Step> = Vec::new();
    let interrupt = Interrupt::default();
    let mut keep = |step: &Step| steps.push(step.clone());
    let folder = fetch(&wanted(&[]), &settings, &interrupt, &mut keep).unwrap();
    let repository = cache.path().join("models--org--name");
    assert_eq!(folder, repository.join("snapshots").join(COMMIT));
    assert_eq!(
        std::fs::read_to_string(repository.join("refs/main")).unwrap(),
        COMMIT
    );
    assert_eq!(names(&repository.join("refs")), ["main"]);
    assert_eq!(
        names(&folder),
        ["M.mlpackage", "config.json", "model.safetensors"]
    );
    check_weights(&hub, &folder);
    assert_eq!(
        std::fs::read(folder.join("M.mlpackage/Data/weight.bin")).unwrap(),
        b"bundle"
    );
    assert_eq!(names(&repository.join("blobs")).len(), 3);
    #[cfg(unix)]
    assert!(
        std::fs::read_link(folder.join("config.json"))
            .unwrap()
            .starts_with("../../blobs")
    );
    assert!(steps.iter().all(|step| step.total == 300_008));
    assert_eq!(steps.last().unwrap().done, 300_008);

    // What is there is not fetched again; offline nobody is asked.
    hub.seen();
    assert_eq!(get(&wanted(&[]), &settings).unwrap(), folder);
    assert_eq!(
        hub.seen(),
        ["/api/models/org/name/revision/main?blobs=true "]
    );
    let offline = Settings {
        offline: true,
        ..settings
    };
    assert_eq!(get(&wanted(&["*.json"]), &offline).unwrap(), folder);
    assert!(hub.seen().is_empty());
    let error = get(&wanted(&["README.md"]), &offline)
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is no \"README.md\""), "{error}");
}

#[test]
fn a_new_commit_shares_what_has_not_changed() {
    let (hub, cache) = (Hub::open(Fault::None), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    let old = get(&wanted(&[]), &settings).unwrap();
    hub.change(|state| {
        state.commit = COMMIT.replace('0', "f");
        state
            .files
            .insert("config.json".into(), b"{\"a\": 1}".to_vec());
    });
    hub.seen();
    let new = get(&wanted(&[]), &settings).unwrap();
    assert_ne!(old, new);
    check_weights(&hub, &new);
    assert_eq!(
        std::fs::read(new.join("config.json")).unwrap(),
        b"{\"a\": 1}"
    );
    assert_eq!(std::fs::read(old.join("config.json")).unwrap(), b"{}");
    assert!(hub.seen().iter().all(|seen| !seen.contains("safetensors")));
    let by_commit = Wanted {
        revision: COMMIT.replace('0', "f"),
        ..wanted(&[])
    };
    assert_eq!(get(&by_commit, &settings).unwrap(), new);
}

#[test]
fn broken_downloads_go_on_and_wrong_ones_start_again() {
    for fault in [Fault::Breaks, Fault::Garbles] {
        let (hub, cache) = (Hub::open(fault), tempfile::tempdir().unwrap());
        let folder = get(&wanted(&["*.safetensors"]), &hub.settings(cache.path())).unwrap();
        check_weights(&hub, &folder);
        let asked = hub
            .seen()
            .into_iter()
            .filter(|seen| seen.contains("safetensors"));
        let ranges: Vec<String> = asked
            .map(|seen| seen.rsplit(' ').next().unwrap().to_owned())
            .collect();
        match fault {
            Fault::Breaks => assert_eq!(ranges, ["0-0", "0-", "0-0", "100000-"]),
            _ => assert_eq!(ranges, ["0-0", "0-", "0-0", "0-"]),
        }
        assert_eq!(
            names(&cache.path().join("models--org--name/blobs")).len(),
            1
        );
    }
}

/// A part that an earlier program left: begun, whole, or longer than what is listed.
#[test]
fn parts_are_taken_up() {
    for (length, fault) in [
        (1000, Fault::None),
        (1000, Fault::IgnoresRanges),
        (300_000, Fault::None),
        (300_001, Fault::None),
    ] {
        let (hub, cache) = (Hub::open(fault), tempfile::tempdir().unwrap());
        let weights = hub.state.lock().unwrap().files["model.safetensors"].clone();
        let blobs = cache.path().join("models--org--name/blobs");
        std::fs::create_dir_all(&blobs).unwrap();
        let mut part = weights.clone();
        part.resize(length, 0);
        std::fs::write(blobs.join(format!("{}.part", sha256(&weights))), part).unwrap();
        let folder = get(&wanted(&["*.safetensors"]), &hub.settings(cache.path())).unwrap();
        check_weights(&hub, &folder);
        let seen = hub.seen();
        let asked = |range: &str| seen.iter().any(|seen| seen.ends_with(range));
        match length {
            1000 => assert!(asked(" 1000-"), "{seen:?}"),
            300_000 => assert_eq!(seen.len(), 1, "{seen:?}"),
            _ => assert!(asked(" 0-"), "{seen:?}"),
        }
    }
}

#[test]
fn an_interrupted_fetch_names_nothing() {
    let (hub, cache) = (Hub::open(Fault::None), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    let interrupt = Interrupt::default();
    let mut stop = |_: &Step| interrupt.set();
    let error = fetch(&wanted(&[]), &settings, &interrupt, &mut stop).unwrap_err();
    assert!(error.is_interrupt());
    assert!(!cache.path().join("models--org--name/refs/main").exists());
    let offline = Settings {
        offline: true,
        ..settings.clone()
    };
    assert!(get(&wanted(&[]), &offline).is_err());
    check_weights(&hub, &get(&wanted(&[]), &settings).unwrap());
}

#[test]
fn what_cannot_be_fetched() {
    let (hub, cache) = (Hub::open(Fault::None), tempfile::tempdir().unwrap());
    let settings = hub.settings(cache.path());
    let check = |wanted: &Wanted, settings: &Settings, expected: &str| {
        let error = get(wanted, settings).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    let named = |name: &str| Wanted {
        name: name.to_owned(),
        ..wanted(&[])
    };
    check(&named("../name"), &settings, "is no name of the hub");
    check(&named("name"), &settings, "models are called org/name");
    check(
        &named("org/other"),
        &settings,
        "there is no org/other at \"main\"",
    );
    check(&wanted(&["*.onnx"]), &settings, "unknown file \"*.onnx\"");
    let offline = Settings {
        offline: true,
        ..settings.clone()
    };
    check(&wanted(&[]), &offline, "org/name at \"main\" is not in ");
    let nobody = Settings {
        endpoint: "http://127.0.0.1:1".to_owned(),
        ..settings.clone()
    };
    check(&wanted(&[]), &nobody, "can't reach http://127.0.0.1:1");
    hub.change(|state| state.token = Some("hf_right"));
    check(&wanted(&[]), &settings, "set HF_TOKEN");
    let with = |token: &str| Settings {
        token: Some(token.to_owned()),
        ..settings.clone()
    };
    check(&wanted(&[]), &with("hf_wrong"), "the token may not read it");
    check_weights(&hub, &get(&wanted(&[]), &with("hf_right")).unwrap());
}

/// The command and the script function, as their variables say.
#[test]
fn the_command_prints_the_folder_that_the_script_gets() {
    let (hub, cache) = (Hub::open(Fault::None), tempfile::tempdir().unwrap());
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rlaif-repl"));
        command
            .args(args)
            .env("HF_ENDPOINT", &hub.endpoint)
            .env("HF_HOME", cache.path());
        for name in ["HF_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, folder, progress) = run(&["fetch", "org/name", "--file", "*.json"]);
    assert_eq!(code, Some(0), "{progress}");
    let expected = cache
        .path()
        .join("hub/models--org--name/snapshots")
        .join(COMMIT);
    assert_eq!(folder.trim_end(), expected.display().to_string());
    let script = "print(fetch(\"org/name\", #{files: [\"*.json\"], offline: true}))";
    assert_eq!(run(&["-e", script]), (Some(0), folder, String::new()));
    let (code, _, error) = run(&["fetch", "org/name", "--offline", "--revision", "v2"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("org/name at \"v2\" is not in"), "{error}");
    let (_, _, error) = run(&["-e", "load(\"org/name\")"]);
    assert!(error.contains("fetch(\"org/name\")"), "{error}");
}
