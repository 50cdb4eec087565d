//! Breaking a fleet on purpose while it works: [`run`] keeps real jobs going, really kills, stops, cuts and starves what
//! runs them, checks every answer, and tells what was noticed and mended how soon.

mod answers;
mod inject;
mod ledger;
mod load;
mod plan;
mod summary;
mod turmoil;

use crate::{
    fleet::{Fleet, FleetError, ModelSpecError},
    onnx::{Case, Tolerance},
    report::{BadJob, ChaosReport, InjectionRow, LeftOut, TargetRow},
    types::{FailureMode, Target},
};
use inject::HarmfulModels;
use load::Load;
use std::{collections::BTreeSet, time::Duration};
use time::OffsetDateTime;
use turmoil::Turmoil;

/// How a fleet is broken.
#[derive(Clone, Debug)]
pub struct ChaosOptions {
    /// What is injected.
    pub modes: BTreeSet<FailureMode>,
    /// How likely a job is to bring an injection, from 0 to 1. One that finds no browser free (each is broken in one way
    /// at a time, and then left alone until it works again) brings none.
    pub rate: f64,
    /// How often each mode is injected; without it, there is no end but that of the time.
    pub each: Option<u32>,
    /// How long things are broken. What is still broken then is waited for, with jobs going on.
    pub duration: Duration,
    /// Decides in the course of which jobs something is broken, and what.
    pub seed: u64,
    /// Jobs under way at once. Three for every tab keep all of them at work, and some waiting.
    pub in_hand: usize,
    /// When answers count as right.
    pub tolerance: Tolerance,
    /// The longest one attempt of a job may take.
    pub attempt_timeout: Duration,
    /// Most attempts of a job: as many as it may meet injections while it waits for a browser to come back.
    pub attempts: u32,
    /// A job's deadline: several times what a browser takes to be found hung, ended, launched and loaded again.
    pub deadline: Duration,
}

impl Default for ChaosOptions {
    fn default() -> Self {
        Self {
            modes: FailureMode::ALL.iter().copied().collect(),
            rate: 0.05,
            each: None,
            duration: Duration::from_secs(60),
            seed: 0,
            in_hand: 6,
            tolerance: Tolerance::default(),
            attempt_timeout: Duration::from_secs(30),
            attempts: 10,
            deadline: Duration::from_secs(180),
        }
    }
}

/// Why nothing could be broken.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// There is nothing to run while things break.
    #[error("no case works on any target even while nothing is broken:{}", reasons(.0))]
    NothingWorks(Vec<LeftOut>),
    /// The models that do harm need a folder to lie in.
    #[error("a temporary folder cannot be made or written")]
    Folder(#[source] std::io::Error),
    /// The models that do harm cannot be served.
    #[error(transparent)]
    Model(#[from] ModelSpecError),
    /// The fleet was closed.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

fn reasons(left_out: &[LeftOut]) -> String {
    let line = |left: &LeftOut| {
        let on = left.target.map(|target| format!(" on {target}")).unwrap_or_default();
        format!("\n  {}{on}: {}", left.case, left.reason)
    };
    left_out.iter().take(10).map(line).collect()
}

/// Something that somebody will want to see at once.
#[derive(Clone, Debug)]
pub enum Notice {
    /// Every case has been tried on every target; from now on things are broken.
    Begun,
    /// An injection was got over, or not in time.
    Injection(InjectionRow),
    /// A job did not end as it should.
    BadJob(BadJob),
    /// So much time has passed since it began; told ten times a second.
    Time(Duration),
}

/// Runs each case once on every target of the fleet, and then jobs of those that work, breaking what runs them, until the
/// time or the injections are over, or `stop` resolves. Every job is waited for, unless stopped.
///
/// # Errors
/// [`ChaosError`], before anything is broken.
pub async fn run(
    fleet: &Fleet,
    cases: &[Case],
    options: &ChaosOptions,
    stop: impl Future<Output = ()>,
    notice: impl FnMut(Notice),
) -> Result<ChaosReport, ChaosError> {
    let mut stop = std::pin::pin!(stop);
    let mut report = ChaosReport::new(OffsetDateTime::now_utc(), options.seed, options.rate);
    let infos = fleet.targets().await?;
    report.targets = infos.iter().map(|info| TargetRow::from(&**info)).collect();
    let targets: Vec<Target> = infos.iter().filter(|info| info.available).map(|info| info.target).collect();
    let prepared = tokio::select! {
        prepared = prepare(fleet, cases, &targets, options) => Some(prepared?),
        () = &mut stop => None,
    };
    let Some((load, left_out, models)) = prepared else {
        report.interrupted = true;
        return Ok(report);
    };
    report.left_out = left_out;
    let turmoil = Turmoil::new(fleet, (load, models), &targets, options, report, notice).await?;
    Ok(turmoil.run(stop).await)
}

async fn prepare(
    fleet: &Fleet,
    cases: &[Case],
    targets: &[Target],
    options: &ChaosOptions,
) -> Result<(Load, Vec<LeftOut>, HarmfulModels), ChaosError> {
    let (load, left_out) = Load::of(cases, fleet, targets, options).await?;
    Ok((load, left_out, HarmfulModels::of(fleet).await?))
}
