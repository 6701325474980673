//! Code that runs many times from one compilation.

use rhai::Dynamic;

use super::uses::Uses;
use super::{Diagnostic, Session, cells, panics, underscore};
use crate::host::notes::noted;

pub(super) type Fallible<T> = Result<T, Box<rhai::EvalAltResult>>;

/// Runs the code once.
pub(super) type Once<'a> = dyn FnMut() -> Fallible<()> + 'a;

impl Session {
    /// Compiles code and hands `work` a function that runs it once. Variables, functions and random numbers are
    /// as before it afterwards.
    pub(super) fn repeated<T>(
        &mut self,
        name: &str,
        code: &str,
        work: impl FnOnce(&mut Once) -> Fallible<T>,
    ) -> Result<T, Box<Diagnostic>> {
        let _turn = self.begin();
        self.sources.texts.insert(name.into(), code.into());
        let taken = |name: &str| self.scope.contains(name);
        let (code, words) = underscore::rename(code, taken);
        let length = self.scope.len();
        self.bind_results(name, &words)?;
        let compiled = self.engine.compile_with_scope(&self.scope, &code);
        let ast = match compiled {
            Ok(ast) => ast,
            Err(error) => {
                cells::drop_shadowed(&mut self.scope, &words);
                return Err(self.diagnose(name, &error.into()));
            }
        };
        let uses = Uses::of(&ast);
        let before = self.before(&uses, length);
        let functions = self.functions.clone();
        let noted = noted(&ast, self.variables().map(|(name, _)| name));
        self.functions.add(&ast, &noted);
        let program = self.program(name, &noted);
        let (engine, scope) = (&self.engine, &mut self.scope);
        let start = scope.len();
        let mut once = || {
            let done = engine.eval_ast_with_scope::<Dynamic>(scope, &program);
            scope.rewind(start);
            done.map(drop)
        };
        let result = panics::catch(|| work(&mut once));
        let result = match result {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.diagnose(name, &error)),
            Err(panic) => Err(Box::new(Diagnostic::of_panic(&panic))),
        };
        self.functions = functions;
        self.take_back(before, &uses, &[], length);
        result
    }
}
