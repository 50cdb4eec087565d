//! `tabfleet matrix`: every case of a suite on every target.

mod build;
mod diff;
mod lost;
mod merge;
mod resume;
mod run;
mod support;

use super::{
    config::Settings,
    error::CliError,
    history,
    outcome::Outcome,
    reports::{ReportArgs, Reports},
    shard::InStages,
    style::table_style,
};
use crate::{
    ci,
    fleet::FleetError,
    history::History,
    matrix::{
        Expectations, MatrixOptions, Past, PlanOptions, Planned, RetryOn, Shard, expectations::ExpectationsError,
    },
    onnx::{Suite, Tolerance},
    report::{CaseResult, EarlierRuns, MatrixReport, Outputs, PairRow, ReportWriter, SuiteRow, matrix_table},
    stats::regression::Severity,
};
use build::Build;
use clap::{Args, Subcommand};
use lost::{tell_of_lost_targets, without_unavailable};
use regex::Regex;
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, Instant},
};
use time::OffsetDateTime;

/// Earlier runs that a run is planned by. Older ones tell little of how long cases take, and of what ends browsers.
const PLANNED_BY: usize = 5;

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

    /// Run only the I-th of N equal shares of the cases. They take equally long where --previous tells how long cases took,
    /// which must then be the same for each share
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// A report (JSON) of an earlier run, or a folder of them, which need not be there yet: for what changed since, for
    /// each verdict's history in the HTML report, for shards that take equally long, and for what ends browsers to come
    /// last. Or a history (a .duckdb file), for how long cases took and what was flaky. May be given several times
    #[arg(long, value_name = "PATH")]
    previous: Vec<PathBuf>,

    /// Run only what failed in the last run: that of --previous, or else of the --json file
    #[arg(long)]
    last_failed: bool,

    /// Go on with a run that was ended or killed, of the same suites: FILE is the JSON that it wrote, and goes on being
    /// written. Its cases are those that it began with, whatever --shard says
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "last_failed"])]
    resume: Option<PathBuf>,

    /// Begin no further case after this time, and run the most informative ones first: what changed lately or was flaky,
    /// what never ran in this version of the browser, what fails, the operators that most cases use. By --previous, and
    /// by --history
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

    #[command(flatten)]
    known: ExpectationArgs,

    /// Run a further build of a browser, side by side with the others, as a column of its own. May be given several times
    #[arg(long, value_name = "BROWSER@NAME=PATH")]
    browser: Vec<Build>,

    #[command(flatten)]
    stages: InStages,

    /// Exit with 0 even when a case did not pass, or was not tried because its target was lost
    #[arg(long)]
    no_fail: bool,

    /// Compare with earlier runs of the history (--history), and exit with 3 when a regression is at least this bad:
    /// minor, moderate, severe, critical
    #[arg(long, value_name = "SEVERITY", value_parser = Severity::from_str)]
    fail_on: Option<Severity>,

    #[command(flatten)]
    reports: ReportArgs,
}

/// What is known, and what is done with it.
#[derive(Debug, Args)]
struct ExpectationArgs {
    /// What is known to fail (docs/EXPECTATIONS.md describes the file): only what is unexpected counts as failed
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,

    /// Write that file anew, so that nothing of this run is unexpected
    #[arg(long, requires = "expectations")]
    update_expectations: bool,
}

impl ExpectationArgs {
    fn read(&self) -> Result<Option<Expectations>, ExpectationsError> {
        let read = if self.update_expectations { Expectations::read_or_begin } else { Expectations::read };
        self.expectations.as_deref().map(read).transpose()
    }
}

pub(super) async fn execute(args: MatrixArgs, settings: &Settings, quiet: bool) -> Result<Outcome, CliError> {
    match args.command {
        Some(MatrixCommand::Merge(args)) => merge::execute(args, settings).await,
        Some(MatrixCommand::Diff(args)) => diff::execute(&args, settings),
        Some(MatrixCommand::Support(args)) => support::execute(&args, settings),
        None => execute_run(args.run, settings, quiet).await,
    }
}

async fn execute_run(args: RunArgs, settings: &Settings, quiet: bool) -> Result<Outcome, CliError> {
    if args.fail_on.is_some() && settings.history.is_none() {
        return Err(CliError::NothingToCompareWith);
    }
    if let Some(build) = args.browser.iter().find(|build| !build.path.is_file()) {
        return Err(CliError::NoProgram { build: build.to_string(), path: build.path.clone() });
    }
    let begun = Instant::now();
    let expectations = args.known.read()?;
    let resumed = args.resume.as_ref().map(MatrixReport::read).transpose()?.map(without_unavailable);
    let (histories, reports): (Vec<PathBuf>, Vec<PathBuf>) =
        args.previous.iter().cloned().partition(|path| path.extension().is_some_and(|it| it == "duckdb"));
    let earlier = EarlierRuns::files(&reports)?;
    let previous = previous(&args, &earlier)?;
    let failed_before = match &resumed {
        Some(run) => run.failed_before.clone(),
        None if args.last_failed => failed_last(&previous),
        None => Vec::new(),
    };
    if args.last_failed && failed_before.is_empty() {
        println!("nothing failed in the last run");
        return Ok(Outcome::Good);
    }
    let past = histories.iter().try_fold(Past::of(previous), |past, path| recorded(past, path))?;
    let suites = open_suites(&args.suites)?;
    let about =
        suites.iter().map(|suite| SuiteRow { name: suite.name.clone(), cases: 0, source: suite.source.clone() });
    let about: Vec<SuiteRow> = about.collect();
    let cases = select(suites, &args, &past, &about, resumed.as_ref())?;
    let past = informed(past, &args, settings);

    let reports = Reports::open(&args.reports, &earlier)?;
    let outputs = reports.outputs();
    let outputs = Outputs { json: args.resume.clone().or(outputs.json.clone()), ..outputs };
    let done = resumed.iter().flat_map(|report| &report.results).collect();
    let only = (!failed_before.is_empty()).then(|| failed_before.iter().cloned().collect());
    let plan_options = PlanOptions { done, only, informative_first: args.time_budget.is_some() };
    // What failed is known to the new report before it takes the place of the old one.
    let begin = || MatrixReport { failed_before, ..MatrixReport::new(OffsetDateTime::now_utc()) };
    let mut writer = ReportWriter::resume(resumed.unwrap_or_else(begin), outputs)?;
    let options = options(&args, settings, expectations, begun);
    let told = writer.about(|report| {
        report.tolerance = Some(options.tolerance);
        report.ci = Some(ci::detect());
        report.add_cases(about, cases.iter().map(|planned| planned.row.clone()));
        match &options.expectations {
            // What a resumed run has already is judged by what is known now.
            Some(known) => known.judge_report(report),
            None => report.forget_expectations(),
        }
    });
    if let Err(error) = told {
        run::warn(&error);
    }
    let (max_failures, options) = (args.max_failures, &options);
    let (counts, recorded) = (run::Counts::default(), Vec::new());
    let mut run = run::Run { settings, cases, past, options, plan_options, max_failures, quiet, counts, recorded };
    let outcome = match run.on_builds(&args.browser, &mut writer).await {
        Err(CliError::Fleet(error @ FleetError::NothingWorks(_))) => {
            writer.finish()?;
            return Err(error.into());
        }
        outcome => outcome?,
    };
    let finished = writer.finish();
    let since = reports.since(writer.report());
    print!("{}", matrix_table(writer.report(), since.as_ref(), table_style(settings)));
    let report = finished?;
    let written = match outcome {
        Outcome::Interrupted => Ok(()),
        _ => reports.finish(&report, run.recorded.iter().copied().flatten(), settings).await,
    };
    // What could not be written, or posted, keeps nobody from knowing what the run comes to.
    let outcome = conclude(&args, settings, options, &run.recorded, outcome, &report)?;
    written.map(|()| outcome)
}

/// What the run comes to, now that its report is written.
fn conclude(
    args: &RunArgs,
    settings: &Settings,
    options: &MatrixOptions,
    recorded: &[Option<i64>],
    outcome: Outcome,
    report: &MatrixReport,
) -> Result<Outcome, CliError> {
    // Of a share without a case nothing was launched, and what was interrupted may have launched nothing yet.
    let launched = !report.cases.is_empty() && outcome != Outcome::Interrupted;
    let asked = if launched { &settings.targets[..] } else { &[] };
    let lost = tell_of_lost_targets(report, asked) || outcome == Outcome::Infrastructure;
    let outcome = if outcome == Outcome::Infrastructure { Outcome::Good } else { outcome };
    match (outcome, &options.expectations, args.fail_on) {
        (Outcome::Good, Some(known), _) if args.known.update_expectations => update(known, report),
        (Outcome::Good, ..) if !args.no_fail && counts_as_failed(report) => Ok(Outcome::Failed),
        // Else a target that died early would be a good night.
        (Outcome::Good, ..) if !args.no_fail && lost => Ok(Outcome::Infrastructure),
        (Outcome::Good, _, Some(least)) => history::judge(recorded, least, settings),
        (outcome, ..) => Ok(outcome),
    }
}

fn options(args: &RunArgs, settings: &Settings, expectations: Option<Expectations>, begun: Instant) -> MatrixOptions {
    MatrixOptions {
        case_timeout: *settings.case_timeout,
        retries: *settings.retries,
        retry_on: args.retry_on.iter().copied().collect(),
        repeat_each: args.repeat_each,
        verify: args.verify,
        tolerance: Tolerance {
            rtol: *settings.rtol,
            atol: *settings.atol,
            rtol_float16: *settings.float16_tolerance,
            atol_float16: *settings.float16_tolerance,
        },
        expectations,
        in_hand: *settings.tabs.end() as usize * 3,
        until: args.time_budget.and_then(|budget| begun.checked_add(budget)),
        shards: args.stages.shards(),
    }
}

/// The reports of the newest of the earlier runs; for `--last-failed` the one in the `--json` file, where there are none.
fn previous(args: &RunArgs, earlier: &[PathBuf]) -> Result<Vec<MatrixReport>, CliError> {
    let newest = &earlier[earlier.len().saturating_sub(PLANNED_BY)..];
    let paths = match args.reports.json() {
        _ if !args.last_failed || !newest.is_empty() => newest,
        Some(last) => std::slice::from_ref(last),
        None => return Err(CliError::NoLastRun),
    };
    Ok(paths.iter().map(MatrixReport::read).collect::<Result<_, _>>()?)
}

/// The past with what a history says of it.
fn recorded(past: Past, history: &Path) -> Result<Past, CliError> {
    Ok(past.with_recorded(History::open(history)?.matrix_cases(PLANNED_BY)?))
}

/// The past with what the run's own history says of it, where that decides what comes first. Not what a share is: other
/// machines have other histories.
fn informed(past: Past, args: &RunArgs, settings: &Settings) -> Past {
    let Some(path) = settings.history.value.as_deref().filter(|path| args.time_budget.is_some() && path.exists())
    else {
        return past;
    };
    recorded(past.clone(), path).unwrap_or_else(|error| {
        tracing::debug!(%error, "the history could not be asked for what is informative");
        past
    })
}

/// What failed in the last of these runs.
fn failed_last(previous: &[MatrixReport]) -> Vec<PairRow> {
    previous.iter().max_by_key(|report| report.started).map(MatrixReport::still_failing).unwrap_or_default()
}

/// The suites in these folders; without any, the built-in one.
pub(super) fn open_suites(folders: &[PathBuf]) -> Result<Vec<Suite>, CliError> {
    if folders.is_empty() {
        return Ok(vec![Suite::builtin()?]);
    }
    let suites: Vec<Suite> = folders.iter().map(|path| Suite::open(path)).collect::<Result<_, _>>()?;
    for (number, suite) in suites.iter().enumerate() {
        if let Some(other) = suites[..number].iter().find(|other| other.name == suite.name) {
            let [first, second] = [other, suite].map(|suite| suite.root.clone());
            return Err(CliError::SameSuite { name: suite.name.clone(), first, second });
        }
    }
    Ok(suites)
}

/// The cases that match and belong to the share, or to the run that is gone on with.
fn select(
    suites: Vec<Suite>,
    args: &RunArgs,
    past: &Past,
    about: &[SuiteRow],
    resumed: Option<&MatrixReport>,
) -> Result<Vec<Planned>, CliError> {
    let all = suites.into_iter().flat_map(|suite| suite.cases);
    let mut count = 0;
    let matching = all.inspect(|_| count += 1).filter(|case| {
        args.filter.as_ref().is_none_or(|filter| filter.is_match(&format!("{}/{}", case.suite, case.name)))
    });
    let cases: Vec<Planned> = matching.map(Planned::read).collect();
    if cases.is_empty() {
        return Err(CliError::NothingSelected { cases: count });
    }
    // There may be fewer cases than shares.
    Ok(match (resumed, &args.resume, args.shard) {
        (Some(run), Some(file), _) => resume::cases_of(run, file, about, cases)?,
        (.., Some(shard)) => shard.of(cases, past),
        (.., None) => cases,
    })
}

fn counts_as_failed(report: &MatrixReport) -> bool {
    report.results.iter().any(CaseResult::has_failed)
}

fn update(expectations: &Expectations, report: &MatrixReport) -> Result<Outcome, CliError> {
    let path: &Path = expectations.path();
    let update = expectations.update(report);
    update.write(path)?;
    let (added, changed, removed) = (update.added, update.changed, update.removed);
    println!("{}: {added} entries added, {changed} changed, {removed} removed", path.display());
    Ok(Outcome::Good)
}
