//! Where a job's time went.

use serde::{Deserialize, Serialize};

/// Where a job's time went, in milliseconds. What was not measured is `None`, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    /// From the call until a tab took the job for this attempt (measured by the fleet); attempts that failed before, and
    /// pauses between them, are within.
    pub queue_ms: f64,
    /// Fetching the model's files, when this attempt did (measured in the worker).
    pub download_ms: Option<f64>,
    /// Creating the session, when this attempt did (measured in the worker).
    pub create_ms: Option<f64>,
    /// The run itself (measured in the worker). Ends when the outputs are readable where `readback_ms` is `None`.
    pub run_ms: f64,
    /// From the end of the run until every output lies in the worker's memory, where the backend tells them apart.
    pub readback_ms: Option<f64>,
    /// The attempt as the fleet saw it, less what the worker measured: framing, sockets, and waiting in the tab.
    pub wire_ms: f64,
    /// From the call to the answer.
    pub total_ms: f64,
}
