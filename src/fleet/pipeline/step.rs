//! One stage's part of a job: run with what its tab was handed, or, where that is not to be had, with what the fleet has.

use super::cut::Stage;
use crate::{
    fleet::{
        Fleet, Inputs, JobError, JobOptions, Output,
        handover::{HandedOn, Next, Passing},
    },
    types::Cause,
};
use std::{sync::Arc, time::Instant};

/// One stage's part of a job.
pub(super) struct Step<'a> {
    pub fleet: &'a Fleet,
    pub stage: &'a Stage,
    /// What the fleet holds for it.
    pub given: Inputs<'static>,
    /// What the tab of the stage before has handed on for it.
    pub handed: Option<Arc<HandedOn>>,
    /// What it may hand on itself.
    pub next: Option<Next>,
    pub options: JobOptions,
}

impl Step<'_> {
    /// Runs it. Returns also how many bytes of its inputs came to its tab directly.
    ///
    /// # Errors
    /// `state-lost` when what was handed on is lost: the job has to begin again.
    pub async fn run(mut self) -> Result<(Output, usize), JobError> {
        let started = Instant::now();
        let error = match self.attempt(self.handed.clone()).await {
            Ok(output) => return Ok((output, self.handed.map_or(0, |handed| handed.bytes()))),
            Err(error) => error,
        };
        let Some(handed) = self.handed.take().filter(|_| error.failure.cause == Cause::StateLost) else {
            return Err(error);
        };
        // The stage has another home now. Who still holds what was handed over gives it to the fleet.
        self.options.deadline = self.options.deadline.saturating_sub(started.elapsed());
        let fetched = tokio::time::timeout(self.options.deadline, self.fleet.fetch(&handed)).await;
        let Ok(Some(tensors)) = fetched else { return Err(error) };
        self.given.0.extend(tensors);
        let spent = error.attempts.iter().filter(|attempt| attempt.failure.cause != Cause::StateLost).count();
        self.options.attempts = self.options.attempts.saturating_sub(spent as u32).max(1);
        let earlier = error.attempts;
        match self.attempt(None).await {
            Ok(mut output) => {
                output.failed_attempts.splice(..0, earlier);
                Ok((output, 0))
            }
            Err(mut error) => {
                error.attempts.splice(..0, earlier);
                Err(error)
            }
        }
    }

    async fn attempt(&self, handed: Option<Arc<HandedOn>>) -> Result<Output, JobError> {
        let passing = Passing { handed, next: self.next.clone() };
        let options = self.options.clone();
        self.fleet.submit_stage(&self.stage.record, &self.given, passing, options)?.await
    }
}
