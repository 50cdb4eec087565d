//! How a command ended, as an exit code.

use super::interrupt::INTERRUPTED;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All is well.
    Good,
    /// A case did not pass, a model failed, or a fleet is not well.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// Something got slower than it may.
    Regressed,
    /// No usable browser, or other infrastructure is missing.
    Infrastructure,
    /// No fleet is running that could be asked.
    NoFleet,
    /// Stopped by Ctrl-C or a request to end.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(match outcome {
            Outcome::Good => 0,
            Outcome::Failed => 1,
            Outcome::Usage => 2,
            Outcome::Regressed => 3,
            Outcome::Infrastructure => 4,
            Outcome::NoFleet => 5,
            Outcome::Interrupted => INTERRUPTED,
        })
    }
}
