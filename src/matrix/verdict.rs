//! From how a job ended to the case's verdict.

use crate::{
    onnx::Comparison,
    types::{Cause, Verdict},
};

/// The verdict of a case whose job failed; `None` when it was not the case's doing but the run's end.
pub(super) const fn of_failure(cause: Cause) -> Option<Verdict> {
    Some(match cause {
        Cause::ModelLoad | Cause::ModelDownload => Verdict::LoadError,
        Cause::ModelRun | Cause::BadInput | Cause::OutOfMemory | Cause::BadFrame | Cause::System => Verdict::RunError,
        Cause::TabCrashed
        | Cause::TabClosed
        | Cause::TabFailed
        | Cause::WorkerCrashed
        | Cause::BrowserExited
        | Cause::DriverExited
        | Cause::DriverHung
        | Cause::Quarantined
        | Cause::StateLost
        | Cause::MemoryLimit
        | Cause::SocketClosed => Verdict::Crash,
        Cause::DeviceLost => Verdict::DeviceLost,
        Cause::WrongOutput => Verdict::Wrong,
        Cause::DeadlineExceeded | Cause::HeartbeatMissed => Verdict::Timeout,
        // What had no turn in time was not tried.
        Cause::LaunchFailed
        | Cause::BackendUnavailable
        | Cause::NoTarget
        | Cause::CircuitOpen
        | Cause::QueueFull
        | Cause::TabLimit
        | Cause::BrowserLimit
        | Cause::ModelLimit => Verdict::Unavailable,
        Cause::Cancelled | Cause::FleetClosed => return None,
    })
}

/// The verdict of a case that ran.
pub(super) const fn of_comparison(comparison: &Comparison) -> Verdict {
    if comparison.mismatch.is_none() { Verdict::Pass } else { Verdict::Wrong }
}
