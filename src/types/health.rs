//! How well the fleet is, in words and numbers that people and programs can read.

use super::{Browser, BrowserId, Category, Cause, Failure, TabId, Target, names};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// How well something is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HealthLevel {
    /// A score below 20.
    Critical,
    /// A score from 20 to below 50.
    Unhealthy,
    /// A score from 50 to below 80.
    Degraded,
    /// A score of 80 or more.
    Healthy,
}
names!(HealthLevel { Critical = "critical", Unhealthy = "unhealthy", Degraded = "degraded", Healthy = "healthy" });

impl HealthLevel {
    /// The level of a score.
    pub const fn of(score: f64) -> Self {
        match score {
            80.0.. => Self::Healthy,
            50.0.. => Self::Degraded,
            20.0.. => Self::Unhealthy,
            _ => Self::Critical,
        }
    }
}

/// Where a score is going, over recent windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HealthTrend {
    /// Better than before.
    Improving,
    /// As before, or too new to tell.
    Stable,
    /// Worse than before.
    Degrading,
}
names!(HealthTrend { Improving = "improving", Stable = "stable", Degrading = "degrading" });

/// The state of a circuit breaker, with the meaning it has in resilience4j.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BreakerState {
    /// Everything passes and is counted.
    #[default]
    Closed,
    /// Nothing passes until its wait is over.
    Open,
    /// A few probes pass; they decide.
    HalfOpen,
}
names!(BreakerState { Closed = "closed", Open = "open", HalfOpen = "half-open" });

/// One term of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthTerm {
    /// What was looked at: `failure rate`, `latency`, `failures in a row`, `connection drops`, `memory`, `heartbeat`.
    pub name: String,
    /// What was measured, in the unit its name implies; `None` where nothing was measured, which costs nothing.
    pub value: Option<f64>,
    /// What it took off the score, from 0 to `most`.
    pub cost: f64,
    /// The most it can take off.
    pub most: f64,
}

/// A score with everything that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HealthScore {
    /// From 0 to 100: 100 less each term's cost, and at most 10 behind an open and 50 behind a half-open breaker.
    pub score: f64,
    /// The score in one word.
    pub level: HealthLevel,
    /// Where it is going.
    pub trend: HealthTrend,
    /// What took how much off.
    pub terms: Vec<HealthTerm>,
}

/// A circuit breaker as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BreakerHealth {
    /// Its state.
    pub state: BreakerState,
    /// Calls in its window.
    pub calls: u32,
    /// Failed calls among them, in percent; `None` while there are fewer than the minimum.
    pub failure_rate: Option<f64>,
    /// Slow calls among them, in percent; `None` while there are fewer than the minimum.
    pub slow_call_rate: Option<f64>,
    /// How often it opened, ever.
    pub opened: u32,
    /// Until it lets probes through, in milliseconds; `None` unless it is open.
    pub retry_in_ms: Option<f64>,
    /// What opened it last.
    pub reason: Option<String>,
}

/// A target's health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetHealth {
    /// The target.
    pub target: Target,
    /// Why it cannot be used at all, when it cannot.
    pub given_up: Option<Failure>,
    /// Its score.
    pub health: HealthScore,
    /// Its breaker.
    pub breaker: BreakerHealth,
    /// Tabs that take jobs.
    pub ready_tabs: u32,
}

/// The breaker of one model on one target; there is none until the model has failed there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelHealth {
    /// The target.
    pub target: Target,
    /// The model's name.
    pub model: String,
    /// Their breaker.
    pub breaker: BreakerHealth,
}

/// A running browser's health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrowserHealth {
    /// The launch.
    pub id: BrowserId,
    /// Its kind.
    pub browser: Browser,
    /// Its main process; `None` for a remote one.
    pub pid: Option<u32>,
    /// Its score.
    pub health: HealthScore,
    /// The memory of all its processes in bytes, without what they share counted twice where the system can tell;
    /// `None` where it was not measured.
    pub memory_bytes: Option<u64>,
    /// How long its last heartbeat took, in milliseconds.
    pub heartbeat_ms: Option<f64>,
}

/// What a tab is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TabStage {
    /// Its page is being opened.
    Opening,
    /// Its backend is being started.
    Starting,
    /// It takes jobs.
    Ready,
    /// Its socket is closed, and nobody has said why yet.
    Cut,
    /// Its worker is being replaced.
    Restarting,
    /// It is worn out: it finishes what it holds, and goes.
    Retiring,
}
names!(TabStage {
    Opening = "opening",
    Starting = "starting",
    Ready = "ready",
    Cut = "cut",
    Restarting = "restarting",
    Retiring = "retiring",
});

/// A tab's health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TabHealth {
    /// The tab.
    pub tab: TabId,
    /// Its browser.
    pub browser: BrowserId,
    /// Its target.
    pub target: Target,
    /// What it is doing.
    pub stage: TabStage,
    /// Jobs that it holds.
    pub in_flight: u32,
    /// Its score.
    pub health: HealthScore,
    /// The heap of its worker in bytes; `None` where the browser does not tell.
    pub heap_bytes: Option<u64>,
    /// How long its last heartbeat took, in milliseconds.
    pub heartbeat_ms: Option<f64>,
    /// Sessions whose state it holds.
    #[serde(default)]
    pub sessions: u32,
    /// What it keeps for them, in bytes.
    #[serde(default)]
    pub kept_bytes: u64,
}

/// A way to get over a failure, in the order of its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Strategy {
    /// The job is tried again at once, wherever there is room.
    ImmediateRetry,
    /// The job is tried again after a pause.
    RetryWithBackoff,
    /// The job goes to another tab of the same target.
    OtherTab,
    /// The job goes to another browser or backend.
    Failover,
    /// The tab's worker is ended and another started.
    RestartWorker,
    /// The tab is closed and another opened.
    ReplaceTab,
    /// The browser is ended and launched again.
    RestartBrowser,
    /// The target gets no jobs for a while.
    OpenCircuit,
    /// The job, or the target, is given up.
    Abandon,
}
names!(Strategy {
    ImmediateRetry = "immediate-retry",
    RetryWithBackoff = "retry-with-backoff",
    OtherTab = "other-tab",
    Failover = "failover",
    RestartWorker = "restart-worker",
    ReplaceTab = "replace-tab",
    RestartBrowser = "restart-browser",
    OpenCircuit = "open-circuit",
    Abandon = "abandon",
});

/// How often a strategy helped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategyRecord {
    /// In which kind of browser.
    pub browser: Browser,
    /// Against which category of failure.
    pub category: Category,
    /// What was tried.
    pub strategy: Strategy,
    /// How often.
    pub tried: u64,
    /// How often it helped.
    pub succeeded: u64,
    /// The mean time until it had helped, in milliseconds; `None` when it never did.
    pub mean_ms: Option<f64>,
}

/// Everything that is known of a fleet's health at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetHealth {
    /// When.
    #[serde(with = "time_text")]
    pub at: SystemTime,
    /// Jobs that wait: for a tab, for others to run with, or until they are tried again.
    pub waiting: u64,
    /// Jobs that tabs hold. Health checks, models that are loaded for later, and what a tab still does for a job that
    /// has ended are none.
    pub in_flight: u64,
    /// Each target the fleet was asked for.
    pub targets: Vec<TargetHealth>,
    /// Each model that has failed on a target, there.
    pub models: Vec<ModelHealth>,
    /// Each running browser.
    pub browsers: Vec<BrowserHealth>,
    /// Each open tab.
    pub tabs: Vec<TabHealth>,
    /// What was tried against failures so far.
    pub recoveries: Vec<StrategyRecord>,
}

impl FleetHealth {
    /// The level of what is worst off. A target that was given up is critical, unless its backend does not exist here:
    /// then nothing is ill.
    pub fn worst(&self) -> HealthLevel {
        let targets = self.targets.iter().filter_map(|target| match &target.given_up {
            None => Some(target.health.level),
            Some(failure) if failure.cause == Cause::BackendUnavailable => None,
            Some(_) => Some(HealthLevel::Critical),
        });
        let browsers = self.browsers.iter().map(|browser| browser.health.level);
        let tabs = self.tabs.iter().map(|tab| tab.health.level);
        targets.chain(browsers).chain(tabs).min().unwrap_or(HealthLevel::Healthy)
    }
}

/// A moment as RFC 3339 text.
mod time_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::time::SystemTime;
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};

    pub fn serialize<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        let text = OffsetDateTime::from(*at).format(&Rfc3339).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339).map(Into::into).map_err(D::Error::custom)
    }
}
