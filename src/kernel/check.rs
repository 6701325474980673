//! Does an installed kernel start? Asked as a client asks.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jupyter_protocol::{
    ConnectionInfo, JupyterMessage, JupyterMessageContent, KernelInfoRequest, ShutdownRequest,
    Transport,
};
use jupyter_zmq_client::{create_client_control_connection, peek_ports};

use super::spec::Installed;
use crate::diag::{Context as _, Error, Result};
use crate::fail;

/// What a kernel gets to start and answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// What it gets to leave.
const FAREWELL: Duration = Duration::from_secs(3);

/// Starts the kernel and asks who it is.
///
/// # Errors
/// It does not start, or does not answer.
pub fn start(kernel: &Installed) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the sockets")?;
    runtime.block_on(meet(kernel))
}

async fn meet(kernel: &Installed) -> Result<String> {
    let info = connection().await?;
    let folder = tempfile::tempdir().context("can't make a temporary folder")?;
    let file = folder.path().join("kernel.json");
    let text = serde_json::to_string(&info)
        .map_err(|error| Error::new(format!("can't write the connection file: {error}")))?;
    std::fs::write(&file, text).with_context(|| format!("can't write {}", file.display()))?;
    let [program, args @ ..] = kernel.argv.as_slice() else {
        fail!("kernel.json names no command");
    };
    let args = args
        .iter()
        .map(|arg| arg.replace("{connection_file}", &file.to_string_lossy()));
    let mut process = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("can't start {program}"))?;
    let answer = tokio::time::timeout(PATIENCE, greet(&info, &mut process)).await;
    if process.try_wait().is_ok_and(|left| left.is_none()) {
        // It would not leave by itself.
        process.kill().ok();
    }
    process.wait().ok();
    answer.unwrap_or_else(|_| Err(Error::new("it starts but does not answer")))
}

/// A place for a kernel on this machine. The key only has to be the same on both sides.
async fn connection() -> Result<ConnectionInfo> {
    let ip = Ipv4Addr::LOCALHOST;
    let ports = peek_ports(ip.into(), 5).await;
    let ports = ports.map_err(|error| Error::new(format!("no free ports: {error}")))?;
    let [shell_port, iopub_port, stdin_port, control_port, hb_port] = ports[..] else {
        fail!("no free ports");
    };
    Ok(ConnectionInfo {
        ip: ip.to_string(),
        transport: Transport::TCP,
        shell_port,
        iopub_port,
        stdin_port,
        control_port,
        hb_port,
        key: JupyterMessage::from(KernelInfoRequest {}).header.msg_id,
        signature_scheme: "hmac-sha256".into(),
        kernel_name: None,
    })
}

/// Asks the kernel who it is, and ends it.
async fn greet(info: &ConnectionInfo, process: &mut Child) -> Result<String> {
    let failed = |error: jupyter_zmq_client::RuntimeError| Error::new(error.to_string());
    let mut control = loop {
        if let Some(status) = process.try_wait().context("can't watch the kernel")? {
            fail!("it left at once: {status}");
        }
        match create_client_control_connection(info, "check").await {
            Ok(control) => break control,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    control
        .send(KernelInfoRequest {}.into())
        .await
        .map_err(failed)?;
    let reply = control.read().await.map_err(failed)?;
    let JupyterMessageContent::KernelInfoReply(told) = reply.content else {
        fail!("it answers {}", reply.header.msg_type);
    };
    control
        .send(ShutdownRequest { restart: false }.into())
        .await
        .map_err(failed)?;
    let left = async {
        while process.try_wait().is_ok_and(|left| left.is_none()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(FAREWELL, left).await {
        Ok(()) => Ok(format!(
            "{} {}",
            told.implementation, told.implementation_version
        )),
        Err(_) => Err(Error::new(
            "it starts and answers, but does not leave when told to",
        )),
    }
}
