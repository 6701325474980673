//! Files as a whole: read with the path in the error, written so that no half of one is ever seen.

use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::diag::{Context, Error, Kind, Result};

/// Reads a file; the error names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

/// Reads a text file; the error names it.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| Error::new(format!("{} is not UTF-8 text", path.display())))
}

/// Writes a file by way of a temporary one beside it: after a crash, a full disk or a second writer there
/// is the old content or the new, never a part.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let mut file = tempfile::Builder::new()
            .prefix(".")
            .suffix(".part")
            .tempfile_in(folder.unwrap_or(Path::new(".")))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        open_to_readers(file.as_file())?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| {
        Error::new(error.to_string())
            .kind_of(Kind::Io)
            .context(format!("write {}", path.display()))
    })
}

/// Temporary files are private; what they become should be as readable as any other file.
#[cfg(unix)]
fn open_to_readers(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn open_to_readers(_file: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// Fails if there is something at `path`, unless it is to be `replace`d; `how` is what would let it be.
pub fn refuse_existing(path: &Path, replace: bool, how: &str) -> Result<()> {
    if replace || path.symlink_metadata().is_err() {
        return Ok(());
    }
    let exists = Error::new(format!("{} exists", path.display()));
    Err(exists.hint(format!(
        "take another name, or let it be replaced with {how}"
    )))
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(content: &[u8]) -> String {
    hexadecimal(&Sha256::digest(content))
}

/// The SHA-256 of all that is left to read, a piece at a time.
pub fn sha256_of(mut content: impl Read) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match content.read(&mut piece)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            count => hash.update(&piece[..count]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `text` is what `pattern` says: `*` stands for any characters, `?` for one.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut rest, mut left) = (pattern, text);
    // After a mismatch the last `*` takes one character more.
    let mut star: Option<(&str, &str)> = None;
    loop {
        let (mut wanted, mut found) = (rest.chars(), left.chars());
        match (wanted.next(), found.next()) {
            (Some('*'), _) => {
                rest = wanted.as_str();
                star = Some((rest, left));
                continue;
            }
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == '?' => {
                (rest, left) = (wanted.as_str(), found.as_str());
                continue;
            }
            _ => {}
        }
        let Some((after, taken)) = star else {
            return false;
        };
        let mut taken = taken.chars();
        if taken.next().is_none() {
            return false;
        }
        (rest, left) = (after, taken.as_str());
        star = Some((after, left));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_paths() {
        let check = |pattern, path, expected| {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}")
        };
        check("*.json", "config.json", true);
        check("*.json", "a/b.json", true);
        check("model-*-of-*.safetensors", "model-1-of-2.safetensors", true);
        check("model*", "my-model", false);
        check("a", "a", true);
        check("*", "", true);
        check("*é*", "aéb", true);
        check("a*a", "a", false);
        check("?+?", "1+1", true);
        check("?+?*", "1 + 1", false);
        check("*ab", "aab", true);
        check("", "a", false);
        check("*\n*", "ö\nx", true);
    }

    #[test]
    fn a_digest_is_the_same_in_pieces() {
        let content = vec![7; (1 << 20) + 1];
        assert_eq!(sha256_of(&content[..]).unwrap(), sha256(&content));
    }

    #[test]
    fn writes_replace_and_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(read_text(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(&folder.path().join("missing")).unwrap_err();
        assert!(
            error.to_string().contains("missing: No such file"),
            "{error}"
        );
        let error = write_atomic(&folder.path().join("no/such/x"), b"").unwrap_err();
        assert_eq!(error.kind(), &Kind::Io);
        assert!(error.to_string().contains("no/such/x"), "{error}");
        let binary = folder.path().join("b");
        std::fs::write(&binary, [0xff]).unwrap();
        assert!(
            read_text(&binary)
                .unwrap_err()
                .to_string()
                .ends_with("is not UTF-8 text")
        );
    }

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn digest_of_abc() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), digest);
    }
}
