//! The five sockets, and the tasks that serve them on a thread of their own.

use std::sync::Arc;
use std::time::Duration;

use jupyter_protocol::{ConnectionInfo, IoPubWelcome, JupyterMessageContent};
use jupyter_zmq_client::{
    Connection, KernelControlConnection, KernelHeartbeatConnection, KernelIoPubXPubConnection,
    KernelShellConnection, KernelStdinConnection, RouterSendConnection, RuntimeError,
    SubscriptionEvent, create_kernel_control_connection, create_kernel_heartbeat_connection,
    create_kernel_iopub_xpub_connection, create_kernel_shell_connection,
    create_kernel_stdin_connection,
};
use zeromq::SocketRecv;

use super::control::Control;
use super::outbox::{Channel, Outbox};
use super::output::publish;
use super::wire::{self, Request};
use crate::diag::{Error, Result};

/// What a socket that keeps failing waits, so that it does not spin.
const PAUSE: Duration = Duration::from_millis(20);
/// What the last messages get to leave.
const LINGER: Duration = Duration::from_millis(100);

pub(super) struct Sockets {
    shell: KernelShellConnection,
    control: KernelControlConnection,
    stdin: KernelStdinConnection,
    iopub: KernelIoPubXPubConnection,
    heartbeat: KernelHeartbeatConnection,
}

impl Sockets {
    /// Listens where the connection file says.
    ///
    /// # Errors
    /// An address can't be had, such as when another kernel listens there.
    pub async fn bind(info: &ConnectionInfo, session: &str) -> Result<Self> {
        let told = |name: &str, url: String| {
            let name = name.to_string();
            move |error: RuntimeError| {
                Error::new(format!("can't listen on {url} ({name}): {error}"))
                    .hint("each kernel needs five free ports and a connection file of its own")
            }
        };
        Ok(Self {
            shell: create_kernel_shell_connection(info, session)
                .await
                .map_err(told("shell", info.shell_url()))?,
            control: create_kernel_control_connection(info, session)
                .await
                .map_err(told("control", info.control_url()))?,
            stdin: create_kernel_stdin_connection(info, session)
                .await
                .map_err(told("stdin", info.stdin_url()))?,
            iopub: create_kernel_iopub_xpub_connection(info, session)
                .await
                .map_err(told("iopub", info.iopub_url()))?,
            heartbeat: create_kernel_heartbeat_connection(info)
                .await
                .map_err(told("heartbeat", info.hb_url()))?,
        })
    }

    /// Serves until the outbox is closed and empty.
    pub async fn serve(self, outbox: Arc<Outbox>, control: Control) {
        let (shell_out, shell_in) = self.shell.split();
        let (control_out, control_in) = self.control.split();
        let (stdin_out, stdin_in) = self.stdin.split();
        let (shell, stdin) = (control.clone(), control.clone());
        tokio::spawn(beat(self.heartbeat));
        tokio::spawn(receive(shell_in, move |request| shell.request(request)));
        tokio::spawn(receive(stdin_in, move |request| stdin.answer(request)));
        tokio::spawn(super::control::signals(control.clone()));
        tokio::spawn(receive(control_in, move |request| control.handle(request)));
        let writer = Writer {
            shell: shell_out,
            control: control_out,
            stdin: stdin_out,
            iopub: self.iopub,
        };
        writer.run(&outbox).await;
        tokio::time::sleep(LINGER).await;
    }
}

/// Hands on what comes, whatever comes: one odd message must not end the kernel.
async fn receive<S: SocketRecv>(mut connection: Connection<S>, mut take: impl FnMut(Request)) {
    loop {
        match wire::read(&mut connection).await {
            Ok(request) => take(request),
            Err(RuntimeError::ZmqError(error)) => {
                eprintln!("socket: {error}");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => eprintln!("ignored a message: {error}"),
        }
    }
}

async fn beat(mut heartbeat: KernelHeartbeatConnection) {
    loop {
        if heartbeat.single_heartbeat().await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The one task that sends.
struct Writer {
    shell: RouterSendConnection,
    control: RouterSendConnection,
    stdin: RouterSendConnection,
    iopub: KernelIoPubXPubConnection,
}

impl Writer {
    async fn run(mut self, outbox: &Outbox) {
        loop {
            tokio::select! {
                letters = outbox.next() => {
                    let Some(letters) = letters else { return };
                    for (channel, message) in letters {
                        let sent = match channel {
                            Channel::Shell => self.shell.send(message).await,
                            Channel::Control => self.control.send(message).await,
                            Channel::Stdin => self.stdin.send(message).await,
                            Channel::Iopub => self.iopub.send(message).await,
                        };
                        // The client may be gone.
                        if let Err(error) = sent {
                            eprintln!("can't send: {error}");
                        }
                    }
                }
                event = self.iopub.recv_subscription() => match event {
                    Ok(SubscriptionEvent::Subscribe(topic)) => {
                        publish(outbox, welcome(topic), None);
                    }
                    Ok(SubscriptionEvent::Unsubscribe(_)) => {}
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
            }
        }
    }
}

/// Tells a client that it gets messages from now on (JEP 65).
fn welcome(topic: String) -> JupyterMessageContent {
    IoPubWelcome::new(topic).into()
}
