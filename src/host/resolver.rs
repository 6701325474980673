//! `import "lib/judge" as j`: modules are script files, found beside the script that imports them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};

use super::context::{Host, lock};
use super::error::to_rhai;
use super::notes::noted;
use crate::diag::Error;

/// Loads modules from files; a file that has changed is loaded again.
pub(super) struct Resolver {
    host: Host,
}

/// The modules of a host, whichever of its engines evaluated them.
#[derive(Default)]
pub(super) struct Modules {
    loaded: Mutex<Vec<Loaded>>,
    loading: Mutex<Vec<PathBuf>>,
}

struct Loaded {
    path: PathBuf,
    text: String,
    module: Shared<Module>,
}

impl Resolver {
    pub(super) fn new(host: Host) -> Self {
        Self { host }
    }

    fn load(&self, engine: &Engine, file: &Path) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let text = self.host.read_script(file).map_err(to_rhai)?;
        let mut loaded = lock(&self.host.modules().loaded);
        if let Some(known) = loaded
            .iter()
            .find(|known| known.path == file && known.text == text)
        {
            return Ok(known.module.clone());
        }
        drop(loaded);
        let mut ast = engine.compile(&text)?;
        ast.set_source(file.to_string_lossy().as_ref());
        let module =
            Module::eval_ast_as_new(Scope::new(), &noted(&ast, std::iter::empty()), engine)?;
        let module = Arc::new(module);
        loaded = lock(&self.host.modules().loaded);
        loaded.retain(|known| known.path != file);
        loaded.push(Loaded {
            path: file.to_path_buf(),
            text,
            module: module.clone(),
        });
        Ok(module)
    }
}

impl Host {
    /// The text of a script, as [`script_text`] has it.
    ///
    /// # Errors
    /// The file can't be read, or is not UTF-8 text.
    pub fn read_script(&self, file: &Path) -> Result<String, Error> {
        let text = String::from_utf8(self.read(file)?)
            .map_err(|_| Error::new(format!("{} is not UTF-8 text", file.display())))?;
        Ok(script_text(text))
    }
}

/// A first line `#!/usr/bin/env rlaif-repl` becomes a comment of the same length, but no `///` comment.
pub(crate) fn script_text(mut text: String) -> String {
    if text.starts_with("#!") {
        let mark = if text[2..].starts_with(['/', '!']) {
            3
        } else {
            2
        };
        text.replace_range(..mark, &"// "[..mark]);
    }
    text
}

/// The file of a module: beside the importing file, or at the base folder; `.rhai` may be left out.
pub(crate) fn locate(host: &Host, source: Option<&str>, path: &str) -> PathBuf {
    let beside = source
        .map(Path::new)
        .filter(|source| source.extension().is_some_and(|e| e == "rhai"))
        .and_then(Path::parent);
    let mut file = match beside {
        Some(folder) => host.base().join(folder).join(path),
        None => host.resolve(path),
    };
    if file.extension().is_none_or(|e| e != "rhai") {
        file.as_mut_os_string().push(".rhai");
    }
    file
}

impl ModuleResolver for Resolver {
    fn resolve(
        &self,
        engine: &Engine,
        source: Option<&str>,
        path: &str,
        pos: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let file = locate(&self.host, source, path);
        let mut loading = lock(&self.host.modules().loading);
        if loading.contains(&file) {
            let error = Error::new(format!("module \"{path}\" imports itself"));
            return Err(to_rhai(error));
        }
        loading.push(file.clone());
        drop(loading);
        let module = self.load(engine, &file);
        lock(&self.host.modules().loading).retain(|other| *other != file);
        module.map_err(|error| {
            let place = file.to_string_lossy().into_owned();
            Box::new(EvalAltResult::ErrorInModule(place, error, pos))
        })
    }
}
