//! A process and those that it started.

use std::path::Path;
use std::process::Command;

/// The process, its children, their children.
pub(super) fn of(process: u32) -> Vec<u32> {
    let parents = parents();
    let mut family = vec![process];
    let mut at = 0;
    while let Some(parent) = family.get(at).copied() {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        let children: Vec<u32> = children.map(|(child, _)| *child).collect();
        family.extend(children);
        at += 1;
    }
    family
}

/// Every process with its parent: out of /proc, or of what `ps` tells where there is none.
fn parents() -> Vec<(u32, u32)> {
    match std::fs::read_dir("/proc/self").is_ok() {
        true => std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| parent(&entry.ok()?.path()))
            .collect(),
        false => {
            let told = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output();
            let told = told.map_or(Vec::new(), |told| told.stdout);
            let told = String::from_utf8_lossy(&told).into_owned();
            told.lines().filter_map(pair).collect()
        }
    }
}

/// `/proc/12/stat` has "12 (name) S 3 …": the state and the parent come after the name, which may be any text.
fn parent(folder: &Path) -> Option<(u32, u32)> {
    let process = folder.file_name()?.to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some((process, rest.split_whitespace().nth(1)?.parse().ok()?))
}

fn pair(line: &str) -> Option<(u32, u32)> {
    let (process, parent) = line.trim().split_once(char::is_whitespace)?;
    Some((process.parse().ok()?, parent.trim().parse().ok()?))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn children_of_children_belong_to_it() {
        let script = "sleep 60 & echo; wait";
        let shell = Command::new("sh")
            .args(["-c", script])
            .stdout(std::process::Stdio::piped())
            .spawn();
        let mut shell = shell.unwrap();
        let mut line = [0];
        std::io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut line).unwrap();
        assert!(of(std::process::id()).contains(&shell.id()));
        let family = of(shell.id());
        assert_eq!((family[0], family.len()), (shell.id(), 2), "{family:?}");
        let family: Vec<String> = family.iter().map(u32::to_string).collect();
        Command::new("sh")
            .args(["-c", &format!("kill -KILL {}", family.join(" "))])
            .status()
            .unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn lines_of_ps() {
        assert_eq!(pair("   12     3"), Some((12, 3)));
        assert_eq!(pair(" "), None);
    }
}
