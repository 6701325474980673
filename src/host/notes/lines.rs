//! Which variables the lines of a script name.

use std::collections::BTreeMap;

use rhai::{ASTNode, Expr, ImmutableString, Position, Stmt};

/// The variables that statements name, with the lines that they stand on. Of a statement with blocks, what is outside
/// of the blocks.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<Statement>);

#[derive(Debug, Default)]
struct Statement {
    first: usize,
    last: usize,
    names: Vec<ImmutableString>,
}

impl Lines {
    pub fn of(statements: &[Stmt]) -> Self {
        let mut found: BTreeMap<(Option<usize>, Option<usize>), Statement> = BTreeMap::new();
        for statement in statements {
            statement.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
                if let Some(ASTNode::Expr(expr)) = path.last() {
                    let around = path.iter().rev().find(|node| node.is_stmt());
                    let at = around.map_or(Position::NONE, |node| node.position());
                    let entry = found.entry((at.line(), at.position())).or_default();
                    entry.add(expr);
                }
                true
            });
        }
        Self(found.into_values().collect())
    }

    pub fn names(&self, line: usize) -> impl Iterator<Item = &str> {
        let there =
            move |statement: &&Statement| (statement.first..=statement.last).contains(&line);
        let names = self.0.iter().filter(there).flat_map(|s| &s.names);
        names.map(ImmutableString::as_str)
    }

    /// Whether a statement on that line names the variable.
    pub fn name(&self, line: usize, name: &str) -> bool {
        self.names(line).any(|known| known == name)
    }
}

impl Statement {
    fn add(&mut self, expr: &Expr) {
        if let Some(line) = expr.position().line() {
            self.first = if self.last == 0 {
                line
            } else {
                self.first.min(line)
            };
            self.last = self.last.max(line);
        }
        if let Expr::Variable(variable, ..) = expr
            && variable.2.is_empty()
        {
            self.names.push(variable.1.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_lines() {
        let code = "let a = 1;\n\
                    let b = f(a,\n\
                    \x20 a + 2);\n\
                    for i in a..b {\n\
                    \x20 print(i); let c = b;\n\
                    }\n\
                    if b > 1 { a += b }\n\
                    [a].map(|x| x + b)";
        let ast = rhai::Engine::new().compile(code).unwrap();
        let lines = Lines::of(ast.as_ref());
        let check = |line: usize, expected: &str| {
            let mut names: Vec<&str> = lines.names(line).collect();
            names.dedup();
            assert_eq!(names.join(" "), expected, "line {line}");
        };
        check(1, "");
        check(2, "a");
        check(3, "a");
        check(4, "a b");
        check(5, "i b");
        check(7, "b a b");
        check(8, "a b");
        check(9, "");
    }
}
