//! What the engine forgets or keeps too long between cells.

use rhai::{AST, ASTNode, Engine, Expr, Position, Scope, Stmt};

use super::underscore::Word;

/// Drops values that a later `let` of the same name hides, and the results bound to `words`.
pub(super) fn drop_shadowed(scope: &mut Scope<'static>, words: &[Word]) {
    let names: Vec<&str> = (&*scope).into_iter().map(|(name, ..)| name).collect();
    let bound = |name: &str| words.iter().any(|word| word.alias == name);
    let keep: Vec<bool> = names
        .iter()
        .enumerate()
        .map(|(at, name)| !bound(name) && !names[at + 1..].contains(name))
        .collect();
    if keep.iter().all(|keep| *keep) {
        return;
    }
    let entries = std::mem::take(scope).into_iter().zip(keep);
    for ((name, value, _), _) in entries.filter(|(_, keep)| *keep) {
        match value.is_read_only() {
            true => scope.push_constant_dynamic(name, value),
            false => scope.push_dynamic(name, value),
        };
    }
}

/// Code that declares the scope's constants again, so that functions see them as `global::NAME`.
pub(super) fn constants(scope: &Scope) -> String {
    scope
        .iter_raw()
        .filter(|(name, constant, _)| *constant && !matches!(*name, "In" | "Out"))
        .map(|(name, ..)| format!("const {name} = {name};"))
        .collect()
}

/// Keeps `import "path" as name` alive for later cells and for functions.
///
/// An import that fails here has failed in the cell, and its error has been told.
pub(super) fn keep_imports(engine: &mut Engine, ast: &AST, source: &str) {
    let mut imports: Vec<(String, String)> = Vec::new();
    ast.walk(&mut |nodes: &[ASTNode]| {
        if let [ASTNode::Stmt(Stmt::Import(import, _))] = nodes
            && let (Expr::StringConstant(path, _), alias) = &**import
            && !alias.name.is_empty()
        {
            imports.push((path.to_string(), alias.name.to_string()));
        }
        true
    });
    for (path, alias) in imports {
        let resolved =
            engine
                .module_resolver()
                .resolve(engine, Some(source), &path, Position::NONE);
        if let Ok(module) = resolved {
            engine.register_static_module(alias, module);
        }
    }
}
