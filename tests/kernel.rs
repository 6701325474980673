//! The Jupyter kernel: the real binary, asked by a client over its sockets.

mod client;
mod notebook;

use jupyter_protocol::{
    CommInfoRequest, CommOpen, CompleteRequest, ExecuteRequest, HistoryRequest, InspectRequest,
    InterruptRequest, IsCompleteRequest, KernelInfoRequest, ShutdownRequest, UnknownMessage,
};
use serde_json::json;

use crate::cli::{program, run};
use crate::judging::server::{Server, likely};
use client::{Client, places};

fn unknown(kind: &str, content: serde_json::Value) -> UnknownMessage {
    UnknownMessage {
        msg_type: kind.into(),
        content,
    }
}

#[test]
fn cells_show_what_they_do_in_order() {
    let mut client = Client::start();
    let answer = client.run("print(\"a\"); print(table([#{x: 1.5}])); print(\"b\"); 6 * 7");
    assert_eq!(
        answer.kinds(),
        [
            "execute_input",
            "stream",
            "display_data",
            "stream",
            "execute_result"
        ]
    );
    assert_eq!(answer.printed(), "a\nb\n");
    assert_eq!(answer.reply["status"], "ok");
    assert_eq!(answer.reply["execution_count"], 1);
    assert_eq!(
        answer.first("execute_result")["data"],
        json!({ "text/plain": "42" })
    );
    let table = &answer.first("display_data")["data"];
    assert!(
        table["text/html"]
            .as_str()
            .unwrap()
            .contains("<td style=\"text-align:right\">1.5")
    );
    assert!(
        table["text/plain"].as_str().unwrap().contains("│ 1.500 │"),
        "{table}"
    );
    let plot = client.run("plot([1.0, 3.0, 2.0])");
    let plot = &plot.first("execute_result")["data"];
    assert!(
        plot["image/svg+xml"].as_str().unwrap().starts_with("<svg"),
        "{plot}"
    );
    // Results of earlier cells, by number.
    assert_eq!(
        client.run("_1 + 1").first("execute_result")["data"]["text/plain"],
        "43"
    );
    assert_eq!(client.run("let x = 1;").kinds(), ["execute_input"]);
    let noted = client.run("debug(7); clear_output()");
    assert_eq!(noted.kinds(), ["execute_input", "stream", "clear_output"]);
    assert_eq!(noted.first("stream")["name"], "stderr");
}

#[test]
fn silent_cells_and_those_without_history_take_no_number() {
    let mut client = Client::start();
    let silent = client.ask(ExecuteRequest {
        silent: true,
        ..ExecuteRequest::new("let kept = 5; print(1); kept".into())
    });
    assert_eq!(silent.kinds(), [""; 0]);
    let unnumbered = client.ask(ExecuteRequest {
        store_history: false,
        ..ExecuteRequest::new("kept".into())
    });
    assert_eq!(
        unnumbered.first("execute_result")["data"]["text/plain"],
        "5"
    );
    let asked = ExecuteRequest {
        user_expressions: Some(
            [("twice", "kept * 2"), ("wrong", "no_such_name")]
                .map(|(name, code)| (name.to_string(), code.to_string()))
                .into(),
        ),
        ..ExecuteRequest::new("kept + 1".into())
    };
    let reply = client.ask(asked).reply;
    assert_eq!(reply["execution_count"], 1);
    let results = &reply["user_expressions"];
    assert_eq!(results["twice"]["data"]["text/plain"], "10");
    assert_eq!(results["wrong"]["status"], "error");
}

#[test]
fn magics_are_numbered_as_cells_are() {
    let mut client = Client::start();
    let codes = ["let x = 2;", "%who", "no_such", "%no_such", "%time x", "x"];
    for (number, code) in (1..).zip(codes) {
        assert_eq!(client.run(code).reply["execution_count"], number, "{code}");
    }
    let last = client.run("Out[6] + Out[5]");
    assert_eq!(last.first("execute_result")["data"]["text/plain"], "4");
    assert_eq!(last.reply["execution_count"], 7);
}

#[test]
fn text_that_comes_fast_is_whole_and_in_order() {
    let mut client = Client::start();
    let answer = client.run("for i in 0..20_000 { print(i); }");
    let streams = answer.shown.iter().filter(|(kind, _)| kind == "stream");
    let texts: Vec<&str> = streams
        .map(|(_, it)| it["text"].as_str().unwrap())
        .collect();
    let expected: String = (0..20_000).map(|i| format!("{i}\n")).collect();
    assert!(texts.concat() == expected);
    assert!(texts.len() < 200, "{}", texts.len());
}

#[test]
fn failures_show_their_place_and_cancel_what_waits() {
    let mut client = Client::start();
    client.run("fn f(x) {\n    throw x\n}");
    let ids: Vec<String> = ["f(\"oh\")", "print(1)"]
        .map(|code| client.send(ExecuteRequest::new(code.into())))
        .into();
    let info = client.send(KernelInfoRequest {});
    let (parent, reply) = client.reply();
    let failed = client.shown(&ids[0]);
    assert_eq!(parent, ids[0]);
    let reply = serde_json::to_value(reply.content).unwrap();
    assert_eq!(
        (&reply["status"], &reply["ename"]),
        (&json!("error"), &json!("RuntimeError"))
    );
    let kinds: Vec<&str> = failed.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["execute_input", "error"]);
    let traceback = failed[1].1["traceback"].to_string();
    assert!(
        traceback.contains("throw x") && traceback.contains("In [2]:1:1"),
        "{traceback}"
    );
    let (parent, reply) = client.reply();
    assert_eq!(parent, ids[1]);
    assert_eq!(
        serde_json::to_value(reply.content).unwrap()["status"],
        "aborted"
    );
    assert_eq!(client.shown(&ids[1]), []);
    assert_eq!(client.reply().0, info);
    client.shown(&info);
    // What comes later runs, and without stop_on_error nothing is cancelled.
    let careless = ExecuteRequest {
        stop_on_error: false,
        ..ExecuteRequest::new("let 1 = 2".into())
    };
    let ids = [
        client.send(careless),
        client.send(ExecuteRequest::new("7".into())),
    ];
    let syntax = serde_json::to_value(client.reply().1.content).unwrap();
    assert_eq!(syntax["ename"], "SyntaxError");
    client.shown(&ids[0]);
    assert_eq!(
        serde_json::to_value(client.reply().1.content).unwrap()["status"],
        "ok"
    );
}

#[test]
fn a_message_and_a_signal_interrupt() {
    let mut client = Client::start();
    let by_message = |client: &mut Client| {
        client.send_control(InterruptRequest {});
        assert_eq!(client.control_reply().message_type(), "interrupt_reply");
    };
    let by_signal = |client: &mut Client| {
        let id = client.process.id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-INT", &id])
            .status();
        assert!(sent.unwrap().success());
    };
    let ways: [&dyn Fn(&mut Client); 2] = [&by_message, &by_signal];
    let loops = "print(\"on\"); loop {}";
    let sleeps = "!echo on; sleep 600; echo off";
    for (code, interrupt) in [(loops, ways[0]), (loops, ways[1]), (sleeps, ways[0])] {
        client.send(ExecuteRequest::new(code.into()));
        while client.next_message().message_type() != "stream" {}
        interrupt(&mut client);
        let reply = serde_json::to_value(client.reply().1.content).unwrap();
        assert_eq!(reply["ename"], "Interrupted", "{reply}");
        client.send(ExecuteRequest::new("\"still here\"".into()));
        while client.next_message().message_type() != "execute_result" {}
        client.reply();
    }
}

#[test]
fn long_work_updates_one_display() {
    let mut client = Client::start();
    let code = "let m = load(\"embedded:student\"); m.generate(\"the soup was\", #{max_new_tokens: 8, stream: true});";
    let answer = client.run(code);
    assert_eq!(answer.reply["status"], "ok", "{answer:?}");
    let code = "grpo(student(m, #{rank: 1}), [\"the bed was\"], |s| s.map(|x| 1.0), \
        #{group: 2, prompts_per_step: 1, max_new_tokens: 4}).run(2);";
    let answer = client.run(code);
    let first = answer.first("display_data");
    let id = &first["transient"]["display_id"];
    assert!(id.is_string(), "{first}");
    let last = answer
        .shown
        .iter()
        .rfind(|(kind, _)| kind == "update_display_data")
        .unwrap();
    assert_eq!(&last.1["transient"]["display_id"], id);
    assert!(
        last.1["data"]["text/plain"]
            .as_str()
            .unwrap()
            .contains("2/2"),
        "{last:?}"
    );
}

#[test]
fn parts_of_long_work_share_a_display() {
    let server = Server::open(|_| likely(&[("Yes", 0.5), ("No", 0.5)]));
    let code = format!(
        "let j = judge_remote(\"{}\", #{{model: \"m\"}}); for a in [\"a\", \"b\", \"c\"] {{ \
         j.score_all([#{{prompt: \"p\", completion: a}}, #{{prompt: \"q\", completion: a}}]); }}",
        server.url
    );
    let answer = Client::start().run(&code);
    assert_eq!(answer.reply["status"], "ok", "{answer:?}");
    let opened = answer
        .shown
        .iter()
        .filter(|(kind, _)| kind == "display_data");
    assert_eq!(opened.count(), 1, "{answer:?}");
}

#[test]
fn questions_about_code() {
    let mut client = Client::start();
    client.run("let map = #{weit: 3}; 1");
    let complete = |client: &mut Client, code: &str| {
        let cursor_pos = code.chars().count();
        let request = CompleteRequest {
            code: code.into(),
            cursor_pos,
        };
        client.ask(request).reply
    };
    let found = complete(&mut client, "\"größe\" + map.we");
    assert_eq!(found["matches"], json!(["weit"]));
    assert_eq!(
        (&found["cursor_start"], &found["cursor_end"]),
        (&json!(14), &json!(16))
    );
    let types = &complete(&mut client, "load")["metadata"]["_jupyter_types_experimental"];
    assert_eq!(types[0]["type"], "function", "{types}");
    let inspect = |client: &mut Client, code: &str, cursor_pos: usize| {
        let code = code.into();
        client
            .ask(InspectRequest {
                code,
                cursor_pos,
                detail_level: Some(0),
            })
            .reply
    };
    let told = inspect(&mut client, "\"größe\"; load(\"x\", ", 19);
    assert!(
        told["data"]["text/plain"]
            .as_str()
            .unwrap()
            .starts_with("load("),
        "{told}"
    );
    assert_eq!(inspect(&mut client, "\"ö\" + map", 7)["found"], true);
    let nothing = inspect(&mut client, "no_such_name", 3);
    assert_eq!(
        (&nothing["found"], &nothing["status"]),
        (&json!(false), &json!("ok"))
    );
    let finished =
        |client: &mut Client, code: &str| client.ask(IsCompleteRequest { code: code.into() }).reply;
    assert_eq!(finished(&mut client, "1 + 1")["status"], "complete");
    let more = finished(&mut client, "fn f() {\n    if x {");
    assert_eq!(
        (&more["status"], &more["indent"]),
        (&json!("incomplete"), &json!("        "))
    );
    assert_eq!(finished(&mut client, "1 +) 2")["status"], "invalid");
    let page = client.run("load?");
    assert_eq!(page.reply["payload"][0]["source"], "page");
}

#[test]
fn questions_about_the_kernel() {
    let mut client = Client::start();
    let info = client.ask(KernelInfoRequest {}).reply;
    assert_eq!(info["language_info"]["name"], "rhai");
    assert_eq!(info["language_info"]["file_extension"], ".rhai");
    let control = client.send_control(KernelInfoRequest {});
    assert_eq!(client.control_reply().message_type(), "kernel_info_reply");
    assert_eq!(client.shown(&control), []);
    let comms = client.ask(CommInfoRequest::default()).reply;
    assert_eq!(comms["comms"], json!({}));
    let open = client.send(CommOpen {
        target_name: "widget".into(),
        ..CommOpen::default()
    });
    assert_eq!(client.shown(&open)[0].0, "comm_close");
    for code in ["1", "22", "1"] {
        client.run(code);
    }
    // What clients leave out is filled in.
    let search = unknown(
        "history_request",
        json!({ "hist_access_type": "search", "pattern": "1*", "unique": true }),
    );
    assert_eq!(client.ask(search).reply["history"], json!([[1, 3, "1"]]));
    let tail = HistoryRequest::Tail {
        n: 1,
        output: true,
        raw: true,
    };
    assert_eq!(
        client.ask(tail).reply["history"],
        json!([[1, 3, ["1", "1"]]])
    );
}

#[test]
fn odd_messages_harm_nobody() {
    let mut client = Client::start();
    let fault = client
        .ask(unknown("execute_request", json!({ "silent": 3 })))
        .reply;
    assert_eq!(
        (&fault["status"], &fault["ename"]),
        (&json!("error"), &json!("MessageError"))
    );
    let ignored = client.send(unknown("no_such_request", json!({})));
    assert_eq!(client.shown(&ignored), []);
    // A client with another key is not heard.
    let stranger = client::stranger(&client.info);
    stranger.join().unwrap();
    assert_eq!(client.run("1 + 1").reply["status"], "ok");
}

#[test]
fn breakpoints_ask_below_the_cell() {
    let mut client = Client::start();
    let code = "fn f(x) {\n    breakpoint();\n    x + 1\n}\nf(4)";
    let id = client.send(ExecuteRequest {
        allow_stdin: true,
        ..ExecuteRequest::new(code.into())
    });
    let prompt = client.answer("x * 100");
    assert!(!prompt.is_empty());
    assert_eq!(client.answer("c"), prompt);
    assert_eq!(client.reply().0, id);
    let shown = client.shown(&id);
    let text = format!("{shown:?}");
    assert!(text.contains("400"), "{text}");
    let result = shown.iter().find(|(kind, _)| kind == "execute_result");
    assert_eq!(result.unwrap().1["data"]["text/plain"], "5");
    // At the top level.
    let id = client.send(ExecuteRequest {
        allow_stdin: true,
        ..ExecuteRequest::new("breakpoint(); 1".into())
    });
    assert_eq!(client.answer("c"), prompt);
    assert_eq!(client.reply().0, id);
    client.shown(&id);
    // A client that takes no input.
    let refused = client.run("f(4)").reply;
    assert_eq!(refused["status"], "error", "{refused}");
}

#[test]
fn kernels_leave_when_told() {
    let mut client = Client::start();
    client.send(ExecuteRequest::new("loop {}".into()));
    client.send_control(ShutdownRequest { restart: true });
    let reply = serde_json::to_value(client.control_reply().content).unwrap();
    assert_eq!(reply["restart"], true);
    assert_eq!(client.left(), Some(0));
    let mut client = Client::start();
    client.send(ShutdownRequest { restart: false });
    assert_eq!(client.reply().1.message_type(), "shutdown_reply");
    assert_eq!(client.left(), Some(0));
    let mut client = Client::start();
    let answer = client.run("exit(3)");
    assert_eq!(answer.reply["payload"][0]["source"], "ask_exit");
    assert_eq!(client.left(), Some(3));
}

#[test]
fn bad_connection_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.json");
    let text = file.display().to_string();
    let check = |expected: &str| {
        let output = run(&["kernel", "run", &text], "");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(expected), "{error}");
        assert_eq!(output.status.code(), Some(2));
    };
    check("can't read the connection file");
    std::fs::write(&file, "{}").unwrap();
    check("is no connection file: missing field `ip`");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut info = serde_json::to_value(places(folder.path())).unwrap();
    info["transport"] = json!("tcp");
    info["ip"] = json!("127.0.0.1");
    info["shell_port"] = json!(port);
    std::fs::write(&file, info.to_string()).unwrap();
    check(&format!("can't listen on tcp://127.0.0.1:{port} (shell)"));
}

#[test]
fn kernels_are_installed_checked_and_removed() {
    let data = tempfile::tempdir().unwrap();
    let kernel = |args: &[&str]| {
        let mut command = program();
        command.arg("kernel").args(args);
        command.env("JUPYTER_DATA_DIR", data.path());
        for other in ["JUPYTER_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"] {
            command.env_remove(other);
        }
        let output = command.output().unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    };
    let (code, told) = kernel(&[
        "install",
        "--name",
        "mine",
        "--sandbox",
        "--time-limit",
        "90s",
    ]);
    assert_eq!(code, Some(0), "{told}");
    let folder = data.path().join("kernels/mine");
    let spec = std::fs::read(folder.join("kernel.json")).unwrap();
    let spec: serde_json::Value = serde_json::from_slice(&spec).unwrap();
    assert_eq!(
        (&spec["language"], &spec["interrupt_mode"]),
        (&json!("rhai"), &json!("message"))
    );
    let (_, told) = kernel(&["check"]);
    let runs = "kernel run --time-limit=1m30s --sandbox {connection_file}";
    for words in [
        &folder.display().to_string(),
        runs,
        "starts, and answers as rlaif-repl",
    ] {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(kernel(&["uninstall", "--name", "mine"]).0, Some(0));
    let (code, told) = kernel(&["uninstall", "--name", "mine"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("no kernel mine in"), "{told}");
}
