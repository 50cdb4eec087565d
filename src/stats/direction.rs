use serde::{Deserialize, Serialize};

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Latency, memory, failures.
    LowerIsBetter,
    /// Throughput.
    HigherIsBetter,
}

impl Direction {
    /// Whether a change by `change` makes the metric worse.
    #[must_use]
    pub fn is_worse(self, change: f64) -> bool {
        match self {
            Direction::LowerIsBetter => change > 0.0,
            Direction::HigherIsBetter => change < 0.0,
        }
    }
}
