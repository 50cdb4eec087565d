//! `tabfleet matrix`: every case of a suite on every target.

mod build;
mod diff;
mod merge;
mod run;
mod support;

use super::{config::Settings, error::CliError, history, outcome::Outcome, style::table_style};
use crate::{
    fleet::FleetError,
    matrix::{Expectations, MatrixOptions, Pairs, Past, PlanOptions, Planned, RetryOn, Shard},
    onnx::{Suite, Tolerance},
    report::{CaseResult, MatrixReport, Outputs, ReportWriter, SuiteRow, TargetBuild, matrix_table},
    stats::regression::Severity,
    types::Verdict,
};
use build::Build;
use clap::{Args, Subcommand};
use regex::Regex;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Run every case of a suite on every target, and check the outputs.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct MatrixArgs {
    #[command(subcommand)]
    command: Option<MatrixCommand>,

    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum MatrixCommand {
    /// Join the results of several runs, of shards for instance, to one report
    Merge(merge::MergeArgs),
    /// Tell what differs between two browsers, two builds of one, or two runs
    Diff(diff::DiffArgs),
    /// Tell which operators, or operator sets, work on which target
    Support(support::SupportArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Folders of cases in the ONNX backend-test layout [default: the built-in suite]
    suites: Vec<PathBuf>,

    /// Run only cases whose SUITE/CASE matches
    #[arg(long, value_name = "REGEX")]
    filter: Option<Regex>,

    /// Run only the I-th of N equal shares of the cases. They take equally long where --previous tells how long cases took
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// A report (JSON) of an earlier run: for shards that take equally long, for what changed since, and for what ends
    /// browsers to come last. May be given several times
    #[arg(long, value_name = "FILE")]
    previous: Vec<PathBuf>,

    /// Run only what failed in the last run: that of --previous, or else of the --json file
    #[arg(long)]
    last_failed: bool,

    /// Go on with a run that was ended or killed: FILE is the JSON that it wrote, and goes on being written
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "last_failed"])]
    resume: Option<PathBuf>,

    /// Begin no further case after this time, and run the most informative ones first: what changed lately, what never ran
    /// in this version of the browser, what fails, the operators that most cases use
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    time_budget: Option<Duration>,

    /// Stop after so many failures (of which only unexpected ones count with --expectations)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_failures: Option<u32>,

    /// Run every case so many times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat_each: u32,

    /// Run cases so many times whose verdict is not the expected one (--expectations), or else not that of --previous;
    /// without either, every case
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    verify: u32,

    /// After which failures a case is tried again (--retries times): crash, device-lost, timeout, connection, load-error,
    /// run-error, wrong
    #[arg(long, value_name = "FAILURES", value_delimiter = ',', default_values_t = RetryOn::DEFAULT)]
    retry_on: Vec<RetryOn>,

    /// What is known to fail (docs/EXPECTATIONS.md describes the file): only what is unexpected counts as failed
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,

    /// Write that file anew, so that nothing of this run is unexpected
    #[arg(long, requires = "expectations")]
    update_expectations: bool,

    /// Run a further build of a browser, side by side with the others, as a column of its own. May be given several times
    #[arg(long, value_name = "BROWSER@NAME=PATH")]
    browser: Vec<Build>,

    #[command(flatten)]
    files: FileArgs,

    /// Exit with 0 even when a case did not pass
    #[arg(long)]
    no_fail: bool,

    /// Compare with earlier runs of the history (--history), and exit with 3 when a regression is at least this bad:
    /// minor, moderate, severe, critical
    #[arg(long, value_name = "SEVERITY", value_parser = history::severity)]
    fail_on: Option<Severity>,
}

/// Where reports go.
#[derive(Debug, Args)]
struct FileArgs {
    /// Write the results there as JSON (docs/JSON.md describes it)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the results there as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Write an HTML report there
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,
}

impl From<FileArgs> for Outputs {
    fn from(FileArgs { json, junit, html }: FileArgs) -> Self {
        Self { json, junit, html }
    }
}

pub(super) async fn execute(args: MatrixArgs, settings: &Settings, quiet: bool) -> Result<Outcome, CliError> {
    match args.command {
        Some(MatrixCommand::Merge(args)) => merge::execute(args, settings),
        Some(MatrixCommand::Diff(args)) => diff::execute(&args, settings),
        Some(MatrixCommand::Support(args)) => support::execute(&args, settings),
        None => execute_run(args.run, settings, quiet).await,
    }
}

async fn execute_run(args: RunArgs, settings: &Settings, quiet: bool) -> Result<Outcome, CliError> {
    if args.fail_on.is_some() && settings.history.is_none() {
        return Err(CliError::NothingToCompareWith);
    }
    let begun = Instant::now();
    let expectations = args.expectations.as_deref();
    let read = if args.update_expectations { Expectations::read_or_begin } else { Expectations::read };
    let expectations = expectations.map(read).transpose()?;
    let resumed = args.resume.as_ref().map(MatrixReport::read).transpose()?.map(without_unavailable);
    let mut previous = args.previous.iter().map(MatrixReport::read).collect::<Result<Vec<_>, _>>()?;
    let only = if args.last_failed {
        if previous.is_empty() {
            let last = args.files.json.as_ref().ok_or(CliError::NoLastRun)?;
            previous.push(MatrixReport::read(last)?);
        }
        let last = previous.iter().max_by_key(|report| report.started);
        let failed: Pairs = last.into_iter().flat_map(|report| &report.results).filter(|r| has_failed(r)).collect();
        if failed.is_empty() {
            println!("nothing failed in the last run");
            return Ok(Outcome::Good);
        }
        Some(failed)
    } else {
        None
    };
    let past = Past::of(previous);

    let suites = if args.suites.is_empty() {
        vec![Suite::builtin()?]
    } else {
        args.suites.iter().map(|path| Suite::open(path)).collect::<Result<_, _>>()?
    };
    let about: Vec<SuiteRow> = suites
        .iter()
        .map(|suite| SuiteRow { name: suite.name.clone(), cases: 0, source: suite.source.clone() })
        .collect();
    let cases = select(suites, &args, &past)?;

    let outputs = Outputs { json: args.resume.clone().or(args.files.json.clone()), ..args.files.into() };
    let done = resumed.iter().flat_map(|report| &report.results).collect();
    let mut writer = match resumed {
        Some(report) => ReportWriter::resume(report, outputs)?,
        None => ReportWriter::create(outputs)?,
    };
    let tolerance = Tolerance {
        rtol: *settings.rtol,
        atol: *settings.atol,
        rtol_float16: *settings.float16_tolerance,
        atol_float16: *settings.float16_tolerance,
    };
    writer.about(|report| {
        report.tolerance = Some(tolerance);
        report.expectations = args.expectations.as_ref().map(|path| path.display().to_string());
        report.add_cases(about, cases.iter().map(|planned| planned.row.clone()));
    })?;
    let options = MatrixOptions {
        case_timeout: *settings.case_timeout,
        retries: *settings.retries,
        retry_on: args.retry_on.into_iter().collect(),
        repeat_each: args.repeat_each,
        verify: args.verify,
        tolerance,
        expectations,
        in_hand: *settings.tabs as usize * 3,
        until: args.time_budget.and_then(|budget| begun.checked_add(budget)),
    };
    let plan_options = PlanOptions { done, only, informative_first: args.time_budget.is_some() };
    let run = run::Run {
        settings,
        cases,
        past,
        options: &options,
        plan_options,
        max_failures: args.max_failures,
        quiet,
        left: 0,
    };
    let outcome = match run.on_builds(&args.browser, &mut writer).await {
        Err(CliError::Fleet(error @ FleetError::NothingWorks(_))) => {
            writer.finish()?;
            return Err(error.into());
        }
        outcome => outcome?,
    };
    let report = match writer.finish() {
        Ok(report) => report,
        Err(error) => {
            print!("{}", matrix_table(writer.report(), table_style(settings)));
            return Err(error.into());
        }
    };
    print!("{}", matrix_table(&report, table_style(settings)));
    if args.update_expectations && outcome == Outcome::Good {
        return options.expectations.as_ref().map_or(Ok(outcome), |known| update(known, &report));
    }
    let lost = tell_of_lost_targets(&report);
    match (outcome, args.fail_on) {
        (Outcome::Good, _) if !args.no_fail && counts_as_failed(&report) => Ok(Outcome::Failed),
        // Else a target that died early would be a good night.
        (Outcome::Good, _) if !args.no_fail && lost => Ok(Outcome::Infrastructure),
        (Outcome::Good, Some(least)) => history::judge_newest(least, settings),
        (outcome, _) => Ok(outcome),
    }
}

/// Says which targets worked and then did not, with how many cases they left.
fn tell_of_lost_targets(report: &MatrixReport) -> bool {
    let mut left: BTreeMap<TargetBuild<'_>, (usize, &str)> = BTreeMap::new();
    for result in report.results.iter().filter(|result| result.verdict == Verdict::Unavailable) {
        let why = result.error.as_ref().map(|error| &*error.message).unwrap_or_default();
        left.entry(result.column()).or_insert((0, why)).0 += 1;
    }
    for (column, (count, why)) in &left {
        eprintln!("{count} cases were not tried on {column}: {why}; --resume tries them again");
    }
    !left.is_empty()
}

/// What a target that did not work then may find out now is not done.
fn without_unavailable(mut report: MatrixReport) -> MatrixReport {
    report.results.retain(|result| result.verdict != Verdict::Unavailable);
    report
}

/// The cases that match and belong to the share.
fn select(suites: Vec<Suite>, args: &RunArgs, past: &Past) -> Result<Vec<Planned>, CliError> {
    let all = suites.into_iter().flat_map(|suite| suite.cases);
    let mut count = 0;
    let matching = all.inspect(|_| count += 1).filter(|case| {
        args.filter.as_ref().is_none_or(|filter| filter.is_match(&format!("{}/{}", case.suite, case.name)))
    });
    let cases: Vec<Planned> = matching.map(Planned::read).collect();
    let cases = match args.shard {
        Some(shard) => shard.of(cases, past),
        None => cases,
    };
    if cases.is_empty() { Err(CliError::NothingSelected { cases: count }) } else { Ok(cases) }
}

/// Whether a result counts as failed: with expectations, an unexpected one.
fn has_failed(result: &CaseResult) -> bool {
    result.unexpected.unwrap_or(result.verdict.is_failure())
}

fn counts_as_failed(report: &MatrixReport) -> bool {
    report.results.iter().any(has_failed)
}

fn update(expectations: &Expectations, report: &MatrixReport) -> Result<Outcome, CliError> {
    let path: &Path = expectations.path();
    let update = expectations.update(report);
    update.write(path)?;
    let (added, changed, removed) = (update.added, update.changed, update.removed);
    println!("{}: {added} entries added, {changed} changed, {removed} removed", path.display());
    Ok(Outcome::Good)
}
