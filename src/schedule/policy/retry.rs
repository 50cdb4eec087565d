//! The pauses between a job's attempts.

use super::Policy;
use crate::{
    schedule::backoff::{Backoff, BackoffError, Decorrelated, Exponential, Fibonacci, Jitter, Linear},
    types::names,
};
use std::{fmt, time::Duration};

/// How pauses grow, each with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryBackoff {
    /// Each twice as long as the one before.
    Exponential,
    /// Each longer than the one before by the first.
    Linear,
    /// Each as long as the two before.
    Fibonacci,
    /// Each drawn between the first and three times the one before.
    DecorrelatedJitter,
}
names!(RetryBackoff {
    Exponential = "exponential",
    Linear = "linear",
    Fibonacci = "fibonacci",
    DecorrelatedJitter = "decorrelated-jitter",
});

/// The pauses of one job.
pub(in crate::schedule) struct Pauses(Box<dyn Backoff + Send + Sync>);

impl Pauses {
    /// The next one. They go on for ever; the job's deadline ends them.
    pub fn next(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or_default()
    }
}

impl fmt::Debug for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pauses")
    }
}

impl Policy {
    /// The pauses of one job.
    pub(in crate::schedule) fn pauses(&self, seed: u64) -> Result<Pauses, BackoffError> {
        let (first, cap, jitter) = (self.retry_pause, self.retry_pause_cap, Jitter::Equal);
        let seed = self.seed ^ seed;
        Ok(Pauses(match self.retry_backoff {
            RetryBackoff::Exponential => Box::new(Exponential::new(first, 2.0, cap, jitter, seed)?),
            RetryBackoff::Linear => Box::new(Linear::new(first, first, cap, jitter, seed)?),
            RetryBackoff::Fibonacci => Box::new(Fibonacci::new(first, cap, jitter, seed)?),
            RetryBackoff::DecorrelatedJitter => Box::new(Decorrelated::new(first, cap, seed)?),
        }))
    }
}
