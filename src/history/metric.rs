//! What was measured, and which way is better.

use crate::stats::Direction;
use serde::{Deserialize, Serialize};

/// A number that attempts are measured by. Those of time are of attempts that found their session ready, but for
/// [`FirstRunMs`](Self::FirstRunMs), [`CreateMs`](Self::CreateMs) and [`DownloadMs`](Self::DownloadMs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The run until its outputs are readable: with the read-back, where the backend tells that apart.
    RunMs,
    /// The same of an attempt that created its session: the first run of a session is slower than those after it.
    FirstRunMs,
    /// From the call to the answer.
    TotalMs,
    /// Framing, sockets, and waiting in the tab.
    WireMs,
    /// From the call until a tab took the job.
    QueueMs,
    /// From the end of the run until the outputs lie in memory.
    ReadbackMs,
    /// Creating the session.
    CreateMs,
    /// Fetching the model.
    DownloadMs,
    /// Memory in use.
    MemoryBytes,
    /// What was finished per second.
    Throughput,
    /// The share of the attempts that failed: one number a run.
    FailureRate,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 11] = [
        Self::RunMs,
        Self::FirstRunMs,
        Self::TotalMs,
        Self::WireMs,
        Self::QueueMs,
        Self::ReadbackMs,
        Self::CreateMs,
        Self::DownloadMs,
        Self::MemoryBytes,
        Self::Throughput,
        Self::FailureRate,
    ];

    /// Its name, as in the file and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunMs => "run_ms",
            Self::FirstRunMs => "first_run_ms",
            Self::TotalMs => "total_ms",
            Self::WireMs => "wire_ms",
            Self::QueueMs => "queue_ms",
            Self::ReadbackMs => "readback_ms",
            Self::CreateMs => "create_ms",
            Self::DownloadMs => "download_ms",
            Self::MemoryBytes => "memory_bytes",
            Self::Throughput => "throughput",
            Self::FailureRate => "failure_rate",
        }
    }

    /// What it is counted in: `ms`, `bytes`, `1/s`, or nothing for a share.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::MemoryBytes => "bytes",
            Self::Throughput => "1/s",
            Self::FailureRate => "",
            _ => "ms",
        }
    }

    /// Which way is better.
    pub const fn better(self) -> Direction {
        match self {
            Self::Throughput => Direction::HigherIsBetter,
            _ => Direction::LowerIsBetter,
        }
    }

    /// The metric of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// What an attempt gives it, in a row of `performance_results`; null where it gives nothing.
    pub(super) const fn of_attempt(self) -> &'static str {
        match self {
            Self::RunMs => "CASE WHEN success AND create_ms IS NULL THEN run_ms + coalesce(readback_ms, 0) END",
            Self::FirstRunMs => {
                "CASE WHEN success AND create_ms IS NOT NULL THEN run_ms + coalesce(readback_ms, 0) END"
            }
            Self::TotalMs => "CASE WHEN success AND create_ms IS NULL THEN total_ms END",
            Self::WireMs => "CASE WHEN success AND create_ms IS NULL THEN wire_ms END",
            Self::QueueMs => "CASE WHEN success AND create_ms IS NULL THEN queue_ms END",
            Self::ReadbackMs => "CASE WHEN success AND create_ms IS NULL THEN readback_ms END",
            Self::CreateMs => "CASE WHEN success THEN create_ms END",
            Self::DownloadMs => "CASE WHEN success THEN download_ms END",
            Self::MemoryBytes => "CASE WHEN success THEN CAST(memory_bytes AS DOUBLE) END",
            Self::Throughput => "CASE WHEN success THEN throughput_per_s END",
            // Counted, not measured.
            Self::FailureRate => "CAST(NULL AS DOUBLE)",
        }
    }
}
