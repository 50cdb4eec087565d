//! `tabfleet bench`: how fast models run on each target.

use super::{
    config::Settings, error::CliError, fleet, history, interrupt::interrupted, outcome::Outcome, progress::Progress,
    shard::InStages, style::table_style,
};
use crate::{
    bench::{self, BenchModel, BenchOptions},
    fleet::{Fleet, ModelSpec},
    onnx::{ModelFile, Suite, parse_shape_flag, random_inputs},
    report::{BenchReport, TargetRow, bench_table, write_json},
    stats::regression::Severity,
    types::Target,
};
use clap::Args;
use std::{collections::BTreeMap, ops::ControlFlow, path::PathBuf, str::FromStr, time::Duration};
use time::OffsetDateTime;

/// Measure how fast models run on each target.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// ONNX models, cases or folders of cases in the backend-test layout [default: the built-in suite]
    models: Vec<PathBuf>,

    /// The size of an input or a symbolic dimension: ids=1x128, batch=4
    #[arg(long = "shape", value_name = "NAME=SIZE")]
    shapes: Vec<String>,

    /// Runs under way at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,

    /// Runs of each series that do not count
    #[arg(long, default_value_t = 5, value_name = "RUNS")]
    warmup: usize,

    /// How close the 95% confidence interval of the median has to be, in percent
    #[arg(long, default_value_t = 2.0, value_name = "PERCENT")]
    precision: f64,

    /// The longest the measuring may take; everything is measured once in any case
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = humantime::parse_duration)]
    time_limit: Duration,

    #[command(flatten)]
    stages: InStages,

    /// Write the measurements there as JSON (docs/JSON.md describes it)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Compare with earlier runs of the history (--history), and exit with 3 when a regression is at least this bad:
    /// minor, moderate, severe, critical
    #[arg(long, value_name = "SEVERITY", value_parser = Severity::from_str)]
    fail_on: Option<Severity>,
}

pub(super) async fn execute(args: BenchArgs, settings: &Settings, quiet: bool) -> Result<Outcome, CliError> {
    if args.fail_on.is_some() && settings.history.is_none() {
        return Err(CliError::NothingToCompareWith);
    }
    let why = "what is compared is measured in as many tabs everywhere and all the time: one for each target, or one for each \
               of its --shards";
    fleet::refuse_tabs(settings, "bench", why)?;
    if let Some(most) = settings.model_concurrency.filter(|most| *most < u32::from(args.concurrency)) {
        return Err(CliError::ConcurrencyAboveLimit { concurrency: args.concurrency, most });
    }
    let workloads = workloads(&args, *settings.seed)?;
    let targets = fleet::targets(settings)?;
    let tabs = args.stages.tabs();
    let launch = fleet::builder(settings, "bench").targets(targets).tabs(tabs..=tabs).launch();
    let fleet = tokio::select! {
        fleet = launch => fleet?,
        () = interrupted() => return Ok(Outcome::Interrupted),
    };
    let mut report = BenchReport::new(OffsetDateTime::now_utc());
    let outcome = measure(&fleet, workloads, &args, &mut report, quiet).await;
    let closed = fleet.close().await;
    // What was interrupted before anything was measured leaves an older file as it was.
    if outcome.as_ref().is_ok_and(|outcome| *outcome != Outcome::Interrupted || !report.series.is_empty()) {
        print!("{}", bench_table(&report, table_style(settings)));
        if let Some(path) = &args.json {
            write_json(&report, path)?;
        }
    }
    closed?;
    match (outcome?, args.fail_on) {
        (Outcome::Good, Some(least)) => history::judge(&[fleet.recorded_run()], least, settings),
        (outcome, _) => Ok(outcome),
    }
}

/// A model that was read, and the inputs it is measured with.
type Workload = (ModelSpec, Vec<(String, crate::types::Tensor<'static>)>);

fn workloads(args: &BenchArgs, seed: u64) -> Result<Vec<Workload>, CliError> {
    let shapes: BTreeMap<String, Vec<usize>> =
        args.shapes.iter().map(|text| parse_shape_flag(text)).collect::<Result<_, _>>()?;
    let mut workloads = Vec::new();
    let mut suites = Vec::new();
    for path in &args.models {
        if path.is_dir() {
            suites.push(Suite::open(path)?);
        } else {
            let file = ModelFile::read(path)?;
            let inputs = random_inputs(&file, &shapes, seed)?;
            workloads.push((ModelSpec::read(file), inputs));
        }
    }
    if args.models.is_empty() {
        suites.push(Suite::builtin()?);
    }
    for case in suites.into_iter().flat_map(|suite| suite.cases) {
        let mut loaded = case.load()?;
        let (inputs, _) = loaded.sets.swap_remove(0);
        workloads.push((ModelSpec::read(loaded.model).name(case.name), inputs));
    }
    Ok(workloads)
}

async fn measure(
    fleet: &Fleet,
    workloads: Vec<Workload>,
    args: &BenchArgs,
    report: &mut BenchReport,
    quiet: bool,
) -> Result<Outcome, CliError> {
    let infos = fleet.targets().await?;
    report.targets = infos.iter().map(|info| TargetRow::from(&**info)).collect();
    let targets: Vec<Target> = infos.iter().filter(|info| info.available).map(|info| info.target).collect();
    let models = tokio::select! {
        models = models(fleet, workloads, args) => models?,
        () = interrupted() => return Ok(Outcome::Interrupted),
    };
    let options = BenchOptions {
        warmup: args.warmup,
        concurrency: usize::from(args.concurrency),
        precision: args.precision / 100.0,
        time_limit: args.time_limit,
        ..BenchOptions::default()
    };
    let total = (models.len() * targets.len()) as u64;
    let mut progress = Progress::new(total, "series measured", quiet);
    let mut done = 0;
    let on_round = |running| {
        let finished = total - running as u64;
        (done..finished).for_each(|_| progress.step());
        done = finished;
    };
    let ended = bench::run(fleet, &targets, &models, &options, report, on_round, interrupted()).await;
    progress.finish();
    Ok(match ended {
        ControlFlow::Break(()) => Outcome::Interrupted,
        ControlFlow::Continue(()) if report.failures.is_empty() => Outcome::Good,
        ControlFlow::Continue(()) => Outcome::Failed,
    })
}

async fn models(fleet: &Fleet, workloads: Vec<Workload>, args: &BenchArgs) -> Result<Vec<BenchModel>, CliError> {
    let mut models = Vec::new();
    for (mut spec, inputs) in workloads {
        if let Some(shards) = args.stages.shards() {
            spec = spec.sharded(shards);
        }
        models.push(BenchModel { model: fleet.get_model(spec).await?, inputs });
    }
    Ok(models)
}
