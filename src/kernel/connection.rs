//! The connection file that a Jupyter client writes: addresses, ports and the key of the signatures.

use std::path::Path;

use jupyter_protocol::ConnectionInfo;

use crate::diag::{Context as _, Error, Result};

/// The only scheme that Jupyter clients use.
const SCHEME: &str = "hmac-sha256";

/// Reads a connection file.
///
/// # Errors
/// The file can't be read, is not a connection file, or asks for signatures other than hmac-sha256.
pub(super) fn read(path: &Path) -> Result<ConnectionInfo> {
    let hint = "a Jupyter client writes this file; `rlaif-repl kernel install` tells clients how to start the kernel";
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("can't read the connection file {}", path.display()))
        .map_err(|error| error.hint(hint))?;
    parse(&text).map_err(|error| {
        Error::new(format!("{} is no connection file: {error}", path.display())).hint(hint)
    })
}

fn parse(text: &str) -> Result<ConnectionInfo> {
    let info: ConnectionInfo =
        serde_json::from_str(text).map_err(|error| Error::new(error.to_string()))?;
    match info.signature_scheme.as_str() {
        SCHEME => Ok(info),
        other => Err(Error::new(format!(
            "signature scheme \"{other}\", expected {SCHEME}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_checked() {
        let good = r#"{"ip": "127.0.0.1", "transport": "tcp", "shell_port": 1, "iopub_port": 2, "stdin_port": 3,
            "control_port": 4, "hb_port": 5, "key": "k", "signature_scheme": "hmac-sha256", "jupyter_session": ""}"#;
        assert_eq!(parse(good).unwrap().control_port, 4);
        let check = |from: &str, to: &str, expected: &str| {
            let error = parse(&good.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(
            "sha256",
            "md5",
            "signature scheme \"hmac-md5\", expected hmac-sha256",
        );
        check("\"key\": \"k\",", "", "missing field `key`");
        check("\"tcp\"", "\"udp\"", "unknown variant `udp`");
        check("{", "", "line 1");
    }
}
