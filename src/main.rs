//! The `rlaif-repl` program.

fn main() -> std::process::ExitCode {
    rlaif_repl::cli::main()
}
