//! What became of a case on a target.

use super::names;

/// What became of a case on a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Ran, and every output is within tolerance.
    Pass,
    /// Ran, but an output is outside tolerance, or has another type or shape.
    Wrong,
    /// The session could not be created on this backend.
    LoadError,
    /// The session was created, but running it failed.
    RunError,
    /// The worker, the tab or the browser died of it.
    Crash,
    /// The GPU device or the WebNN context was lost.
    DeviceLost,
    /// No answer within the case's time limit.
    Timeout,
    /// Not tried: the case uses something the runtime does not have (the reason is with it).
    Skipped,
    /// Not tried: the target does not work on this machine.
    Unavailable,
}
names!(Verdict {
    Pass = "pass",
    Wrong = "wrong",
    LoadError = "load-error",
    RunError = "run-error",
    Crash = "crash",
    DeviceLost = "device-lost",
    Timeout = "timeout",
    Skipped = "skipped",
    Unavailable = "unavailable",
});

impl Verdict {
    /// Whether the case was tried: everything but `skipped` and `unavailable`.
    pub const fn is_tried(self) -> bool {
        !matches!(self, Verdict::Skipped | Verdict::Unavailable)
    }

    /// Whether a run with this verdict is to be reported as failed: everything but a pass and what was not tried.
    pub const fn is_failure(self) -> bool {
        self.is_tried() && !matches!(self, Verdict::Pass)
    }
}
