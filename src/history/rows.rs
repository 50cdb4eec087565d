//! Events as rows, and the rows that wait to be written.

use super::tables::{BreakerEventRow, BrowserEventRow, HealthCheckRow, RecoveryRow, ResultRow, TargetRow, Utc, append};
use crate::types::{Browser, BrowserId, Dtype, Event, EventKind, Failure, JobId, ModelTag, TabId, Target, TargetInfo};
use duckdb::Connection;
use std::{collections::HashMap, sync::Arc};

/// Rows that wait to be written, and what the fleet said earlier that later rows refer to.
#[derive(Debug, Default)]
pub(super) struct Rows {
    run_id: i64,
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

/// Whether the event becomes a row. What does not is never sent to the writer.
pub(super) fn is_recorded(kind: &EventKind) -> bool {
    use EventKind::{AttemptStarted, BatchSplit, FleetClosed, JobEnded, JobQueued, TabDisconnected};
    let of_jobs = matches!(kind, JobQueued { .. } | AttemptStarted { .. } | BatchSplit { .. } | JobEnded { .. });
    !of_jobs && !matches!(kind, TabDisconnected { .. } | FleetClosed)
}

impl Rows {
    pub fn new(run_id: i64) -> Self {
        Self { run_id, ..Self::default() }
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
        let (run_id, happened_at) = (self.run_id, at.into());
        let of_browser = |event| BrowserEventRow { run_id, happened_at, event, ..Default::default() };
        let row = match kind {
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
            } => {
                // The times of a run of several jobs are no job's own: they would be taken for those of one. What it took
                // to load the model is told once.
                let alone = share.is_none_or(|share| share.jobs == 1);
                let loads = share.is_none_or(|share| share.number == 0);
                self.results.push(ResultRow {
                    success: true,
                    queue_ms: Some(timings.queue_ms),
                    download_ms: timings.download_ms.filter(|_| loads),
                    create_ms: timings.create_ms.filter(|_| loads),
                    run_ms: alone.then_some(timings.run_ms),
                    readback_ms: timings.readback_ms.filter(|_| alone),
                    wire_ms: alone.then_some(timings.wire_ms),
                    total_ms: alone.then_some(timings.total_ms),
                    cpu_fallback,
                    memory_bytes,
                    ..self.attempted(happened_at, (job, attempt), (tab, target), &model, batch)
                });
                return;
            }
            EventKind::AttemptFailed { job, attempt, tab, target, model, failure, severity, elapsed_ms, batch } => {
                self.results.push(ResultRow {
                    success: false,
                    elapsed_ms: Some(elapsed_ms),
                    category: Some(failure.category().name()),
                    cause: Some(failure.cause.name()),
                    // As the event says it: what the fleet knows of the attempts may raise it above the cause's own.
                    severity: Some(severity.name()),
                    message: Some(failure.message),
                    ..self.attempted(happened_at, (job, attempt), (tab, target), &model, batch)
                });
                return;
            }
            EventKind::BrowserStarted { browser, identity } => {
                self.browsers.insert(browser, identity.browser);
                BrowserEventRow {
                    browser: Some(identity.browser.name()),
                    browser_id: Some(browser.0),
                    product: Some(identity.product),
                    version: Some(identity.version),
                    ..of_browser("started")
                }
            }
            EventKind::BrowserFailed { browser, failure } => {
                BrowserEventRow { browser: Some(browser.name()), ..of_browser("failed") }.because(failure)
            }
            EventKind::BrowserEnded { browser, failure } => {
                let kind = self.browsers.remove(&browser);
                let row = BrowserEventRow {
                    browser: kind.map(Browser::name),
                    browser_id: Some(browser.0),
                    ..of_browser("ended")
                };
                match failure {
                    Some(failure) => row.because(failure),
                    None => row,
                }
            }
            EventKind::TabReady { tab, browser, info } => {
                let target = info.target;
                let description = self.describe(info);
                self.description_of.insert(tab, description);
                BrowserEventRow {
                    browser: Some(target.browser.name()),
                    browser_id: Some(browser.0),
                    tab: Some(tab.0),
                    target: Some(target.to_string()),
                    ..of_browser("tab-ready")
                }
            }
            EventKind::TabLost { tab, target, failure } => BrowserEventRow {
                browser: Some(target.browser.name()),
                tab: Some(tab.0),
                target: Some(target.to_string()),
                ..of_browser("tab-lost")
            }
            .because(failure),
            EventKind::TabClosed { tab, target } => BrowserEventRow {
                browser: Some(target.browser.name()),
                tab: Some(tab.0),
                target: Some(target.to_string()),
                ..of_browser("tab-closed")
            },
            EventKind::TargetUnavailable { info } => {
                self.describe(info);
                return;
            }
            kind
            @ (EventKind::BreakerChanged { .. } | EventKind::HealthChecked { .. } | EventKind::Recovery { .. }) => {
                return self.add_health(happened_at, kind);
            }
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
            | EventKind::FleetClosed => return,
        };
        self.browser_events.push(row);
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
            target: target.to_string(),
            model: model.name.clone(),
            model_sha256: model.sha256.clone(),
            family: model.family.name(),
            batch,
            precision: model.precision.map(Dtype::name),
            ..Default::default()
        }
    }

    /// Adds the row of what the fleet did for its own health.
    fn add_health(&mut self, happened_at: Utc, kind: EventKind) {
        let run_id = self.run_id;
        match kind {
            EventKind::BreakerChanged { target, model, from, to, reason, wait_ms } => {
                self.breaker_events.push(BreakerEventRow {
                    run_id,
                    happened_at,
                    target: target.to_string(),
                    model: model.as_ref().map(|model| model.name.clone()),
                    model_sha256: model.as_ref().map(|model| model.sha256.clone()),
                    from_state: from.name(),
                    to_state: to.name(),
                    reason,
                    wait_ms,
                });
            }
            EventKind::Recovery { browser, target, tab, job, failure, strategy, succeeded, elapsed_ms } => {
                self.recoveries.push(RecoveryRow {
                    run_id,
                    happened_at,
                    browser: browser.name(),
                    target: target.map(|target| target.to_string()),
                    tab: tab.map(|tab| tab.0),
                    job: job.map(|job| job.0),
                    category: failure.category().name(),
                    cause: failure.cause.name(),
                    message: failure.message,
                    strategy: strategy.name(),
                    succeeded,
                    elapsed_ms,
                });
            }
            EventKind::HealthChecked { tab, target, failure } => self.health_checks.push(HealthCheckRow {
                run_id,
                happened_at,
                tab: tab.0,
                target: target.to_string(),
                success: failure.is_none(),
                category: failure.as_ref().map(|failure| failure.category().name()),
                cause: failure.as_ref().map(|failure| failure.cause.name()),
                message: failure.map(|failure| failure.message),
            }),
            _ => {}
        }
    }

    /// The `target_id` of a description; a new one gets a row. A target whose tabs are not all alike (one got the GPU,
    /// the next, after a restart, the software adapter) has several, so that every result keeps its own provenance.
    fn describe(&mut self, info: Arc<TargetInfo>) -> u32 {
        if let Some(known) = self.described.iter().position(|known| *known == info) {
            return known as u32;
        }
        let target_id = self.described.len() as u32;
        self.targets.push(describe(self.run_id, target_id, &info));
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
        target: info.target.to_string(),
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
    }
}

impl BrowserEventRow {
    fn because(self, failure: Failure) -> Self {
        Self {
            category: Some(failure.category().name()),
            cause: Some(failure.cause.name()),
            severity: Some(failure.severity().name()),
            message: Some(failure.message),
            ..self
        }
    }
}
