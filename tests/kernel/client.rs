//! A kernel of its own for each test, and a client that asks it.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use jupyter_protocol::{
    ConnectionInfo, ExecuteRequest, InputReply, JupyterMessage, JupyterMessageContent, Transport,
};
use jupyter_zmq_client::{
    ClientControlConnection, ClientIoPubConnection, ClientShellConnection, ClientStdinConnection,
    create_client_control_connection, create_client_iopub_connection,
    create_client_shell_connection_with_identity, create_client_stdin_connection_with_identity,
    peer_identity_for_session,
};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::cli::program;

/// Far more than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

pub struct Client {
    pub process: Child,
    pub info: ConnectionInfo,
    /// Goes with the kernel.
    _folder: tempfile::TempDir,
    runtime: Runtime,
    shell: ClientShellConnection,
    control: ClientControlConnection,
    iopub: ClientIoPubConnection,
    stdin: ClientStdinConnection,
}

/// What one request led to.
#[derive(Debug)]
pub struct Answer {
    pub reply: Value,
    /// On iopub, between busy and idle: the kind and the content.
    pub shown: Vec<(String, Value)>,
}

impl Answer {
    pub fn kinds(&self) -> Vec<&str> {
        self.shown.iter().map(|(kind, _)| kind.as_str()).collect()
    }

    /// What is printed, all of it.
    pub fn printed(&self) -> String {
        let streams = self.shown.iter().filter(|(kind, _)| kind == "stream");
        streams
            .map(|(_, content)| content["text"].as_str().unwrap())
            .collect()
    }

    /// The first message of that kind.
    pub fn first(&self, kind: &str) -> &Value {
        let found = self.shown.iter().find(|(known, _)| known == kind);
        &found
            .unwrap_or_else(|| panic!("no {kind} in {:?}", self.kinds()))
            .1
    }
}

/// Where a kernel may listen: sockets in a folder of its own, so that no two want the same.
pub fn places(folder: &Path) -> ConnectionInfo {
    ConnectionInfo {
        ip: folder.join("s").display().to_string(),
        transport: Transport::IPC,
        shell_port: 1,
        iopub_port: 2,
        stdin_port: 3,
        control_port: 4,
        hb_port: 5,
        key: "a key".into(),
        signature_scheme: "hmac-sha256".into(),
        kernel_name: None,
    }
}

impl Client {
    /// Starts a kernel whose folder is empty, and waits until it tells who it is.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let info = places(folder.path());
        let file = folder.path().join("connection.json");
        std::fs::write(&file, serde_json::to_string(&info).unwrap()).unwrap();
        let process = program()
            .args(["kernel", "run"])
            .arg(&file)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let name = "tester";
        let identity = peer_identity_for_session(name).unwrap();
        let (shell, control, iopub, stdin) = runtime.block_on(async {
            let listens = async {
                while !folder.path().join("s-5").exists() {
                    tokio::time::sleep(PAUSE).await;
                }
            };
            let started = tokio::time::timeout(PATIENCE, listens).await;
            started.expect("the kernel does not listen");
            (
                create_client_shell_connection_with_identity(&info, name, identity.clone())
                    .await
                    .unwrap(),
                create_client_control_connection(&info, name).await.unwrap(),
                create_client_iopub_connection(&info, "", name)
                    .await
                    .unwrap(),
                create_client_stdin_connection_with_identity(&info, name, identity)
                    .await
                    .unwrap(),
            )
        });
        let mut client = Self {
            process,
            info,
            _folder: folder,
            runtime,
            shell,
            control,
            iopub,
            stdin,
        };
        let (kind, welcome) = client.next_shown();
        assert_eq!(
            (kind.as_str(), &welcome["subscription"]),
            ("iopub_welcome", &"".into())
        );
        client
    }

    /// Sends on the shell channel; gives the message's id.
    pub fn send(&mut self, content: impl Into<JupyterMessageContent>) -> String {
        let message = JupyterMessage::new(content, None);
        let id = message.header.msg_id.clone();
        self.runtime.block_on(self.shell.send(message)).unwrap();
        id
    }

    pub fn send_control(&mut self, content: impl Into<JupyterMessageContent>) -> String {
        let message = JupyterMessage::new(content, None);
        let id = message.header.msg_id.clone();
        self.runtime.block_on(self.control.send(message)).unwrap();
        id
    }

    /// The next answer on the shell channel: whose, and what.
    pub fn reply(&mut self) -> (String, JupyterMessage) {
        let read = async { tokio::time::timeout(PATIENCE, self.shell.read()).await };
        let message = self.runtime.block_on(read).expect("no reply").unwrap();
        (message.parent_header.clone().unwrap().msg_id, message)
    }

    pub fn control_reply(&mut self) -> JupyterMessage {
        let read = async { tokio::time::timeout(PATIENCE, self.control.read()).await };
        self.runtime.block_on(read).expect("no reply").unwrap()
    }

    /// Answers the next question of the kernel; gives the question.
    pub fn answer(&mut self, value: &str) -> String {
        let read = async { tokio::time::timeout(PATIENCE, self.stdin.read()).await };
        let question = self.runtime.block_on(read).expect("no question").unwrap();
        let JupyterMessageContent::InputRequest(asked) = &question.content else {
            panic!("{question:?}");
        };
        let prompt = asked.prompt.clone();
        let answer = InputReply {
            value: value.into(),
            ..InputReply::default()
        };
        let answer = JupyterMessage::new(answer, Some(&question));
        self.runtime.block_on(self.stdin.send(answer)).unwrap();
        prompt
    }

    /// The next message on iopub.
    pub fn next_message(&mut self) -> JupyterMessage {
        let read = async { tokio::time::timeout(PATIENCE, self.iopub.read()).await };
        self.runtime.block_on(read).expect("nothing shown").unwrap()
    }

    fn next_shown(&mut self) -> (String, Value) {
        let message = self.next_message();
        (
            message.header.msg_type,
            serde_json::to_value(message.content).unwrap(),
        )
    }

    /// What a request on iopub leads to, up to the end; every message must be its child.
    pub fn shown(&mut self, id: &str) -> Vec<(String, Value)> {
        let mut shown = Vec::new();
        let mut states = Vec::new();
        while states.last().is_none_or(|state| state != "idle") {
            let message = self.next_message();
            assert_eq!(
                message.parent_header.as_ref().unwrap().msg_id,
                id,
                "{message:?}"
            );
            let content = serde_json::to_value(&message.content).unwrap();
            match message.content {
                JupyterMessageContent::Status(status) => {
                    assert_eq!(states.is_empty(), status.execution_state.as_str() == "busy");
                    states.push(status.execution_state.as_str().to_string());
                }
                _ => shown.push((message.header.msg_type, content)),
            }
        }
        shown
    }

    /// Asks, and collects all that comes of it.
    pub fn ask(&mut self, content: impl Into<JupyterMessageContent>) -> Answer {
        let id = self.send(content);
        let (parent, reply) = self.reply();
        assert_eq!(parent, id);
        Answer {
            reply: serde_json::to_value(reply.content).unwrap(),
            shown: self.shown(&id),
        }
    }

    pub fn run(&mut self, code: &str) -> Answer {
        self.ask(ExecuteRequest::new(code.into()))
    }

    /// Waits for the end of the kernel; gives its exit code.
    pub fn left(mut self) -> Option<i32> {
        let process = &mut self.process;
        let left = async {
            loop {
                match process.try_wait().unwrap() {
                    Some(status) => return status.code(),
                    None => tokio::time::sleep(PAUSE).await,
                }
            }
        };
        let left = async { tokio::time::timeout(PATIENCE, left).await };
        self.runtime
            .block_on(left)
            .expect("the kernel does not leave")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Someone without the key asks the kernel to leave.
pub fn stranger(info: &ConnectionInfo) -> std::thread::JoinHandle<()> {
    let info = ConnectionInfo {
        key: "another key".into(),
        ..info.clone()
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut control = create_client_control_connection(&info, "stranger")
                .await
                .unwrap();
            let leave = jupyter_protocol::ShutdownRequest { restart: false };
            control.send(leave.into()).await.unwrap();
            let answer = tokio::time::timeout(Duration::from_millis(100), control.read()).await;
            assert!(answer.is_err(), "a stranger got an answer");
        });
    })
}
