//! The kernelspec: the folder by which Jupyter, and every editor that reads its folders, knows the kernel.

use std::path::{Path, PathBuf};

use jupyter_protocol::JupyterKernelspec;
use serde_json::json;

use crate::diag::{Context as _, Error, Result};
use crate::fail;

/// The name of the folder if the user gives none.
pub const NAME: &str = "rlaif-repl";
const LANGUAGE: &str = "rhai";
const FILE: &str = "kernel.json";
const LOGOS: [(&str, &[u8]); 3] = [
    ("logo-svg.svg", include_bytes!("logo.svg")),
    ("logo-32x32.png", include_bytes!("logo-32.png")),
    ("logo-64x64.png", include_bytes!("logo-64.png")),
];

/// An installed kernel of ours.
#[derive(Debug)]
pub struct Installed {
    pub folder: PathBuf,
    pub display_name: String,
    /// The command, with `{connection_file}` where the file's path goes.
    pub argv: Vec<String>,
}

/// Writes the kernelspec below a data folder of Jupyter's, for `program kernel run` with the options; gives its folder.
///
/// # Errors
/// The name is no kernel's name or that of another kernel, or the folder can't be written.
pub fn install(data: &Path, name: &str, program: &Path, options: &[String]) -> Result<PathBuf> {
    let folder = place(data, name)?;
    let Some(program) = program.to_str() else {
        fail!(
            "the path {} is not UTF-8, which kernel.json must be",
            program.display()
        );
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let write = |file: &str, bytes: &[u8]| {
        let path = folder.join(file);
        std::fs::write(&path, bytes).with_context(|| format!("can't write {}", path.display()))
    };
    let display_name = match name {
        NAME => "RLAIF (Rhai)".to_string(),
        name => format!("RLAIF (Rhai, {name})"),
    };
    let options = options.iter().map(String::as_str);
    let argv: Vec<&str> = [program, "kernel", "run"]
        .into_iter()
        .chain(options)
        .chain(["{connection_file}"])
        .collect();
    let spec = json!({
        "argv": argv,
        "display_name": display_name,
        "language": LANGUAGE,
        "interrupt_mode": "message",
        "metadata": { "debugger": false },
    });
    write(FILE, format!("{spec:#}\n").as_bytes())?;
    for (file, bytes) in LOGOS {
        write(file, bytes)?;
    }
    Ok(folder)
}

/// Removes the kernelspec; `None` if there is none.
///
/// # Errors
/// The name is that of another kernel, or the folder can't be removed.
pub fn uninstall(data: &Path, name: &str) -> Result<Option<PathBuf>> {
    let folder = place(data, name)?;
    if !folder.exists() {
        return Ok(None);
    }
    std::fs::remove_dir_all(&folder)
        .with_context(|| format!("can't remove {}", folder.display()))?;
    Ok(Some(folder))
}

/// Every kernel of ours below a data folder, by name.
pub fn installed(data: &Path) -> Vec<Installed> {
    let folders = std::fs::read_dir(data.join("kernels"));
    let folders = folders.into_iter().flatten().flatten();
    let mut found: Vec<Installed> = folders.filter_map(|entry| ours(&entry.path())).collect();
    found.sort_by(|a, b| a.folder.cmp(&b.folder));
    found
}

/// The folder of a kernel, which is ours or free.
fn place(data: &Path, name: &str) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(
            Error::new(format!("\"{name}\" can't be the name of a kernel"))
                .hint("letters, digits, `-`, `_` and `.`"),
        );
    }
    let folder = data.join("kernels").join(name);
    if folder.exists() && ours(&folder).is_none() {
        return Err(
            Error::new(format!("{} is another kernel", folder.display()))
                .hint("choose a name with --name"),
        );
    }
    Ok(folder)
}

fn ours(folder: &Path) -> Option<Installed> {
    let text = std::fs::read_to_string(folder.join(FILE)).ok()?;
    let spec: JupyterKernelspec = serde_json::from_str(&text).ok()?;
    let runs = spec.argv.get(1..3)? == ["kernel", "run"];
    (spec.language == LANGUAGE && runs).then(|| Installed {
        folder: folder.into(),
        display_name: spec.display_name,
        argv: spec.argv,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_come_and_go() {
        let data = tempfile::tempdir().unwrap();
        let program = Path::new("/bin/rlaif-repl");
        let folder = install(data.path(), NAME, program, &[]).unwrap();
        install(data.path(), "second", program, &["--sandbox".into()]).unwrap();
        install(data.path(), NAME, program, &[]).unwrap();
        assert!(folder.join("logo-64x64.png").exists());
        let names: Vec<String> = installed(data.path())
            .into_iter()
            .map(|k| k.display_name)
            .collect();
        assert_eq!(names, ["RLAIF (Rhai)", "RLAIF (Rhai, second)"]);
        assert_eq!(
            installed(data.path())[1].argv[1..],
            ["kernel", "run", "--sandbox", "{connection_file}"]
        );
        assert_eq!(uninstall(data.path(), NAME).unwrap(), Some(folder));
        assert_eq!(uninstall(data.path(), NAME).unwrap(), None);
        assert_eq!(installed(data.path()).len(), 1);
    }

    #[test]
    fn kernels_of_others_are_left_alone() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("kernels/python3");
        std::fs::create_dir_all(&folder).unwrap();
        let spec =
            r#"{"argv": ["python", "-m", "ipykernel"], "display_name": "P", "language": "python"}"#;
        std::fs::write(folder.join(FILE), spec).unwrap();
        let program = Path::new("/bin/rlaif-repl");
        for name in ["python3", "", "a/b", "..", "ä"] {
            assert!(install(data.path(), name, program, &[]).is_err(), "{name}");
            assert!(uninstall(data.path(), name).is_err(), "{name}");
        }
        assert!(folder.exists());
    }
}
