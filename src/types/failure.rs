//! What can go wrong, typed where it is first seen and never matched by its text later.

use super::names;
use serde::{Deserialize, Serialize};

/// The nine kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// A browser, driver, tab or runtime did not start.
    Initialization,
    /// A connection could not be made, or was cut.
    Connection,
    /// What came over a connection made no sense.
    Communication,
    /// No answer in time.
    Timeout,
    /// Out of memory, or another limit reached.
    Resource,
    /// A health check failed.
    HealthCheck,
    /// A runtime session or driver session is gone, or could not be created.
    Session,
    /// The model itself failed.
    Inference,
    /// Disk, ports, processes.
    System,
}
names!(Category {
    Initialization = "initialization",
    Connection = "connection",
    Communication = "communication",
    Timeout = "timeout",
    Resource = "resource",
    HealthCheck = "health-check",
    Session = "session",
    Inference = "inference",
    System = "system",
});

/// How far a failure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// One job.
    Minor,
    /// One tab, or one model on a target.
    Major,
    /// A whole browser, or the fleet.
    Critical,
}
names!(Severity { Minor = "minor", Major = "major", Critical = "critical" });

/// What exactly happened; it decides the category and the severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The browser did not start, or never connected.
    LaunchFailed,
    /// The backend does not work in this browser.
    BackendUnavailable,
    /// The harness page or its worker did not come up.
    TabFailed,
    /// The tab's renderer process died.
    TabCrashed,
    /// Somebody closed the tab, or it went to another page.
    TabClosed,
    /// The worker ended with an error nobody caught (a WASM abort, for instance).
    WorkerCrashed,
    /// The browser process ended.
    BrowserExited,
    /// The WebDriver process ended, or its session is gone.
    DriverExited,
    /// The driver or browser did not answer a command in time.
    DriverHung,
    /// The WebSocket was cut while the tab lived.
    SocketClosed,
    /// A frame that breaks the protocol.
    BadFrame,
    /// The WebGPU device or the WebNN context was lost.
    DeviceLost,
    /// The model's files could not be fetched by the tab.
    ModelDownload,
    /// The session could not be created: an operator, type or shape the backend does not have.
    ModelLoad,
    /// Running the session failed.
    ModelRun,
    /// Memory ran out.
    OutOfMemory,
    /// The attempt's deadline passed.
    DeadlineExceeded,
    /// A heartbeat was not answered in time: the tab or the browser hangs.
    HeartbeatMissed,
    /// A model with a known answer gave another one.
    WrongOutput,
    /// A tab, a browser or what is recorded of a session takes more memory than it may.
    MemoryLimit,
    /// The state that a session's calls go on from, or what one stage of a model handed to the next, is gone.
    StateLost,
    /// The job ended what ran it, again and again.
    Quarantined,
    /// Every target that could run the job is behind an open circuit breaker.
    CircuitOpen,
    /// The inputs do not fit the model, or they or the outputs are more than a message holds; the caller's to mend.
    BadInput,
    /// No running target can take the job.
    NoTarget,
    /// The queue is full.
    QueueFull,
    /// No tab took the job in time: they held as many jobs as they may.
    TabLimit,
    /// No browser took the job in time: they held as many jobs as they may.
    BrowserLimit,
    /// The job had no turn in time: as many jobs of its model were under way as may be.
    ModelLimit,
    /// The caller gave the job up.
    Cancelled,
    /// The fleet was closed.
    FleetClosed,
    /// The disk, a port, or a process could not be had.
    System,
}
names!(Cause {
    LaunchFailed = "launch-failed",
    BackendUnavailable = "backend-unavailable",
    TabFailed = "tab-failed",
    TabCrashed = "tab-crashed",
    TabClosed = "tab-closed",
    WorkerCrashed = "worker-crashed",
    BrowserExited = "browser-exited",
    DriverExited = "driver-exited",
    DriverHung = "driver-hung",
    SocketClosed = "socket-closed",
    BadFrame = "bad-frame",
    DeviceLost = "device-lost",
    ModelDownload = "model-download",
    ModelLoad = "model-load",
    ModelRun = "model-run",
    OutOfMemory = "out-of-memory",
    DeadlineExceeded = "deadline-exceeded",
    HeartbeatMissed = "heartbeat-missed",
    WrongOutput = "wrong-output",
    MemoryLimit = "memory-limit",
    StateLost = "state-lost",
    Quarantined = "quarantined",
    CircuitOpen = "circuit-open",
    BadInput = "bad-input",
    NoTarget = "no-target",
    QueueFull = "queue-full",
    TabLimit = "tab-limit",
    BrowserLimit = "browser-limit",
    ModelLimit = "model-limit",
    Cancelled = "cancelled",
    FleetClosed = "fleet-closed",
    System = "system",
});

impl Cause {
    /// The category this belongs to.
    pub const fn category(self) -> Category {
        match self {
            Cause::LaunchFailed | Cause::BackendUnavailable | Cause::TabFailed => Category::Initialization,
            Cause::TabCrashed | Cause::TabClosed | Cause::BrowserExited | Cause::SocketClosed => Category::Connection,
            Cause::BadFrame | Cause::ModelDownload => Category::Communication,
            Cause::DeadlineExceeded | Cause::DriverHung => Category::Timeout,
            Cause::OutOfMemory
            | Cause::MemoryLimit
            | Cause::QueueFull
            | Cause::TabLimit
            | Cause::BrowserLimit
            | Cause::ModelLimit
            | Cause::NoTarget
            | Cause::CircuitOpen => Category::Resource,
            Cause::HeartbeatMissed | Cause::WrongOutput => Category::HealthCheck,
            Cause::DeviceLost | Cause::ModelLoad | Cause::DriverExited | Cause::WorkerCrashed | Cause::StateLost => {
                Category::Session
            }
            Cause::ModelRun | Cause::Quarantined | Cause::BadInput => Category::Inference,
            Cause::Cancelled | Cause::FleetClosed | Cause::System => Category::System,
        }
    }

    /// How far it reaches when it happens for the first time.
    pub const fn severity(self) -> Severity {
        match self {
            Cause::LaunchFailed
            | Cause::BrowserExited
            | Cause::DriverExited
            | Cause::DriverHung
            | Cause::WrongOutput
            | Cause::System => Severity::Critical,
            Cause::BadInput
            | Cause::Cancelled
            | Cause::QueueFull
            | Cause::StateLost
            | Cause::TabLimit
            | Cause::BrowserLimit
            | Cause::ModelLimit
            | Cause::ModelRun
            | Cause::ModelLoad
            | Cause::FleetClosed => Severity::Minor,
            _ => Severity::Major,
        }
    }
}

/// One failure: what happened, and what was said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What happened.
    pub cause: Cause,
    /// The words of whoever noticed it first.
    pub message: String,
}

impl Failure {
    /// A failure with its cause and words.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }

    /// The category of its cause.
    pub const fn category(&self) -> Category {
        self.cause.category()
    }

    /// The severity of its cause.
    pub const fn severity(&self) -> Severity {
        self.cause.severity()
    }

    /// The severity when it happens in a job's `attempt`, counted from 1: what fails for the third time is no longer
    /// minor, and what reaches further by itself is critical by then.
    pub const fn severity_in(&self, attempt: u32) -> Severity {
        match (self.severity(), attempt) {
            (Severity::Minor, 3..) => Severity::Major,
            (Severity::Major, 3..) => Severity::Critical,
            (severity, _) => severity,
        }
    }
}
