//! What git says of a folder, for the record of a run.

use std::path::Path;
use std::process::{Command, Output};

use crate::runs::Git;

/// The commit that `folder` is at and whether there are changes beside it; nothing outside a repository
/// or without git.
pub(super) fn commit(folder: &Path) -> Option<Git> {
    let git = |args: &[&str]| -> Option<Output> {
        let output = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(args)
            .output()
            .ok()?;
        output.status.success().then_some(output)
    };
    let head = git(&["rev-parse", "HEAD"])?;
    let status = git(&["status", "--porcelain"])?;
    Some(Git {
        commit: String::from_utf8_lossy(&head.stdout).trim().to_owned(),
        dirty: !status.stdout.is_empty(),
    })
}
