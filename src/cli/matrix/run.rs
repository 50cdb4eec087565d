//! The running itself: a fleet for the browsers that are found, and one for each further build.

use super::{
    super::{config::Settings, error::CliError, fleet, interrupt::interrupted, outcome::Outcome, progress::Progress},
    Build,
};
use crate::{
    fleet::{Fleet, FleetError, Shards},
    matrix::{self, MatrixOptions, Past, Plan, PlanOptions, Planned},
    report::{CaseResult, ReportError, ReportWriter, TargetRow},
    types::{Target, TargetInfo},
};
use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

/// What is run, and how.
pub(super) struct Run<'a> {
    pub settings: &'a Settings,
    pub cases: Vec<Planned>,
    pub past: Past,
    pub options: &'a MatrixOptions,
    pub plan_options: PlanOptions,
    pub max_failures: Option<u32>,
    pub quiet: bool,
    pub counts: Counts,
    /// The runs in the history, one for each fleet; `None` for what is kept beside it. Empty without a history.
    pub recorded: Vec<Option<i64>>,
}

/// What became of the run so far, in all of its fleets.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Results that came.
    come: usize,
    /// Those of them that count as failed.
    failed: u32,
    /// Cases on targets that nothing was begun with.
    left: usize,
}

/// How a fleet's part of the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    /// So many failures as are allowed.
    Enough,
    Interrupted,
}

impl Run<'_> {
    /// The browsers that are found first, then each build in a fleet of its own: they would fight for the cores, and a
    /// fleet has one browser of each kind.
    pub async fn on_builds(&mut self, builds: &[Build], writer: &mut ReportWriter) -> Result<Outcome, CliError> {
        if self.cases.is_empty() {
            eprintln!("this share has none of the cases");
            return Ok(Outcome::Good);
        }
        let mut worked = false;
        let mut failed = None;
        for build in [None].into_iter().chain(builds.iter().map(Some)) {
            let mut settings = self.settings.clone();
            if let Some(build) = build {
                settings.binary.value.insert(build.browser, build.path.clone());
            }
            let targets = match fleet::targets(&settings) {
                // There may be nothing but the builds.
                Err(CliError::NoBrowser) if build.is_none() && !builds.is_empty() => continue,
                targets => targets?.into_iter().filter(|target| build.is_none_or(|b| b.browser == target.browser)),
            };
            let targets: BTreeSet<Target> = targets.collect();
            if targets.is_empty() {
                continue;
            }
            match self.on_one(build, &settings, targets, writer).await {
                Ok(End::Done) => worked = true,
                Ok(End::Enough) => {
                    worked = true;
                    break;
                }
                Ok(End::Interrupted) => return Ok(Outcome::Interrupted),
                Err(CliError::Fleet(error @ FleetError::NothingWorks(_))) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        let Counts { come, left, .. } = self.counts;
        if left > 0 {
            eprintln!("{left} results are missing: the time or the failures allowed were used up");
        }
        match failed {
            Some(error) if !worked => Err(error.into()),
            Some(error) => {
                eprintln!("a build was left out: {error}");
                Ok(Outcome::Infrastructure)
            }
            // Else a night in which nothing was tried would be a good one.
            None if left > 0 && come == 0 => Ok(Outcome::Infrastructure),
            None => Ok(Outcome::Good),
        }
    }

    async fn on_one(
        &mut self,
        build: Option<&Build>,
        settings: &Settings,
        targets: BTreeSet<Target>,
        writer: &mut ReportWriter,
    ) -> Result<End, CliError> {
        let name = build.map(|build| &*build.name);
        // A stage each, if models are cut.
        let least = self.options.shards.as_ref().map_or(1, Shards::count);
        let tabs = [settings.tabs.start(), settings.tabs.end()].map(|tabs| least.max(*tabs as usize));
        let builder = fleet::builder(settings, "matrix").tabs(tabs[0]..=tabs[1]);
        let builder = builder.configure(|config| config.run.build = name.map(str::to_owned));
        let launched = tokio::select! {
            launched = builder.targets(targets).launch() => launched,
            () = interrupted() => return Ok(End::Interrupted),
        };
        let fleet = match launched {
            Ok(fleet) => fleet,
            Err(FleetError::NothingWorks(infos)) => {
                writer.targets(&rows(&infos, name))?;
                return Err(FleetError::NothingWorks(infos).into());
            }
            Err(error) => return Err(error.into()),
        };
        self.recorded.extend(settings.history.is_some().then(|| fleet.recorded_run()));
        let rows = rows(&fleet.targets().await?, name);
        // The run goes on without a file that cannot be written; its end fails if it still cannot be then.
        if let Err(error) = writer.targets(&rows) {
            warn(&error);
        }
        let working: Vec<TargetRow> = rows.into_iter().filter(|row| row.available).collect();
        let expectations = self.options.expectations.as_ref();
        let plan = Plan::new(self.cases.clone(), &working, self.past.clone(), expectations, &self.plan_options);
        let end = self.drive(&fleet, &working, &plan, writer).await;
        if let Err(error) = fleet.close().await {
            tracing::error!(%error, "the results are complete, but the history is not");
        }
        Ok(end)
    }

    async fn drive(&mut self, fleet: &Fleet, working: &[TargetRow], plan: &Plan, writer: &mut ReportWriter) -> End {
        let mut progress = Progress::new(plan.len() as u64, "results", self.quiet);
        let (mut unwritten, before) = (None, self.counts.come);
        let counts = &mut self.counts;
        let max_failures = self.max_failures.unwrap_or(u32::MAX);
        let mut end = End::Done;
        let on_result = |result: CaseResult| {
            if let Some(line) = line(&result) {
                progress.say(&line);
            }
            progress.step();
            counts.come += 1;
            counts.failed += u32::from(result.has_failed());
            // The run goes on without a file that cannot be written, and says so once, at its end.
            if let Err(error) = writer.result(result) {
                unwritten.get_or_insert(error);
            }
            if counts.failed < max_failures {
                return ControlFlow::Continue(());
            }
            end = End::Enough;
            ControlFlow::Break(())
        };
        let interrupted = tokio::select! {
            () = matrix::run(fleet, working, plan, self.options, on_result) => false,
            () = interrupted() => true,
        };
        progress.finish();
        self.counts.left += plan.len() - (self.counts.come - before);
        if let Some(error) = unwritten {
            warn(&error);
        }
        if interrupted { End::Interrupted } else { end }
    }
}

fn rows(infos: &[Arc<TargetInfo>], build: Option<&str>) -> Vec<TargetRow> {
    let row = |info: &Arc<TargetInfo>| TargetRow { build: build.map(str::to_owned), ..TargetRow::from(&**info) };
    infos.iter().map(row).collect()
}

pub(super) fn warn(error: &ReportError) {
    tracing::error!(%error, "results could not be written as they came");
}

/// A line for a result that somebody will want to see at once.
fn line(result: &CaseResult) -> Option<String> {
    let CaseResult { suite, case, verdict, error, .. } = result;
    let message = error.as_ref().map(|error| error.message.lines().next().unwrap_or_default()).unwrap_or_default();
    let unexpected = if result.unexpected == Some(true) { "unexpected " } else { "" };
    if result.has_failed() {
        Some(format!("{unexpected}{verdict} {suite}/{case} on {}: {message}", result.column()))
    } else if result.flaky {
        Some(format!("flaky {suite}/{case} on {}: {} attempts", result.column(), result.attempts))
    } else {
        None
    }
}
