//! `tabfleet history`: what was recorded, and what it says.

mod ask;
mod file;
mod filter;
mod series_file;

pub(super) use ask::{judge, run_times};
pub(super) use series_file::SeriesFileError;

use super::{config::Settings, error::CliError, outcome::Outcome};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Where the history is when nobody says.
const DEFAULT_FILE: &str = "tabfleet.duckdb";

/// Tell what was recorded with --history, and what it says
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// List every series with its first and its latest level
    Show(ask::AskArgs),
    /// Tell what got slower or faster since a baseline; with --fail-on, exit with 3 for a regression
    Regressions(ask::RegressionArgs),
    /// Tell where series changed their level, and what changed with them
    ChangePoints(ask::ChangePointArgs),
    /// Tell where series are going
    Trends(ask::AskArgs),
    /// Tell which runs stand out from those before
    Anomalies(ask::AskArgs),
    /// Tell what is to be expected, and when a budget will be crossed
    Forecast(ask::ForecastArgs),
    /// Tell which metrics move together
    Correlations(ask::AskArgs),
    /// Tell where each model and each family runs best
    Recommend(ask::AskArgs),
    /// Tell how well targets were: failures, circuit breakers, recoveries
    Health(ask::AskArgs),
    /// Run a query; the tables are described in docs/HISTORY.md
    Query(file::QueryArgs),
    /// Name runs that later ones are compared with
    Baseline(file::BaselineArgs),
    /// Add reports of matrix or bench, JUnit or Google Benchmark files
    Import(file::ImportArgs),
    /// Write every table as Parquet, CSV or JSON
    Export(file::ExportArgs),
    /// Take in what commands spooled while the file was in use (--history-mode spool)
    Merge,
    /// Replace the single results of old days by sketches of them
    RollUp(file::RollUpArgs),
}

pub(super) fn execute(args: HistoryArgs, settings: &Settings) -> Result<Outcome, CliError> {
    let path = settings.history.value.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    match args.question {
        Question::Show(args) => ask::show(&args, &path, settings),
        Question::Regressions(args) => ask::regressions(&args, &path, settings),
        Question::ChangePoints(args) => ask::change_points(&args, &path, settings),
        Question::Trends(args) => ask::trends(&args, &path, settings),
        Question::Anomalies(args) => ask::anomalies(&args, &path, settings),
        Question::Forecast(args) => ask::forecast(&args, &path, settings),
        Question::Correlations(args) => ask::correlations(&args, &path, settings),
        Question::Recommend(args) => ask::recommend(&args, &path, settings),
        Question::Health(args) => ask::health(&args, &path, settings),
        Question::Query(args) => file::query(&args, &path, settings),
        Question::Baseline(args) => file::baseline(&args, &path),
        Question::Import(args) => file::import(&args, &path),
        Question::Export(args) => file::export(&args, &path),
        Question::Merge => file::merge(&path),
        Question::RollUp(args) => file::roll_up(&args, &path),
    }
}
