//! The `rlaif-repl` program.

fn main() {}
