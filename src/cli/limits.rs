//! Options that bound what scripts may do.

use std::time::Duration;

use crate::host::Limits;

/// Options of the prompt, scripts and the kernel.
#[derive(clap::Args)]
pub(super) struct Bounds {
    /// Stop a script, or a cell of the prompt, after this time: 500ms, 30s, 5m.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    time_limit: Option<Duration>,

    /// Stop a script, or a cell of the prompt, after so many steps of the script engine.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    max_operations: Option<u64>,

    /// Let scripts write below runs/ alone, run no commands, and reach no network.
    #[arg(long)]
    sandbox: bool,
}

impl Bounds {
    /// The options that give these bounds.
    pub fn words(&self) -> Vec<String> {
        let time = self.time_limit.map(|time| {
            format!("--time-limit={}", humantime::format_duration(time)).replace(' ', "")
        });
        let operations = self
            .max_operations
            .map(|count| format!("--max-operations={count}"));
        let sandbox = self.sandbox.then(|| "--sandbox".to_string());
        [time, operations, sandbox].into_iter().flatten().collect()
    }
}

impl From<Bounds> for Limits {
    fn from(bounds: Bounds) -> Self {
        Self {
            time: bounds.time_limit,
            operations: bounds.max_operations,
            sandbox: bounds.sandbox,
        }
    }
}
