//! `tabfleet matrix`: every case of a suite on every target.

use super::{
    config::Settings, error::CliError, fleet, history, interrupt::interrupted, outcome::Outcome, progress::Progress,
    style::table_style,
};
use crate::{
    fleet::{Fleet, FleetError},
    matrix::{self, MatrixOptions, Selection, Shard},
    onnx::{Case, Suite, Tolerance},
    report::{CaseResult, Outputs, ReportError, ReportWriter, TargetRow, matrix_table},
    stats::regression::Severity,
    types::{TargetInfo, Verdict},
};
use clap::Args;
use regex::Regex;
use std::{path::PathBuf, sync::Arc};

/// Run every case of a suite on every target, and check the outputs.
#[derive(Debug, Args)]
pub(super) struct MatrixArgs {
    /// Folders of cases in the ONNX backend-test layout [default: the built-in suite]
    suites: Vec<PathBuf>,

    /// Run only cases whose SUITE/CASE matches
    #[arg(long, value_name = "REGEX")]
    filter: Option<Regex>,

    /// Run only the I-th of N equal shares of the cases
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// Write the results there as JSON (docs/JSON.md describes it)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the results there as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Write an HTML report there
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,

    /// Exit with 0 even when a case did not pass
    #[arg(long)]
    no_fail: bool,

    /// Compare with earlier runs of the history (--history), and exit with 3 when a regression is at least this bad:
    /// minor, moderate, severe, critical
    #[arg(long, value_name = "SEVERITY", value_parser = history::severity)]
    fail_on: Option<Severity>,
}

pub(super) async fn execute(args: MatrixArgs, settings: &Settings, quiet: bool) -> Result<Outcome, CliError> {
    if args.fail_on.is_some() && settings.history.is_none() {
        return Err(CliError::NothingToCompareWith);
    }
    let suites = if args.suites.is_empty() {
        vec![Suite::builtin()?]
    } else {
        args.suites.iter().map(|path| Suite::open(path)).collect::<Result<_, _>>()?
    };
    let all: Vec<Case> = suites.into_iter().flat_map(|suite| suite.cases).collect();
    let count = all.len();
    let cases = Selection { filter: args.filter, shard: args.shard }.of(all);
    if cases.is_empty() {
        return Err(CliError::NothingSelected { cases: count });
    }
    let mut writer = ReportWriter::create(Outputs { json: args.json, junit: args.junit, html: args.html })?;
    let targets = fleet::targets(settings)?;
    let launch = fleet::builder(settings, "matrix").targets(targets).launch();
    let launched = tokio::select! {
        launched = launch => launched,
        () = interrupted() => return Ok(Outcome::Interrupted),
    };
    let outcome = match launched {
        Ok(fleet) => run(&fleet, &cases, settings, &mut writer, quiet).await,
        Err(FleetError::NothingWorks(infos)) => {
            writer.targets(&rows(&infos))?;
            writer.finish()?;
            return Err(FleetError::NothingWorks(infos).into());
        }
        Err(error) => return Err(error.into()),
    }?;
    let report = match writer.finish() {
        Ok(report) => report,
        Err(error) => {
            print!("{}", matrix_table(writer.report(), table_style(settings)));
            return Err(error.into());
        }
    };
    print!("{}", matrix_table(&report, table_style(settings)));
    match (outcome, args.fail_on) {
        (Outcome::Good, _) if report.failures() > 0 && !args.no_fail => Ok(Outcome::Failed),
        (Outcome::Good, Some(least)) => history::judge_newest(least, settings),
        (outcome, _) => Ok(outcome),
    }
}

fn rows(infos: &[Arc<TargetInfo>]) -> Vec<TargetRow> {
    infos.iter().map(|info| TargetRow::from(&**info)).collect()
}

async fn run(
    fleet: &Fleet,
    cases: &[Case],
    settings: &Settings,
    writer: &mut ReportWriter,
    quiet: bool,
) -> Result<Outcome, CliError> {
    let infos = fleet.targets().await?;
    writer.targets(&rows(&infos))?;
    let working: Vec<Arc<TargetInfo>> = infos.into_iter().filter(|info| info.available).collect();
    let tolerance = Tolerance {
        rtol: *settings.rtol,
        atol: *settings.atol,
        rtol_float16: *settings.float16_tolerance,
        atol_float16: *settings.float16_tolerance,
    };
    let options = MatrixOptions {
        case_timeout: *settings.case_timeout,
        retries: *settings.retries,
        tolerance,
        in_hand: *settings.tabs as usize * 3,
    };
    let mut progress = Progress::new((cases.len() * working.len()) as u64, "results", quiet);
    let mut unwritten = None;
    let on_result = |result: CaseResult| {
        if let Some(line) = line(&result) {
            progress.say(&line);
        }
        progress.step();
        // The run goes on without a file that cannot be written, and says so once, at its end.
        if let Err(error) = writer.result(result) {
            unwritten.get_or_insert(error);
        }
    };
    let outcome = tokio::select! {
        () = matrix::run(fleet, &working, cases, &options, on_result) => Outcome::Good,
        () = interrupted() => Outcome::Interrupted,
    };
    progress.finish();
    let closed = fleet.close().await;
    if let Some(error) = unwritten {
        warn(&error);
    }
    if let Err(error) = closed {
        tracing::error!(%error, "the results are complete, but the history is not");
    }
    Ok(outcome)
}

fn warn(error: &ReportError) {
    tracing::error!(%error, "results could not be written as they came");
}

/// A line for a result that somebody will want to see at once.
fn line(result: &CaseResult) -> Option<String> {
    if !result.verdict.is_failure() {
        return None;
    }
    let CaseResult { suite, case, target, verdict, error, .. } = result;
    let message = error.as_ref().map(|error| error.message.lines().next().unwrap_or_default()).unwrap_or_default();
    debug_assert_ne!(*verdict, Verdict::Pass);
    Some(format!("{verdict} {suite}/{case} on {target}: {message}"))
}
