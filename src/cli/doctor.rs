//! `tabfleet doctor`: which targets work here, and what the others lack.

use super::{config::Settings, error::CliError, fleet, interrupt::interrupted, outcome::Outcome, style::table_style};
use crate::{
    fleet::{Fleet, FleetError, Model, ModelSpec},
    onnx::{LoadedCase, Suite, Tolerance, compare},
    report::{DoctorReport, Missing, TargetRow, doctor_table},
    types::{Backend, Browser, Target, TargetInfo},
};
use clap::Args;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

/// Of the built-in suite: small, and every backend can run it.
const CANARY: &str = "mlp";

/// Longer than compiling the canary's shaders on a software adapter of a busy machine takes.
const CANARY_TIMEOUT: Duration = Duration::from_secs(60);

/// Tell which targets work on this machine, and what the others lack.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Write the findings there as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) async fn execute(args: DoctorArgs, settings: &Settings) -> Result<Outcome, CliError> {
    fleet::refuse_tabs(settings, "doctor", "it tries each target in one tab")?;
    let asked: BTreeSet<Target> = settings.targets.iter().flat_map(|pattern| pattern.targets()).collect();
    let every = || Browser::ALL.iter().flat_map(|b| Backend::ALL.iter().map(move |backend| Target::new(*b, *backend)));
    let targets = if asked.is_empty() { every().collect() } else { asked };
    let missing = missing(settings, &targets)?;
    let launch = fleet::builder(settings, "doctor").targets(targets).tabs(1..=1).launch();
    let launched = tokio::select! {
        launched = launch => launched,
        () = interrupted() => return Ok(Outcome::Interrupted),
    };
    let (rows, works) = match launched {
        Ok(fleet) => {
            let rows = tokio::select! {
                rows = examine(&fleet) => rows,
                () = interrupted() => { fleet.close().await?; return Ok(Outcome::Interrupted) }
            };
            fleet.close().await?;
            let rows = rows?;
            let works = rows.iter().any(|row| row.available);
            (rows, works)
        }
        Err(FleetError::NothingWorks(infos)) => (infos.iter().map(|info| TargetRow::from(&**info)).collect(), false),
        Err(error) => return Err(error.into()),
    };
    let report = DoctorReport::new(rows, missing);
    print!("{}", doctor_table(&report, table_style(settings)));
    if let Some(path) = args.json {
        let write = |source| CliError::Write { path: path.clone(), source };
        let json = serde_json::to_string_pretty(&report).map_err(|error| write(error.into()))?;
        std::fs::write(&path, json + "\n").map_err(write)?;
    }
    Ok(if works { Outcome::Good } else { Outcome::Infrastructure })
}

/// What is not installed, of the browsers asked for.
fn missing(settings: &Settings, targets: &BTreeSet<Target>) -> Result<Vec<Missing>, CliError> {
    let (catalogue, overrides) = (fleet::catalogue(settings)?, fleet::overrides(settings));
    let browsers: BTreeSet<Browser> = targets.iter().map(|target| target.browser).collect();
    Ok(browsers
        .into_iter()
        .filter_map(|browser| catalogue.find(browser, &overrides).err().map(|error| (browser, error)))
        .map(|(browser, error)| Missing { browser, what: error.to_string(), hint: error.hint().unwrap_or_default() })
        .collect())
}

/// Runs a real model on every target that started: only a right answer counts as working.
async fn examine(fleet: &Fleet) -> Result<Vec<TargetRow>, CliError> {
    let suite = Suite::builtin()?;
    let infos = fleet.targets().await?;
    let canary = match suite.cases.iter().find(|case| case.name == CANARY) {
        Some(case) if fleet.config().custom_runtime.is_none() => Some(case.load()?),
        _ => None,
    };
    let Some(canary) = canary else { return Ok(infos.iter().map(|info| TargetRow::from(&**info)).collect()) };
    let model = fleet.get_model(ModelSpec::read(canary.model.clone())).await?;
    let rows = infos.iter().map(|info| row(&model, &canary, info));
    Ok(futures::future::join_all(rows).await)
}

async fn row(model: &Model, canary: &LoadedCase, info: &Arc<TargetInfo>) -> TargetRow {
    let mut row = TargetRow::from(&**info);
    let Some((inputs, expected)) = canary.sets.first().filter(|_| info.available) else { return row };
    let options = model.options().pin(info.target).deadline(CANARY_TIMEOUT).attempts(1);
    let problem = match model.run_with(inputs.clone(), options).await {
        Ok(output) => {
            let mismatch = compare(expected, &output.tensors, &Tolerance::default()).mismatch;
            mismatch.map(|mismatch| format!("a small model gave wrong numbers: {mismatch}"))
        }
        Err(error) => Some(format!("a small model failed: {}", error.failure)),
    };
    row.available = problem.is_none();
    row.reason = problem;
    row
}
