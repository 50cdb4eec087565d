//! `tabfleet health`: how well the fleets are that commands are running on this machine.

use super::{config::Settings, error::CliError, outcome::Outcome, style::table_style};
use crate::{
    fleet::{RunningFleet, RunningFleetError},
    report::{FleetRow, HealthReport, health_table},
    types::HealthLevel,
};
use clap::Args;

/// Tell how well the fleets are that commands are running on this machine.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Print JSON instead of a table (docs/JSON.md describes it)
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: HealthArgs, settings: &Settings) -> Result<Outcome, CliError> {
    let running = RunningFleet::all()?;
    let mut report = HealthReport { fleets: Vec::new() };
    let mut silent = None;
    for row in futures::future::join_all(running.iter().map(row)).await {
        match row {
            Ok(row) => report.fleets.push(row),
            Err(RunningFleetError::Ended { .. }) => {}
            Err(error) => silent = silent.or(Some(error)),
        }
    }
    if args.json {
        let write = |error: serde_json::Error| CliError::Write { path: "standard output".into(), source: error.into() };
        println!("{}", serde_json::to_string_pretty(&report).map_err(write)?);
    } else if !report.fleets.is_empty() {
        print!("{}", health_table(&report, table_style(settings)));
    }
    if let Some(error) = silent {
        return Err(error.into());
    }
    match report.fleets.iter().map(|fleet| fleet.health.worst()).min() {
        None => Err(CliError::NoFleet),
        Some(HealthLevel::Critical | HealthLevel::Unhealthy) => Ok(Outcome::Failed),
        Some(_) => Ok(Outcome::Good),
    }
}

async fn row(fleet: &RunningFleet) -> Result<FleetRow, RunningFleetError> {
    Ok(FleetRow {
        pid: fleet.pid(),
        command: fleet.command().to_owned(),
        origin: fleet.origin().to_owned(),
        started: fleet.started().into(),
        health: fleet.health().await?,
    })
}
