//! Events as rows, and the rows that wait to be written.

use super::tables::{BreakerEventRow, BrowserEventRow, HealthCheckRow, RecoveryRow, ResultRow, TargetRow, Utc, append};
use crate::{
    report::TargetBuild,
    types::{Browser, BrowserId, Dtype, Event, EventKind, Failure, JobId, ModelTag, TabId, Target, TargetInfo},
};
use duckdb::Connection;
use std::{collections::HashMap, sync::Arc};

/// Rows that wait to be written, and what the fleet said earlier that later rows refer to.
#[derive(Debug, Default)]
pub(super) struct Rows {
    run_id: i64,
    /// Of the browser, where it is not the one that is found without naming any.
    build: Option<String>,
    targets: Vec<TargetRow>,
    results: Vec<ResultRow>,
    browser_events: Vec<BrowserEventRow>,
    breaker_events: Vec<BreakerEventRow>,
    recoveries: Vec<RecoveryRow>,
    health_checks: Vec<HealthCheckRow>,
    /// Every description of a target so far; its place is its `target_id`.
    described: Vec<Arc<TargetInfo>>,
    description_of: HashMap<TabId, u32>,
    browsers: HashMap<BrowserId, Browser>,
}

/// What an attempt did with its model.
const INFER: &str = "infer";
/// The same of one that is no measurement.
pub(super) const WARM_UP: &str = "warm-up";

/// Where an event becomes a row.
#[derive(Clone, Copy)]
enum Table {
    Targets,
    Results,
    BrowserEvents,
    BreakerEvents,
    Recoveries,
    HealthChecks,
}

/// The table that has a row for the event.
const fn table_of(kind: &EventKind) -> Option<Table> {
    match kind {
        EventKind::TargetUnavailable { .. } => Some(Table::Targets),
        EventKind::AttemptSucceeded { .. } | EventKind::AttemptFailed { .. } => Some(Table::Results),
        EventKind::BrowserStarted { .. }
        | EventKind::BrowserFailed { .. }
        | EventKind::BrowserEnded { .. }
        | EventKind::TabReady { .. }
        | EventKind::TabLost { .. }
        | EventKind::TabClosed { .. } => Some(Table::BrowserEvents),
        EventKind::BreakerChanged { .. } => Some(Table::BreakerEvents),
        EventKind::Recovery { .. } => Some(Table::Recoveries),
        EventKind::HealthChecked { .. } => Some(Table::HealthChecks),
        EventKind::JobQueued { .. }
        | EventKind::TabDisconnected { .. }
        | EventKind::AttemptStarted { .. }
        | EventKind::SessionBegun { .. }
        | EventKind::SessionEnded { .. }
        | EventKind::SessionRebuilt { .. }
        | EventKind::BatchSplit { .. }
        | EventKind::BatchingRefused { .. }
        | EventKind::JobEnded { .. }
        | EventKind::Scaled { .. }
        // What ran in no browser is no browser's performance.
        | EventKind::RanNatively { .. }
        | EventKind::FleetClosed => None,
    }
}

/// Whether the event becomes a row. What does not is never sent to the writer.
pub(super) const fn is_recorded(kind: &EventKind) -> bool {
    table_of(kind).is_some()
}

impl Rows {
    pub fn new(run_id: i64, build: Option<String>) -> Self {
        Self { run_id, build, ..Self::default() }
    }

    pub fn run_id(&self) -> i64 {
        self.run_id
    }

    pub fn len(&self) -> usize {
        self.targets.len() + self.losable()
    }

    /// Appends every row to its table; they stay here until [`Rows::written`] or [`Rows::given_up`].
    pub fn append(&self, connection: &Connection) -> duckdb::Result<()> {
        append(connection, &self.targets)?;
        append(connection, &self.results)?;
        append(connection, &self.browser_events)?;
        append(connection, &self.breaker_events)?;
        append(connection, &self.recoveries)?;
        append(connection, &self.health_checks)
    }

    /// The rows are in the file. Says how many they were.
    pub fn written(&mut self) -> u64 {
        let rows = self.targets.len() as u64;
        self.targets.clear();
        rows + self.given_up()
    }

    /// The rows could not be written. Says how many are lost: all but the few that later rows refer to, which wait on.
    pub fn given_up(&mut self) -> u64 {
        let rows = self.losable();
        self.results.clear();
        self.browser_events.clear();
        self.breaker_events.clear();
        self.recoveries.clear();
        self.health_checks.clear();
        rows as u64
    }

    /// Rows that nothing refers to.
    fn losable(&self) -> usize {
        let of_health = self.breaker_events.len() + self.recoveries.len() + self.health_checks.len();
        self.results.len() + self.browser_events.len() + of_health
    }

    /// Adds the row of one event.
    pub fn add(&mut self, Event { at, kind }: Event) {
        let at = at.into();
        match table_of(&kind) {
            None => {}
            Some(Table::Targets) => self.add_target(kind),
            Some(Table::Results) => self.results.extend(self.result(at, kind)),
            Some(Table::BrowserEvents) => {
                let row = self.browser_event(at, kind);
                self.browser_events.extend(row);
            }
            Some(Table::BreakerEvents) => self.breaker_events.extend(self.breaker_event(at, kind)),
            Some(Table::Recoveries) => self.recoveries.extend(self.recovery(at, kind)),
            Some(Table::HealthChecks) => self.health_checks.extend(self.health_check(at, kind)),
        }
    }

    fn add_target(&mut self, kind: EventKind) {
        if let EventKind::TargetUnavailable { info } = kind {
            self.describe(info);
        }
    }

    fn result(&self, happened_at: Utc, kind: EventKind) -> Option<ResultRow> {
        Some(match kind {
            EventKind::AttemptSucceeded {
                job,
                attempt,
                tab,
                target,
                model,
                timings,
                cpu_fallback,
                batch,
                memory_bytes,
                share,
                warm_up,
            } => {
                // The times of a run of several jobs are no job's own: they would be taken for those of one. What it took
                // to load the model is told once.
                let alone = share.is_none_or(|share| share.jobs == 1);
                let loads = share.is_none_or(|share| share.number == 0);
                let create_ms = timings.create_ms.filter(|_| loads);
                // What loads the model is measured whatever it is for.
                let operation = if warm_up && create_ms.is_none() { WARM_UP } else { INFER };
                ResultRow {
                    success: true,
                    queue_ms: Some(timings.queue_ms),
                    download_ms: timings.download_ms.filter(|_| loads),
                    create_ms,
                    run_ms: alone.then_some(timings.run_ms),
                    readback_ms: timings.readback_ms.filter(|_| alone),
                    wire_ms: alone.then_some(timings.wire_ms),
                    total_ms: alone.then_some(timings.total_ms),
                    cpu_fallback,
                    memory_bytes,
                    operation,
                    ..self.attempted(happened_at, (job, attempt), (tab, target), &model, batch)
                }
            }
            EventKind::AttemptFailed { job, attempt, tab, target, model, failure, severity, elapsed_ms, batch } => {
                ResultRow {
                    success: false,
                    elapsed_ms: Some(elapsed_ms),
                    category: Some(failure.category().name()),
                    cause: Some(failure.cause.name()),
                    // As the event says it: what the fleet knows of the attempts may raise it above the cause's own.
                    severity: Some(severity.name()),
                    message: Some(failure.message),
                    ..self.attempted(happened_at, (job, attempt), (tab, target), &model, batch)
                }
            }
            _ => return None,
        })
    }

    fn browser_event(&mut self, happened_at: Utc, kind: EventKind) -> Option<BrowserEventRow> {
        let run_id = self.run_id;
        let build = self.build.clone();
        let of = |browser: Browser, event| BrowserEventRow {
            run_id,
            happened_at,
            event,
            browser: Some(browser.name()),
            ..Default::default()
        };
        let of_tab = |tab: TabId, target: Target, event| BrowserEventRow {
            tab: Some(tab.0),
            target: Some(TargetBuild { target, build: build.as_deref() }.to_string()),
            ..of(target.browser, event)
        };
        Some(match kind {
            EventKind::BrowserStarted { browser, identity } => {
                self.browsers.insert(browser, identity.browser);
                BrowserEventRow {
                    browser_id: Some(browser.0),
                    product: Some(identity.product),
                    version: Some(identity.version),
                    ..of(identity.browser, "started")
                }
            }
            EventKind::BrowserFailed { browser, failure } => of(browser, "failed").because(Some(failure)),
            EventKind::BrowserEnded { browser: id, failure } => {
                let browser = self.browsers.remove(&id).map(Browser::name);
                let ended = BrowserEventRow { run_id, happened_at, event: "ended", browser, ..Default::default() };
                BrowserEventRow { browser_id: Some(id.0), ..ended }.because(failure)
            }
            EventKind::TabReady { tab, browser, info } => {
                let target = info.target;
                let description = self.describe(info);
                self.description_of.insert(tab, description);
                BrowserEventRow { browser_id: Some(browser.0), ..of_tab(tab, target, "tab-ready") }
            }
            EventKind::TabLost { tab, target, failure } => of_tab(tab, target, "tab-lost").because(Some(failure)),
            EventKind::TabClosed { tab, target } => of_tab(tab, target, "tab-closed"),
            _ => return None,
        })
    }

    fn breaker_event(&self, happened_at: Utc, kind: EventKind) -> Option<BreakerEventRow> {
        let EventKind::BreakerChanged { target, model, from, to, reason, wait_ms } = kind else { return None };
        Some(BreakerEventRow {
            run_id: self.run_id,
            happened_at,
            target: self.name(target),
            model: model.as_ref().map(|model| model.name.clone()),
            model_sha256: model.as_ref().map(|model| model.sha256.clone()),
            from_state: from.name(),
            to_state: to.name(),
            reason,
            wait_ms,
        })
    }

    fn recovery(&self, happened_at: Utc, kind: EventKind) -> Option<RecoveryRow> {
        let EventKind::Recovery { browser, target, tab, job, failure, strategy, succeeded, elapsed_ms } = kind else {
            return None;
        };
        Some(RecoveryRow {
            run_id: self.run_id,
            happened_at,
            browser: browser.name(),
            target: target.map(|target| self.name(target)),
            tab: tab.map(|tab| tab.0),
            job: job.map(|job| job.0),
            category: failure.category().name(),
            cause: failure.cause.name(),
            message: failure.message,
            strategy: strategy.name(),
            succeeded,
            elapsed_ms,
        })
    }

    fn health_check(&self, happened_at: Utc, kind: EventKind) -> Option<HealthCheckRow> {
        let EventKind::HealthChecked { tab, target, failure } = kind else { return None };
        Some(HealthCheckRow {
            run_id: self.run_id,
            happened_at,
            tab: tab.0,
            target: self.name(target),
            success: failure.is_none(),
            category: failure.as_ref().map(|failure| failure.category().name()),
            cause: failure.as_ref().map(|failure| failure.cause.name()),
            message: failure.map(|failure| failure.message),
        })
    }

    /// What a target is called: builds of a browser are told apart.
    fn name(&self, target: Target) -> String {
        TargetBuild { target, build: self.build.as_deref() }.to_string()
    }

    /// What is known of an attempt however it ended, so that those that failed count in the same series.
    fn attempted(
        &self,
        happened_at: Utc,
        (job, attempt): (JobId, u32),
        (tab, target): (TabId, Target),
        model: &ModelTag,
        batch: Option<u32>,
    ) -> ResultRow {
        ResultRow {
            run_id: self.run_id,
            happened_at,
            job: job.0,
            attempt,
            tab: tab.0,
            target_id: self.description_of.get(&tab).copied(),
            target: self.name(target),
            model: model.name.clone(),
            model_sha256: model.sha256.clone(),
            family: model.family.name(),
            batch,
            precision: model.precision.map(Dtype::name),
            operation: INFER,
            ..Default::default()
        }
    }

    /// The `target_id` of a description; a new one gets a row. A target whose tabs are not all alike (one got the GPU,
    /// the next, after a restart, the software adapter) has several, so that every result keeps its own provenance.
    fn describe(&mut self, info: Arc<TargetInfo>) -> u32 {
        if let Some(known) = self.described.iter().position(|known| *known == info) {
            return known as u32;
        }
        let target_id = self.described.len() as u32;
        let target = self.name(info.target);
        self.targets.push(TargetRow { target, ..describe(self.run_id, target_id, &info) });
        self.described.push(info);
        target_id
    }
}

fn describe(run_id: i64, target_id: u32, info: &TargetInfo) -> TargetRow {
    let (identity, adapter, runtime) = (info.identity.as_ref(), info.adapter.as_ref(), info.runtime.as_ref());
    // What a browser does not say it says with an empty text; a table says it with null.
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    TargetRow {
        run_id,
        target_id,
        browser: Some(info.target.browser.name()),
        backend: Some(info.target.backend.name()),
        available: info.available,
        reason: info.reason.clone(),
        product: identity.map(|it| it.product.clone()),
        version: identity.map(|it| it.version.clone()),
        headless: identity.map(|it| it.headless),
        driver: identity.map(|it| it.driver.clone()),
        stand_in: identity.map(|it| it.stand_in),
        adapter_vendor: adapter.and_then(|it| said(&it.vendor)),
        adapter_architecture: adapter.and_then(|it| said(&it.architecture)),
        adapter_device: adapter.and_then(|it| said(&it.device)),
        adapter_description: adapter.and_then(|it| said(&it.description)),
        adapter_software: adapter.and_then(|it| it.software),
        webnn_device: info.webnn_device.clone(),
        runtime: runtime.map(|it| it.name.clone()),
        runtime_version: runtime.map(|it| it.version.clone()),
        threads: info.threads,
        ..TargetRow::default()
    }
}

impl BrowserEventRow {
    fn because(self, failure: Option<Failure>) -> Self {
        let Some(failure) = failure else { return self };
        Self {
            category: Some(failure.category().name()),
            cause: Some(failure.cause.name()),
            severity: Some(failure.severity().name()),
            message: Some(failure.message),
            ..self
        }
    }
}
