//! One file per command, thin: arguments in, library calls, a report out.

mod args;
mod bench;
mod chaos;
mod ci;
pub mod config;
mod doctor;
mod error;
mod fleet;
mod health;
mod history;
mod interrupt;
mod logging;
mod matrix;
mod outcome;
mod progress;
mod reports;
mod run;
mod shard;
mod style;
mod suite;

use args::{Cli, Command};
use error::CliError;
use outcome::Outcome;
use std::process::ExitCode;

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::of_process();
    match execute(cli) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            error.print();
            error.outcome().into()
        }
    }
}

fn execute(cli: Cli) -> Result<Outcome, CliError> {
    let settings = config::load(&cli.settings)?;
    logging::start(cli.verbosity(), &settings);
    if let Command::Config = cli.command {
        print!("{}", config::print(&settings));
        return Ok(Outcome::Good);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::Runtime)?;
    let quiet = cli.quiet;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Config => Ok(Outcome::Good),
            Command::Doctor(args) => doctor::execute(args, &settings).await,
            Command::Run(args) => run::execute(args, &settings).await,
            Command::Bench(args) => bench::execute(args, &settings, quiet).await,
            Command::Shard(args) => shard::execute(args, &settings),
            Command::Health(args) => health::execute(args, &settings).await,
            Command::Matrix(args) => matrix::execute(*args, &settings, quiet).await,
            Command::Chaos(args) => chaos::execute(args, &settings, quiet).await,
            Command::Suite(args) => suite::execute(args, &settings, quiet),
            Command::History(args) => history::execute(args, &settings),
            Command::Ci(args) => Ok(ci::execute(&args)),
        }
    });
    // A file that is still being read (a huge model, say) is not waited for.
    runtime.shutdown_background();
    outcome
}
