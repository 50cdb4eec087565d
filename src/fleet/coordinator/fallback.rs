//! Jobs that no target can take: run in this process, where they have leave to.

use super::Coordinator;
use crate::{
    fleet::{
        JobError, Output,
        native::{FallenBack, NativeResult},
    },
    onnx::native_runtime,
    schedule::Attempt,
    types::{Cause, EventKind, Failure, JobId, NativeRun, Provenance, Timings},
};

impl Coordinator {
    pub(super) fn fall_back(&mut self, id: JobId, failure: Failure, attempts: Vec<Attempt>) {
        let Some(job) = self.jobs.remove(&id) else { return };
        let model = &job.submission.model.tag.name;
        tracing::warn!(job = %id, model, why = %failure, "no target can take the job: it runs natively");
        self.natives.start(job.submission, failure, attempts, self.reports.clone());
    }

    /// Ends a job that fell back before it has a result. Tells whether it was one.
    pub(super) fn stop_native(&mut self, id: JobId, failure: Failure) -> bool {
        let fallen = self.natives.take(id);
        let is_one = fallen.is_some();
        fallen.into_iter().for_each(|fallen| self.end_native(id, fallen, Err(failure.clone())));
        is_one
    }

    pub(super) fn close_natives(&mut self) {
        for job in self.natives.jobs() {
            self.stop_native(job, Failure::new(Cause::FleetClosed, "the fleet was closed before the job had a result"));
        }
    }

    pub(super) fn ran_natively(&mut self, id: JobId, result: Result<NativeResult, Failure>) {
        let Some(fallen) = self.natives.take(id) else { return };
        let result = result.map_err(|error| match error.cause {
            Cause::DeadlineExceeded => error,
            _ => Failure::new(fallen.why.cause, format!("{}; and natively: {error}", fallen.why)),
        });
        self.end_native(id, fallen, result);
    }

    fn end_native(&mut self, id: JobId, mut fallen: FallenBack, result: Result<NativeResult, Failure>) {
        let (elapsed_ms, why) = (fallen.elapsed_ms(), fallen.why.clone());
        let (model, attempts) = (fallen.submission.model.tag.clone(), std::mem::take(&mut fallen.attempts));
        let (tried, failure) = (attempts.len() as u32, result.as_ref().err().cloned());
        let outcome = failure.clone();
        self.events.emit(|| EventKind::RanNatively {
            job: id,
            model: model.clone(),
            why,
            failure: outcome,
            elapsed_ms,
        });
        let result = match result {
            Ok(result) => Ok(output(&fallen, result, attempts)),
            Err(failure) => Err(JobError { model: model.name.clone(), failure, attempts, overload: None }),
        };
        self.events.emit(|| EventKind::JobEnded { job: id, attempts: tried, failure });
        // Whoever no longer waits has cancelled the job.
        let _ = fallen.submission.reply.send(result);
    }
}

fn output(fallen: &FallenBack, result: NativeResult, failed_attempts: Vec<Attempt>) -> Output {
    let NativeResult { mut tensors, started, create_ms, run_ms } = result;
    if let Some(wanted) = &fallen.submission.run.outputs {
        tensors.retain(|(name, _)| wanted.contains(name));
    }
    let submitted = fallen.submission.submitted;
    let queue_ms = started.saturating_duration_since(submitted).as_secs_f64() * 1e3;
    let total_ms = submitted.elapsed().as_secs_f64() * 1e3;
    let timings = Timings {
        queue_ms,
        download_ms: None,
        create_ms,
        run_ms,
        readback_ms: None,
        wire_ms: (total_ms - queue_ms - create_ms.unwrap_or(0.0) - run_ms).max(0.0),
        total_ms,
    };
    let provenance = Provenance::Native(NativeRun { runtime: native_runtime(), why: fallen.why.clone() });
    let (kept, stages, handed_on) = (Vec::new(), Vec::new(), None);
    Output { tensors, kept, provenance, timings, failed_attempts, stages, handed_on }
}
