//! Where the hub is and where its files are kept, by the variables of `huggingface_hub`.

use std::path::{Path, PathBuf};

/// Where to fetch from and to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of `models--org--name` folders.
    pub cache: PathBuf,
    /// Without a slash at its end.
    pub endpoint: String,
    pub token: Option<String>,
    /// Only what is in the cache.
    pub offline: bool,
}

/// The hub that is meant unless a variable says otherwise.
const ENDPOINT: &str = "https://huggingface.co";

impl Settings {
    /// Reads HF_HUB_CACHE, HF_HOME and XDG_CACHE_HOME, HF_ENDPOINT, HF_TOKEN and HF_TOKEN_PATH,
    /// HF_HUB_OFFLINE as `huggingface_hub` does; nothing if there is no place for a cache.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Option<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let folder = |name: &str| set(name).map(PathBuf::from);
        let caches = || folder("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")));
        let root = folder("HF_HOME").or_else(|| Some(caches()?.join("huggingface")));
        let cache = folder("HF_HUB_CACHE").or_else(|| Some(root.as_ref()?.join("hub")))?;
        let token_file = folder("HF_TOKEN_PATH").or_else(|| Some(root?.join("token")));
        let kept = || std::fs::read_to_string(token_file?).ok();
        let token = set("HF_TOKEN").or_else(kept);
        let token = token.map(|token| token.trim().to_owned());
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let offline = set("HF_HUB_OFFLINE").unwrap_or_default().to_uppercase();
        Some(Self {
            cache,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.filter(|token| !token.is_empty()),
            offline: ["1", "ON", "YES", "TRUE"].contains(&offline.as_str()),
        })
    }
}

/// The names of the models in the cache, sorted.
pub fn names_in_cache(settings: &Settings) -> Vec<String> {
    let entries = std::fs::read_dir(&settings.cache).into_iter().flatten();
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let folder = entry.file_name().into_string().ok()?;
            Some(folder.strip_prefix("models--")?.replacen("--", "/", 1))
        })
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Option<Settings> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&find, Some(Path::new("/home/u")))
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        let check = |variables: &[(&str, &str)], expected: &str| {
            assert_eq!(read(variables).unwrap().cache, Path::new(expected));
        };
        check(&[], "/home/u/.cache/huggingface/hub");
        check(&[("XDG_CACHE_HOME", "/c")], "/c/huggingface/hub");
        let home = ("HF_HOME", "/h");
        check(&[("XDG_CACHE_HOME", "/c"), home], "/h/hub");
        check(&[home, ("HF_HUB_CACHE", "/x/y")], "/x/y");
        assert_eq!(Settings::read(&|_| None, None), None);
    }

    #[test]
    fn endpoint_token_and_offline() {
        let plain = read(&[("HF_TOKEN", ""), ("HF_HUB_OFFLINE", "0")]).unwrap();
        assert_eq!(
            (plain.endpoint.as_str(), plain.token, plain.offline),
            (ENDPOINT, None, false)
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hf_kept\n").unwrap();
        let home = ("HF_HOME", folder.path().to_str().unwrap());
        assert_eq!(read(&[home]).unwrap().token.unwrap(), "hf_kept");
        let set = read(&[
            home,
            ("HF_TOKEN", "hf_set"),
            ("HF_ENDPOINT", "http://x/"),
            ("HF_HUB_OFFLINE", "yes"),
        ]);
        let set = set.unwrap();
        assert_eq!((set.endpoint.as_str(), set.offline), ("http://x", true));
        assert_eq!(set.token.unwrap(), "hf_set");
    }
}
