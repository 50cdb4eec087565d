//! `tabfleet matrix merge`: one report of several runs.

use super::{
    super::{
        config::Settings,
        error::CliError,
        outcome::Outcome,
        reports::{ReportArgs, Reports},
        style::table_style,
    },
    ExpectationArgs, counts_as_failed, tell_of_lost_targets, update,
};
use crate::{
    history::{History, HistoryError, Imported},
    report::{EarlierRuns, MatrixReport, matrix_table},
};
use clap::Args;
use std::{collections::BTreeSet, path::PathBuf};

/// Join the results of several runs, of shards for instance, to one report.
#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// The JSON that the runs wrote; of two results of a case on a target, the later run's counts
    #[arg(required = true, value_name = "FILE")]
    runs: Vec<PathBuf>,

    /// A report (JSON) of an earlier run, or a folder of them, which need not be there yet: for what changed since, and for
    /// each verdict's history in the HTML report. May be given several times
    #[arg(long, value_name = "PATH")]
    previous: Vec<PathBuf>,

    #[command(flatten)]
    known: ExpectationArgs,

    /// Exit with 0 even when a case did not pass, or was not tried because its target was lost
    #[arg(long)]
    no_fail: bool,

    #[command(flatten)]
    reports: ReportArgs,
}

pub(super) async fn execute(args: MergeArgs, settings: &Settings) -> Result<Outcome, CliError> {
    let expectations = args.known.read()?;
    let reports = args.runs.iter().map(MatrixReport::read).collect::<Result<Vec<_>, _>>()?;
    let hosts: Vec<_> = reports.iter().map(|report| &report.host).collect();
    if hosts.windows(2).any(|two| two[0] != two[1]) {
        tracing::warn!("the runs are of different machines; the report names that of the first");
    }
    let outputs = Reports::open(&args.reports, &EarlierRuns::files(&args.previous)?)?;
    let Some(mut report) = MatrixReport::merged(reports) else { return Ok(Outcome::Good) };
    if let Some(known) = &expectations {
        known.judge_report(&mut report);
    }
    let imported = import(&args.runs, settings);
    let recorded = imported.as_ref().cloned().unwrap_or_default();
    print!("{}", matrix_table(&report, outputs.since(&report).as_ref(), table_style(settings)));
    // After the history, which the HTML report has a page of.
    let report = outputs.write(report, recorded, settings).await?;
    let lost = tell_of_lost_targets(&report, &settings.targets);
    let outcome = match expectations {
        Some(known) if args.known.update_expectations => update(&known, &report)?,
        _ if args.no_fail => Outcome::Good,
        _ if counts_as_failed(&report) => Outcome::Failed,
        _ if lost => Outcome::Infrastructure,
        _ => Outcome::Good,
    };
    // A history that somebody else has just now keeps no report from being written.
    Ok(imported.map(|_| outcome)?)
}

/// Takes the runs into the history, if there is one, and returns their numbers there. What is there already is not taken
/// in again.
fn import(runs: &[PathBuf], settings: &Settings) -> Result<BTreeSet<i64>, HistoryError> {
    let Some(history) = &settings.history.value else { return Ok(BTreeSet::new()) };
    let number = |run: &PathBuf| {
        History::import(history, run).map(|(Imported::New { run_id, .. } | Imported::AlreadyThere { run_id })| run_id)
    };
    runs.iter().map(number).collect()
}
