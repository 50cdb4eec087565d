//! What is done with the file as a whole.

use super::filter::{RunsArgs, before_now, moment};
use crate::{
    cli::{config::Settings, error::CliError, outcome::Outcome, style::table_style},
    history::{Answer, Baseline, ExportFormat, History, Imported},
    report::answer_table,
};
use clap::{Args, Subcommand};
use serde_json::{Map, Value};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use time::OffsetDateTime;

#[derive(Clone, Debug, Args)]
pub(super) struct PrintArgs {
    /// Print JSON instead of a table: a list of rows. A second column of one name is called `NAME_2` there
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Args)]
pub(super) struct QueryArgs {
    /// The query, in DuckDB's SQL; it can only read
    sql: String,
    #[command(flatten)]
    print: PrintArgs,
}

#[derive(Clone, Debug, Args)]
pub(super) struct BaselineArgs {
    #[command(subcommand)]
    doing: BaselineCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum BaselineCommand {
    /// Give the last runs a name
    Set {
        /// The name; the baseline that has it already is replaced
        name: String,
        /// How many runs
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
        runs: u16,
    },
    /// List all names
    List,
    /// Take a name away; the runs stay
    Remove {
        /// The name
        name: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(super) struct ImportArgs {
    /// Reports: JSON of matrix, bench or Google Benchmark, or JUnit XML
    #[arg(required = true)]
    reports: Vec<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ExportArgs {
    /// The folder; a file for each table is written there
    folder: PathBuf,
    /// parquet, csv or json
    #[arg(long, default_value = "parquet", value_parser = format)]
    format: ExportFormat,
    #[command(flatten)]
    runs: RunsArgs,
}

#[derive(Clone, Debug, Args)]
pub(super) struct RollUpArgs {
    /// Whole days before then: a date, a time, or how long ago
    #[arg(long, value_name = "WHEN", value_parser = moment)]
    older_than: Option<SystemTime>,
}

/// What is kept in full where nobody says.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

fn format(text: &str) -> Result<ExportFormat, String> {
    ExportFormat::from_name(text).ok_or_else(|| "one of parquet csv json".to_owned())
}

pub(super) fn query(args: &QueryArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    print(&History::open(path)?.query(&args.sql)?, &args.print, settings)
}

fn print(answer: &Answer, args: &PrintArgs, settings: &Settings) -> Result<Outcome, CliError> {
    let text =
        if args.json { rows(answer) } else { answer_table(&answer.columns, &answer.rows, table_style(settings)) };
    let written = io::stdout().write_all(text.as_bytes());
    match written {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.map_err(|source| CliError::Write { path: "standard output".into(), source })?,
    }
    Ok(Outcome::Good)
}

fn rows(answer: &Answer) -> String {
    let names = distinct(&answer.columns);
    let object = |row: &Vec<Value>| Value::Object(names.iter().cloned().zip(row.clone()).collect::<Map<_, _>>());
    let rows: Vec<Value> = answer.rows.iter().map(object).collect();
    format!("{:#}\n", Value::Array(rows))
}

/// The columns' names, each another: a later column of a name has its number, `n_2`.
fn distinct(columns: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let numbered = (2..).map(|number| format!("{column}_{number}"));
        let mut candidates = std::iter::once(column.clone()).chain(numbered);
        names.extend(candidates.find(|name| !names.contains(name)));
    }
    names
}

pub(super) fn baseline(args: &BaselineArgs, path: &Path) -> Result<Outcome, CliError> {
    match &args.doing {
        BaselineCommand::Set { name, runs } => {
            let set = Baseline::set(path, name, usize::from(*runs))?;
            println!("baseline {name}: {}", runs_of(&set));
        }
        BaselineCommand::List => {
            for baseline in History::open(path)?.baselines()? {
                let at = OffsetDateTime::from(baseline.set_at).date();
                println!("{}: {}, set on {at}", baseline.name, runs_of(&baseline));
            }
        }
        BaselineCommand::Remove { name } => {
            Baseline::remove(path, name)?;
            println!("baseline {name} is no more; its runs are kept");
        }
    }
    Ok(Outcome::Good)
}

fn runs_of(baseline: &Baseline) -> String {
    let numbers: Vec<String> = baseline.runs.iter().map(i64::to_string).collect();
    format!("{} {}", if numbers.len() == 1 { "run" } else { "runs" }, numbers.join(", "))
}

pub(super) fn import(args: &ImportArgs, path: &Path) -> Result<Outcome, CliError> {
    for report in &args.reports {
        let name = report.display();
        match History::import(path, report)? {
            Imported::New { run_id, results } => println!("{name}: {results} results, as run {run_id}"),
            Imported::AlreadyThere { run_id } => println!("{name}: is there already, as run {run_id}"),
        }
    }
    Ok(Outcome::Good)
}

pub(super) fn export(args: &ExportArgs, path: &Path) -> Result<Outcome, CliError> {
    for file in History::open(path)?.export(&args.folder, args.format, &args.runs.filter())? {
        println!("{}", file.display());
    }
    Ok(Outcome::Good)
}

pub(super) fn merge(path: &Path) -> Result<Outcome, CliError> {
    let merged = History::merge(path)?;
    println!("{} taken in, {} were there already", merged.runs.len(), merged.already);
    if merged.still_recording > 0 {
        println!("{} are still being recorded, and were left for later", merged.still_recording);
    }
    Ok(Outcome::Good)
}

pub(super) fn roll_up(args: &RollUpArgs, path: &Path) -> Result<Outcome, CliError> {
    let older_than = args.older_than.or_else(|| before_now(KEPT)).unwrap_or(SystemTime::UNIX_EPOCH);
    let done = History::roll_up(path, older_than)?;
    println!("{} results of {} runs became {} sketches", done.results, done.runs, done.sketches);
    Ok(Outcome::Good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_of_one_name_are_all_in_the_json() {
        let columns = ["n", "n", "n_2", "n", "m"].map(str::to_owned).to_vec();
        let answer = Answer { columns, rows: vec![[1, 2, 3, 4, 5].map(Value::from).to_vec()] };
        let printed: Value = serde_json::from_str(&rows(&answer)).unwrap();
        assert_eq!(printed, json!([{ "n": 1, "n_2": 2, "n_2_2": 3, "n_3": 4, "m": 5 }]));
    }
}
