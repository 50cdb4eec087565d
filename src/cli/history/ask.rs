//! Questions about series: read, analysed, shown.

use super::{filter::FilterArgs, series_file};
use crate::{
    cli::{config::Settings, error::CliError, outcome::Outcome, style::table_style},
    history::{
        History, HistoryError, Metric, Series, SeriesFilter,
        analysis::{self, ForecastOptions, Windows},
    },
    report::{Findings, LookedAt, Question, SeriesName, history_table, write_history_html, write_json},
    stats::regression::Severity,
};
use clap::Args;
use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
    str::FromStr,
    time::SystemTime,
};

/// What nightly questions are about; the other metrics are there for the asking.
const USUAL: [Metric; 5] =
    [Metric::RunMs, Metric::FirstRunMs, Metric::CreateMs, Metric::Throughput, Metric::MemoryBytes];

/// Series on the page of run times. Each takes some kilobytes, and nobody looks at more.
const MOST_SERIES: usize = 500;

#[derive(Clone, Debug, Args)]
pub(super) struct AskArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// Write the answer there as JSON, with every point (docs/JSON.md describes it)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the answer there as a page with charts
    #[arg(long, value_name = "FOLDER")]
    html: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct RegressionArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Compare with the runs of this baseline (`tabfleet history baseline set NAME`), in place of the runs before
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// How many of the newest runs are judged
    #[arg(long, value_name = "RUNS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    candidate_runs: u16,
    /// How many runs before those they are compared with
    #[arg(long, value_name = "RUNS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    baseline_runs: u16,
    /// Exit with 3 when a regression is at least this bad: minor, moderate, severe, critical
    #[arg(long, value_name = "SEVERITY", value_parser = Severity::from_str)]
    fail_on: Option<Severity>,
    /// List also what is neither large nor sure enough to be anything
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ChangePointArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Read any series from there instead: JSON lines ({"id": …, "values": […]}), or CSV with a column `value`
    #[arg(long, value_name = "FILE", requires = "output")]
    input: Option<PathBuf>,
    /// And write there, for each series, a JSON line with the indices where its level changes
    #[arg(long, value_name = "FILE", requires = "input")]
    output: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ForecastArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Runs ahead
    #[arg(long, value_name = "RUNS", default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=365))]
    horizon: u16,
    /// The share of future points that are to lie within the intervals, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 95.0, value_parser = percent)]
    level: f64,
    /// What the series are to stay within, in their unit: tells when they will cross it. Without --metric, of run_ms
    #[arg(long, value_name = "VALUE")]
    budget: Option<f64>,
}

fn percent(text: &str) -> Result<f64, String> {
    // More would need more values than a forecast looks at.
    let range = "a number from 50 to 99.5";
    text.parse().ok().filter(|percent| (50.0..=99.5).contains(percent)).ok_or_else(|| range.to_owned())
}

pub(super) fn show(args: &AskArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    let (_, findings) = read(args, Question::Show, path, &USUAL)?;
    tell(&findings, args, settings)
}

pub(super) fn regressions(args: &RegressionArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    let history = History::open(path)?;
    let pinned = args.baseline.as_deref().map(|name| history.baseline(name)).transpose()?;
    let windows = Windows {
        candidate_runs: usize::from(args.candidate_runs),
        baseline_runs: usize::from(args.baseline_runs),
        pinned: pinned.map(|runs| runs.into_iter().collect()),
        judged_runs: None,
        all: args.all,
    };
    let mut findings = Findings::new(Question::Regressions, path);
    let with_points = args.ask.json.is_some() || args.ask.html.is_some();
    let series = windowed(&history, &args.ask.filter.filter(&USUAL), &windows, with_points, &mut findings)?;
    if let (Some(name), Some(runs)) = (&args.baseline, &windows.pinned)
        && !series.iter().flat_map(|series| &series.points).any(|point| runs.contains(&point.run_id))
    {
        return Err(HistoryError::BaselineElsewhere { name: name.clone() }.into());
    }
    let worst = analysis::regressions(&series, &windows, &mut findings);
    drop(history);
    keep(&findings, args.baseline.as_deref(), path);
    tell(&findings, &args.ask, settings)?;
    let failed = args.fail_on.is_some_and(|least| worst.is_some_and(|worst| worst >= least));
    Ok(if failed { Outcome::Regressed } else { Outcome::Good })
}

/// `--fail-on` of a command that has just recorded these runs: compares them with those before, and prints what differs.
/// One that is kept beside the history, told as `None`, cannot be compared yet.
pub(in crate::cli) fn judge(
    recorded: &[Option<i64>],
    least: Severity,
    settings: &Settings,
) -> Result<Outcome, CliError> {
    let Some(path) = &settings.history.value else { return Err(CliError::NothingToCompareWith) };
    let runs: BTreeSet<i64> = recorded.iter().copied().flatten().collect();
    if runs.len() < recorded.len() {
        eprintln!(
            "not judged: {file} was in use, and this run is kept beside it; `tabfleet history merge --history {file}` and \
             `tabfleet history regressions --fail-on {least} --history {file}` judge it later",
            file = path.display()
        );
    }
    if runs.is_empty() {
        return Ok(Outcome::Good);
    }
    let history = History::open(path)?;
    let windows = Windows { judged_runs: Some(runs), ..Windows::default() };
    let mut findings = Findings::new(Question::Regressions, path);
    let filter = SeriesFilter { metrics: USUAL.to_vec(), ..SeriesFilter::default() };
    let series = windowed(&history, &filter, &windows, false, &mut findings)?;
    let worst = analysis::regressions(&series, &windows, &mut findings);
    drop(history);
    keep(&findings, None, path);
    println!();
    print!("{}", history_table(&findings, table_style(settings)));
    Ok(if worst.is_some_and(|worst| worst >= least) { Outcome::Regressed } else { Outcome::Good })
}

/// The run times of the history and what changed in them with these runs, for the page that goes with a matrix's site;
/// `None` without a history. Of very many series those are kept that have changed, and then those of most runs.
pub(in crate::cli) fn run_times(judged: BTreeSet<i64>, settings: &Settings) -> Result<Option<Findings>, CliError> {
    let Some(path) = &settings.history.value else { return Ok(None) };
    let history = History::open(path)?;
    // A case of a matrix runs once in a session of its own: it has first runs only.
    let filter = SeriesFilter { metrics: vec![Metric::RunMs, Metric::FirstRunMs], ..SeriesFilter::default() };
    let mut series = history.series(&filter)?;
    let runs: HashSet<i64> = series.iter().flat_map(|series| series.points.iter().map(|point| point.run_id)).collect();
    let mut findings = Findings::new(Question::Regressions, path);
    findings.looked_at = LookedAt { series: series.len(), runs: runs.len() };
    let windows = Windows { judged_runs: Some(judged), ..Windows::default() };
    analysis::regressions(&series, &windows, &mut findings);
    analysis::change_points(&series, &mut findings);
    // Which series are too young to be judged is no news.
    findings.not_judged.clear();
    if series.len() > MOST_SERIES {
        let changed: Vec<SeriesName> = findings.change_points.iter().map(|change| change.series.clone()).collect();
        series.sort_by_key(|series| {
            (!changed.contains(&SeriesName::from(&series.key)), std::cmp::Reverse(series.points.len()))
        });
        series.truncate(MOST_SERIES);
    }
    findings.series = analysis::series_rows(&series);
    Ok(Some(findings))
}

pub(super) fn change_points(args: &ChangePointArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    if let (Some(input), Some(output)) = (&args.input, &args.output) {
        return series_file::change_points(input, output);
    }
    let (series, mut findings) = read(&args.ask, Question::ChangePoints, path, &USUAL)?;
    analysis::change_points(&series, &mut findings);
    tell(&findings, &args.ask, settings)
}

pub(super) fn trends(args: &AskArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    let (series, mut findings) = read(args, Question::Trends, path, &USUAL)?;
    analysis::trends(&series, &mut findings);
    keep(&findings, None, path);
    tell(&findings, args, settings)
}

pub(super) fn anomalies(args: &AskArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    let (series, mut findings) = read(args, Question::Anomalies, path, &USUAL)?;
    analysis::anomalies(&series, &mut findings);
    tell(&findings, args, settings)
}

pub(super) fn forecast(args: &ForecastArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    // Of another metric it would be another number.
    let usual = if args.budget.is_some() { &[Metric::RunMs][..] } else { &USUAL };
    let (series, mut findings) = read(&args.ask, Question::Forecast, path, usual)?;
    let options =
        ForecastOptions { horizon: usize::from(args.horizon), level: args.level / 100.0, budget: args.budget };
    analysis::change_points(&series, &mut findings);
    analysis::forecasts(&series, &options, &mut findings);
    tell(&findings, &args.ask, settings)
}

pub(super) fn correlations(args: &AskArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    let (series, mut findings) = read(args, Question::Correlations, path, &[])?;
    analysis::correlations(&series, &mut findings);
    tell(&findings, args, settings)
}

pub(super) fn recommend(args: &AskArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    let history = History::open(path)?;
    let series = history.series(&args.filter.filter(&[Metric::RunMs]))?;
    let mut findings = answer(Question::Recommend, path, &series);
    let now = SystemTime::now();
    analysis::recommendations(&series, now, &mut findings);
    analysis::family_recommendations(&series, &history.families()?, now, &mut findings);
    drop(history);
    keep(&findings, None, path);
    tell(&findings, args, settings)
}

pub(super) fn health(args: &AskArgs, path: &Path, settings: &Settings) -> Result<Outcome, CliError> {
    let history = History::open(path)?;
    let filter = args.filter.filter(&[Metric::FailureRate]);
    let mut findings = answer(Question::Health, path, &history.series(&filter)?);
    findings.health = history.target_health(&filter)?;
    tell(&findings, args, settings)
}

fn read(
    args: &AskArgs,
    question: Question,
    path: &Path,
    usual: &[Metric],
) -> Result<(Vec<Series>, Findings), CliError> {
    let series = History::open(path)?.series(&args.filter.filter(usual))?;
    let findings = answer(question, path, &series);
    Ok((series, findings))
}

/// The series, no longer than the windows need them: ten thousand whole ones are hundreds of megabytes. With their
/// points in the findings where somebody wants them there.
fn windowed(
    history: &History,
    filter: &SeriesFilter,
    windows: &Windows,
    with_points: bool,
    findings: &mut Findings,
) -> Result<Vec<Series>, CliError> {
    let (mut all, mut runs) = (Vec::new(), HashSet::new());
    history.each_series(filter, |mut series| {
        runs.extend(series.points.iter().map(|point| point.run_id));
        if with_points {
            findings.series.extend(analysis::series_rows(std::slice::from_ref(&series)));
        }
        if let Some(needed) = windows.points_needed() {
            series.points.drain(..series.points.len().saturating_sub(needed));
            series.points.shrink_to_fit();
        }
        all.push(series);
    })?;
    findings.looked_at = LookedAt { series: all.len(), runs: runs.len() };
    Ok(all)
}

fn answer(question: Question, path: &Path, series: &[Series]) -> Findings {
    Findings::new(question, path).with_series(analysis::series_rows(series))
}

/// What was found is kept in the file where it can be written; the answer is good without.
fn keep(findings: &Findings, baseline: Option<&str>, path: &Path) {
    if let Err(error) = History::keep(path, findings, baseline) {
        tracing::info!(%error, "what was found is not kept in the history");
    }
}

fn tell(findings: &Findings, args: &AskArgs, settings: &Settings) -> Result<Outcome, CliError> {
    print!("{}", history_table(findings, table_style(settings)));
    if let Some(path) = &args.json {
        write_json(findings, path)?;
    }
    if let Some(folder) = &args.html {
        write_history_html(findings, folder)?;
    }
    Ok(Outcome::Good)
}
