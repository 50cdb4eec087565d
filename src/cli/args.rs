//! The command line.

use super::{
    bench::BenchArgs, chaos::ChaosArgs, ci::CiArgs, config::SettingsArgs, doctor::DoctorArgs, health::HealthArgs,
    history::HistoryArgs, matrix::MatrixArgs, run::RunArgs, shard::ShardArgs, suite::SuiteArgs,
};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// The settings of commands that start no browser.
const WITHOUT_BROWSERS: [&str; 4] = ["history", "history-mode", "log-format", "colour"];

/// Runs ONNX models in real browsers, on WebGPU, WebNN and WASM.
#[derive(Debug, Parser)]
#[command(name = "tabfleet", version, max_term_width = 120)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Print results only: no progress, no warnings
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more about what happens; twice for everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    #[command(flatten)]
    pub settings: SettingsArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell which targets work on this machine, and what the others lack
    Doctor(DoctorArgs),
    /// Run a model once
    Run(RunArgs),
    /// Measure how fast models run on each target
    Bench(BenchArgs),
    /// Run every case of a suite on every target, and check the outputs
    Matrix(Box<MatrixArgs>),
    /// Make suites of cases, ONNX's own conformance cases among them, and tell what is in them
    Suite(SuiteArgs),
    /// Cut a model into stages that run in different tabs
    Shard(ShardArgs),
    /// Tell how well the fleets are that commands are running on this machine
    Health(HealthArgs),
    /// Tell what was recorded with --history, and what it says: regressions, change points, trends, forecasts, …
    History(HistoryArgs),
    /// Break browsers on purpose while they work, and check every answer
    ///
    /// Nothing of it goes into the history: what is measured of broken browsers would be taken for theirs.
    Chaos(ChaosArgs),
    /// Tell what is recognised of the continuous integration that this runs in
    Ci(CiArgs),
    /// Print every setting and where its value came from
    Config,
}

impl Cli {
    /// What this process was started with.
    pub fn of_process() -> Self {
        let mut command = Self::shown();
        let cli = Self::from_arg_matches(&command.get_matches_mut());
        cli.unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// The command line, whose help tells of each command's own settings.
    fn shown() -> clap::Command {
        let without_browsers = |command| SettingsArgs::show_only(&WITHOUT_BROWSERS, command);
        let commands = ["suite", "shard", "health", "history", "ci"];
        let command = commands.iter().fold(Self::command(), |all, name| all.mut_subcommand(name, without_browsers));
        command.mut_subcommand("matrix", |matrix| {
            ["merge", "diff", "support"].iter().fold(matrix, |all, name| all.mut_subcommand(name, without_browsers))
        })
    }

    /// From -1 (quiet) upwards. Chaos is quiet by default: it breaks things itself, and tells of each in a line of its own,
    /// where the log would give every browser's last words.
    pub fn verbosity(&self) -> i8 {
        let told_anyway = matches!(self.command, Command::Chaos(_)) && self.verbose == 0;
        if self.quiet || told_anyway { -1 } else { i8::try_from(self.verbose).unwrap_or(i8::MAX) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_starts_no_browser_tells_of_no_browser_and_takes_the_flags_all_the_same() {
        let mut command = Cli::shown();
        command.build();
        let help = |path: &[&str]| {
            let found = path.iter().fold(&command, |command, name| command.find_subcommand(name).unwrap());
            found.clone().render_long_help().to_string()
        };
        for path in [&["suite", "list"][..], &["ci", "detect"], &["history", "show"], &["matrix", "diff"], &["health"]]
        {
            let help = help(path);
            assert!(!help.contains("--tabs") && !help.contains("--breaker") && help.contains("--colour"), "{help}");
        }
        assert!(help(&["matrix"]).contains("--tabs") && help(&["bench"]).contains("--breaker-wait"));

        let given = Cli::shown().get_matches_from(["tabfleet", "matrix", "diff", "a", "b", "--tabs", "3"]);
        assert!(Cli::from_arg_matches(&given).is_ok());
    }
}
