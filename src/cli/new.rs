//! `rlaif-repl new`: the folder of a new experiment.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::diag::{Context as _, Error, Result};
use crate::files::{refuse_existing, write_atomic};

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The folder to make; its last part names the experiment.
    folder: PathBuf,
}

/// Name and text of each file; `{name}` stands for the experiment's.
const FILES: [(&str, &str); 4] = [
    ("experiment.rhai", include_str!("template/experiment.rhai")),
    ("reward.rhai", include_str!("template/reward.rhai")),
    ("README.md", include_str!("template/README.md")),
    (".gitignore", include_str!("template/gitignore")),
];

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let folder = &args.folder;
    let name = folder.file_name().and_then(|name| name.to_str());
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let Some(name) = name.filter(|name| name.chars().all(plain)) else {
        return Err(
            Error::new(format!("{} names no experiment", folder.display()))
                .hint("letters, digits, - and _, as in: rlaif-repl new brevity"),
        );
    };
    refuse_existing(folder, false, "another name")?;
    std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    for (file, text) in FILES {
        write_atomic(&folder.join(file), text.replace("{name}", name).as_bytes())?;
    }
    println!(
        "made {0}; go on with: cd {0} && rlaif-repl experiment.rhai",
        folder.display()
    );
    Ok(ExitCode::SUCCESS)
}
