//! What the fleet's callers are told when something does not work.

use super::AlertConfigError;
use crate::{
    browser::BrowserError,
    harness::HarnessError,
    history::HistoryError,
    onnx::{BatchAxisError, ModelError, ShardError},
    schedule::{Attempt, Overload, PolicyError},
    types::{Failure, Isolation, TargetInfo},
};
use std::{fmt, io, net::SocketAddr, sync::Arc};

/// Why a fleet could not be launched or closed.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// Nothing was asked for.
    #[error("the fleet has no target: name at least one browser")]
    NoTargets,
    /// A number of the policy cannot be used.
    #[error("the fleet's policy cannot be used")]
    Policy(#[from] PolicyError),
    /// The browser catalogue cannot be used.
    #[error(transparent)]
    Catalogue(#[from] BrowserError),
    /// The harness pages cannot be served.
    #[error(transparent)]
    Harness(#[from] HarnessError),
    /// The history cannot be recorded.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The history was asked of a fleet that records none.
    #[error("the fleet records no history: give it a file, with `FleetBuilder::history`")]
    NoHistory,
    /// What is to be alerted of cannot be, or nobody can be told.
    #[error(transparent)]
    Alerts(#[from] AlertConfigError),
    /// Metrics cannot be served where they were to be.
    #[error("metrics cannot be served at {address}")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// No target works on this machine.
    #[error("no target works on this machine:{}", reasons(.0))]
    NothingWorks(Vec<Arc<TargetInfo>>),
    /// The fleet is closed.
    #[error("the fleet is closed")]
    Closed,
}

fn reasons(targets: &[Arc<TargetInfo>]) -> String {
    targets
        .iter()
        .map(|info| format!("\n  {}: {}", info.target, info.reason.as_deref().unwrap_or("it was not tried")))
        .collect()
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelSpecError {
    /// Its file is not one.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Its file cannot be served to the tabs.
    #[error(transparent)]
    Harness(#[from] HarnessError),
    /// It is not cut into stages as asked; where another plan would work, the error has it.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// Only a custom runtime understands it, so nobody knows where it could be cut.
    #[error("{model} cannot be cut into stages: only ONNX models can")]
    Opaque {
        /// The model.
        model: String,
    },
    /// Its jobs cannot run together.
    #[error("jobs of {model} cannot run together")]
    Batching {
        /// The model.
        model: String,
        /// Why not.
        source: BatchAxisError,
    },
    /// Nobody knows whether its jobs can run together.
    #[error("jobs of {model} cannot run together: {what}")]
    NotBatched {
        /// The model.
        model: String,
        /// Why not.
        what: &'static str,
    },
    /// Its stages stay loaded, so its jobs cannot be kept apart.
    #[error("{model} is cut into stages, which stay loaded: its jobs cannot be isolated ({isolation})")]
    IsolatedStages {
        /// The model.
        model: String,
        /// What was asked for.
        isolation: Isolation,
    },
    /// There is no folder for the files of its stages.
    #[error("the files of a model's stages cannot be kept")]
    Folder(#[source] BrowserError),
}

/// Why a job ended without a result, with every attempt that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct JobError {
    /// The model's name.
    pub model: String,
    /// What ended the job.
    pub failure: Failure,
    /// The attempts, in order. None when the job was never handed to a tab.
    pub attempts: Vec<Attempt>,
    /// When there was no room for the job in the queue or in the stages of its model (`queue-full`), or it met its
    /// model's limit (`model-limit`): how full it is there, and when to try again.
    pub overload: Option<Box<Overload>>,
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.model, self.failure.message, self.failure.category())?;
        for (number, attempt) in self.attempts.iter().enumerate() {
            let Attempt { target, failure, elapsed_ms, .. } = attempt;
            write!(f, "\n  attempt {}: {target} after {elapsed_ms:.0} ms: {failure}", number + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for JobError {}
