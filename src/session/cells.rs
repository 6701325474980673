//! What the engine forgets or keeps too long between cells.

use rhai::{AST, ASTNode, Dynamic, Engine, Expr, Module, Position, Scope, Shared, Stmt};

use super::underscore::Word;

/// Takes values out that a later `let` of the same name hides, and the results bound to `words`; gives the former.
pub(super) fn drop_shadowed(scope: &mut Scope<'static>, words: &[Word]) -> Vec<(String, Dynamic)> {
    let names: Vec<&str> = (&*scope).into_iter().map(|(name, ..)| name).collect();
    let bound = |name: &str| words.iter().any(|word| word.alias == name);
    let keep: Vec<bool> = names
        .iter()
        .enumerate()
        .map(|(at, name)| !bound(name) && !names[at + 1..].contains(name))
        .collect();
    if keep.iter().all(|keep| *keep) {
        return Vec::new();
    }
    let mut hidden = Vec::new();
    let bound: Vec<&str> = words.iter().map(|word| word.alias.as_str()).collect();
    for ((name, value, _), keep) in std::mem::take(scope).into_iter().zip(keep) {
        if !keep {
            hidden.extend((!bound.contains(&name.as_str())).then_some((name, value)));
            continue;
        }
        match value.is_read_only() {
            true => scope.push_constant_dynamic(name, value),
            false => scope.push_dynamic(name, value),
        };
    }
    hidden
}

/// Code that declares the scope's constants again, so that functions see them as `global::NAME`.
pub(super) fn constants(scope: &Scope) -> String {
    scope
        .iter_raw()
        .filter(|(name, constant, _)| *constant && !matches!(*name, "In" | "Out"))
        .map(|(name, ..)| format!("const {name} = {name};"))
        .collect()
}

/// The modules that `import "path" as name` of a cell made known, for later cells and for functions.
///
/// An import that fails here has failed in the cell, and its error has been told.
pub(super) fn imports(engine: &Engine, ast: &AST, source: &str) -> Vec<(String, Shared<Module>)> {
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
    let resolver = engine.module_resolver();
    let resolve = |path: &str| {
        resolver
            .resolve(engine, Some(source), path, Position::NONE)
            .ok()
    };
    imports
        .into_iter()
        .filter_map(|(path, alias)| Some((alias, resolve(&path)?)))
        .collect()
}
