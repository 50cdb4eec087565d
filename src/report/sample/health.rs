//! A fleet that has had its troubles.

use super::{at, target};
use crate::{
    report::{FleetRow, HealthReport},
    types::{
        BreakerHealth, BreakerState, Browser, BrowserHealth, BrowserId, Category, Cause, Failure, FleetHealth,
        HealthLevel, HealthScore, HealthTerm, HealthTrend, ModelHealth, Strategy, StrategyRecord, TabHealth, TabId,
        TabStage, TargetHealth,
    },
};

/// The name of the term that took most off, what was measured, what it took off and could take off at most.
type Worst<'a> = Option<(&'a str, f64, f64, f64)>;

fn score(score: f64, trend: HealthTrend, worst: Worst) -> HealthScore {
    let terms = worst.map(|(name, value, cost, most)| HealthTerm { name: name.into(), value: Some(value), cost, most });
    let rest = HealthTerm { name: "heartbeat".into(), value: None, cost: 0.0, most: 10.0 };
    HealthScore { score, level: HealthLevel::of(score), trend, terms: terms.into_iter().chain([rest]).collect() }
}

fn targets() -> Vec<TargetHealth> {
    let opened = BreakerHealth {
        state: BreakerState::Open,
        calls: 20,
        failure_rate: Some(60.0),
        slow_call_rate: Some(0.0),
        opened: 2,
        retry_in_ms: Some(12_340.0),
        reason: Some("60% of 20 calls failed".into()),
    };
    let well = || score(100.0, HealthTrend::Stable, None);
    let slow = score(64.2, HealthTrend::Degrading, Some(("latency", 2.5, 25.8, 30.0)));
    let row = |name, health, breaker, ready_tabs| TargetHealth {
        target: target(name),
        given_up: None,
        health,
        breaker,
        ready_tabs,
    };
    let closed = BreakerHealth::default;
    let missing = Failure::new(Cause::BackendUnavailable, "the browser has no navigator.ml");
    vec![
        row("chrome/wasm", well(), closed(), 2),
        row("chrome/webgpu", score(10.0, HealthTrend::Stable, None), opened, 1),
        row("firefox/wasm", slow, closed(), 2),
        TargetHealth { given_up: Some(missing), ..row("firefox/webnn", well(), closed(), 0) },
    ]
}

fn browsers() -> Vec<BrowserHealth> {
    let heavy = score(81.0, HealthTrend::Improving, Some(("memory", 1.1, 19.0, 20.0)));
    let chrome = BrowserHealth {
        id: BrowserId(1),
        browser: Browser::Chrome,
        pid: Some(4001),
        health: heavy,
        memory_bytes: Some(412 << 20),
        heartbeat_ms: Some(0.71),
    };
    let elsewhere = BrowserHealth {
        id: BrowserId(3),
        browser: Browser::Firefox,
        pid: None,
        health: score(100.0, HealthTrend::Stable, None),
        memory_bytes: None,
        heartbeat_ms: None,
    };
    vec![chrome, elsewhere]
}

fn tabs() -> Vec<TabHealth> {
    let restarting = TabHealth {
        tab: TabId(5),
        browser: BrowserId(1),
        target: target("chrome/webgpu"),
        stage: TabStage::Restarting,
        in_flight: 0,
        health: score(42.0, HealthTrend::Degrading, Some(("failures in a row", 2.0, 40.0, 60.0))),
        heap_bytes: Some(96 << 20),
        heartbeat_ms: None,
        sessions: 0,
        kept_bytes: 0,
    };
    let well = TabHealth {
        tab: TabId(1),
        stage: TabStage::Ready,
        sessions: 2,
        kept_bytes: 33 << 20,
        health: score(99.0, HealthTrend::Stable, None),
        ..restarting.clone()
    };
    vec![well, restarting]
}

fn models() -> Vec<ModelHealth> {
    let breaker = BreakerHealth {
        state: BreakerState::HalfOpen,
        calls: 4,
        failure_rate: Some(100.0),
        opened: 1,
        reason: Some("4 calls in a row failed: no kernel for Einsum".into()),
        ..BreakerHealth::default()
    };
    vec![ModelHealth { target: target("chrome/webgpu"), model: "einsum".into(), breaker }]
}

fn recoveries() -> Vec<StrategyRecord> {
    let record = |strategy, tried, succeeded, mean_ms| StrategyRecord {
        browser: Browser::Chrome,
        category: Category::Session,
        strategy,
        tried,
        succeeded,
        mean_ms,
    };
    vec![record(Strategy::RestartWorker, 3, 2, Some(412.0)), record(Strategy::ReplaceTab, 1, 0, None)]
}

/// Sample data, made up, of one fleet.
pub(in crate::report) fn health() -> HealthReport {
    let health = FleetHealth {
        at: at(1_800_000_075).into(),
        waiting: 17,
        in_flight: 4,
        targets: targets(),
        models: models(),
        browsers: browsers(),
        tabs: tabs(),
        recoveries: recoveries(),
    };
    HealthReport {
        fleets: vec![FleetRow {
            pid: 1234,
            command: "matrix".into(),
            origin: "http://127.0.0.1:4567".into(),
            started: at(1_800_000_000),
            health,
        }],
    }
}
