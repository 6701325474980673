//! `rlaif-repl kernel`: the Jupyter kernel, and its place among the kernels that Jupyter knows.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use super::limits::Bounds;
use super::{Stopwatch, fetch, git};
use crate::diag::{Error, Result};
use crate::host::{Provenance, Setup};
use crate::kernel::{self, check, spec};
use crate::repl;
use crate::session::{self, Session};

const AFTER: &str = "\
Jupyter and editors with notebooks (VS Code with its Jupyter and Rhai extensions) find an installed kernel by
themselves. Kernels are folders below $JUPYTER_DATA_DIR, or the user's ~/.local/share/jupyter (on macOS
~/Library/Jupyter).";

/// Arguments of the command.
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Tell Jupyter of this program.
    Install(Install),
    /// Remove the kernel from Jupyter.
    Uninstall(Place),
    /// Tell what is installed where, and whether it starts.
    Check,
    /// Run the kernel; Jupyter does this.
    Run(Run),
}

#[derive(clap::Args)]
struct Install {
    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    ways: Ways,
}

#[derive(clap::Args)]
struct Place {
    /// For this user; so it is without --prefix.
    #[arg(long, conflicts_with = "prefix")]
    user: bool,

    /// For everyone who uses this environment, such as a virtual environment's folder or /usr/local.
    #[arg(long, value_name = "FOLDER")]
    prefix: Option<PathBuf>,

    /// The kernel's name, by which several can stand side by side.
    #[arg(long, default_value = spec::NAME)]
    name: String,
}

#[derive(clap::Args)]
struct Run {
    /// The file in which the client says where to listen.
    connection_file: PathBuf,

    #[command(flatten)]
    ways: Ways,
}

/// How the kernel runs.
#[derive(clap::Args)]
struct Ways {
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    #[command(flatten)]
    bounds: Bounds,
}

impl Ways {
    /// The options that say so.
    fn words(&self) -> Vec<String> {
        let seed = (self.seed != 0).then(|| format!("--seed={}", self.seed));
        seed.into_iter().chain(self.bounds.words()).collect()
    }
}

pub(super) fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Install(Install { place, ways }) => {
            let program = std::env::current_exe()?;
            let folder = spec::install(&place.data()?, &place.name, &program, &ways.words())?;
            println!(
                "installed the kernel {} in {}",
                place.name,
                folder.display()
            );
            Ok(ExitCode::SUCCESS)
        }
        Command::Uninstall(place) => {
            let data = place.data()?;
            match spec::uninstall(&data, &place.name)? {
                Some(folder) => println!("removed {}", folder.display()),
                None => {
                    return Err(Error::new(format!(
                        "no kernel {} in {}",
                        place.name,
                        data.join("kernels").display()
                    ))
                    .hint("`rlaif-repl kernel check` lists those there are"));
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Check => Ok(tell()),
        Command::Run(args) => serve(args),
    }
}

impl Place {
    /// Jupyter's data folder that the kernel belongs to.
    fn data(&self) -> Result<PathBuf> {
        match &self.prefix {
            // A client starts the kernel from folders of its own.
            Some(prefix) => Ok(std::path::absolute(prefix)?.join("share/jupyter")),
            None => user_data(),
        }
    }
}

/// The user's own data folder, as Jupyter looks for it.
fn user_data() -> Result<PathBuf> {
    if let Some(folder) = variable("JUPYTER_DATA_DIR") {
        return Ok(folder);
    }
    let below_home = |path: &str| Some(std::env::home_dir()?.join(path));
    let folder = if cfg!(target_os = "macos") {
        below_home("Library/Jupyter")
    } else if cfg!(windows) {
        variable("APPDATA").map(|folder| folder.join("jupyter"))
    } else {
        let share = variable("XDG_DATA_HOME").or_else(|| below_home(".local/share"));
        share.map(|folder| folder.join("jupyter"))
    };
    folder.ok_or_else(|| Error::new("there is no home folder").hint("set JUPYTER_DATA_DIR"))
}

/// Every data folder that Jupyter looks into, the first one first.
fn data_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Some(paths) = std::env::var_os("JUPYTER_PATH") {
        folders.extend(std::env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()));
    }
    folders.extend(user_data().ok());
    let environments = ["VIRTUAL_ENV", "CONDA_PREFIX"]
        .into_iter()
        .filter_map(variable);
    folders.extend(environments.map(|folder| folder.join("share/jupyter")));
    folders.extend(["/usr/local/share/jupyter", "/usr/share/jupyter"].map(PathBuf::from));
    let mut seen = std::collections::BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name)?;
    (!value.is_empty()).then(|| value.into())
}

/// Each installed kernel and whether it starts; fails if none does.
fn tell() -> ExitCode {
    let folders = data_folders();
    let kernels: Vec<_> = folders
        .iter()
        .flat_map(|data| spec::installed(data))
        .collect();
    if kernels.is_empty() {
        println!("no kernel is installed; `rlaif-repl kernel install` does it. Looked in");
        for folder in &folders {
            println!("  {}", folder.join("kernels").display());
        }
        return ExitCode::FAILURE;
    }
    let mut all = ExitCode::SUCCESS;
    for kernel in kernels {
        println!("{}: {}", kernel.folder.display(), kernel.display_name);
        println!("  runs {}", kernel.argv.join(" "));
        match check::start(&kernel) {
            Ok(answer) => println!("  starts, and answers as {answer}"),
            Err(error) => {
                println!("  does not work: {error}");
                all = ExitCode::FAILURE;
            }
        }
    }
    all
}

fn serve(args: Run) -> Result<ExitCode> {
    session::silence_panics();
    let base = std::env::current_dir()?;
    // Beside the prompt's, which has a format of its own.
    let history = repl::history_file().map(|file| file.with_extension("cells"));
    let code = kernel::run(&args.connection_file, history, |sink, front, interrupt| {
        Session::new(Setup {
            base,
            seed: args.ways.seed,
            args: Vec::new(),
            sink,
            front,
            interrupt,
            clock: Arc::new(Stopwatch(Instant::now())),
            provenance: Provenance {
                script: None,
                git: Some(git::commit),
            },
            limits: args.ways.bounds.into(),
            hub: fetch::settings(),
            variable: |name| std::env::var(name).ok(),
        })
    })?;
    Ok(ExitCode::from(code.clamp(0, 255) as u8))
}
