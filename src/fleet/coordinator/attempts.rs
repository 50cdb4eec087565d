//! Jobs: handed to tabs, and how they end.

use super::{Coordinator, Job};
use crate::{
    fleet::{
        JobError, Output,
        batch::{Part, parts, rows_of},
        message::Submission,
        tab::Pending,
    },
    harness::{RunReport, RunRequest},
    schedule::{Attempt, Input, SessionCall},
    types::{
        BatchShare, BrowserRun, Cause, EventKind, Failure, JobId, ModelId, Placement, Provenance, Severity, TabId,
        Timings,
    },
};
use std::time::{Duration, Instant};

impl Coordinator {
    pub(super) fn start_attempt(&mut self, tab_id: TabId, id: JobId, attempt: u32, placement: Placement) {
        if !self.begins(tab_id, id, attempt, placement, None) {
            return;
        }
        let direct = match self.goes_directly(tab_id, id) {
            Ok(direct) => direct,
            Err(failure) => {
                self.scheduler.handle(Input::AttemptFailed { tab: tab_id, job: id, failure }, Instant::now());
                return;
            }
        };
        let (Some(tab), Some(job)) = (self.tabs.get_mut(&tab_id), self.jobs.get(&id)) else { return };
        let Submission { model, run, .. } = &job.submission;
        if !run.release {
            tab.loaded.entry(model.key.clone()).or_default();
        }
        let request = tab.expect(Pending::Run(id));
        // A closed socket is told by its own signal, and the job is then placed again.
        let _ = tab.link.as_ref().map(|link| link.run_directly(request, &model.served, run, &direct));
    }

    /// As [`start_attempt`](Self::start_attempt), of several jobs in one run.
    pub(super) fn start_together(&mut self, tab_id: TabId, jobs: &[(JobId, u32)], placement: Placement) {
        let rows = |id: &JobId| self.jobs.get(id)?.submission.run.inputs.infos().first()?.shape.first().copied();
        let rows: Vec<usize> = jobs.iter().map(|(id, _)| rows(id).unwrap_or_default()).collect();
        let all_rows = rows.iter().sum();
        for ((id, attempt), part) in jobs.iter().zip(parts(rows.into_iter())) {
            self.begins(tab_id, *id, *attempt, placement, Some(part));
        }
        let runs: Vec<&Submission> =
            jobs.iter().filter_map(|(id, _)| self.jobs.get(id)).map(|job| &job.submission).collect();
        let (Some(tab), Some(first)) = (self.tabs.get_mut(&tab_id), runs.first()) else { return };
        let model = &first.model;
        tab.loaded.entry(model.key.clone()).or_default();
        let request = tab.expect(Pending::RunTogether(first.job, all_rows));
        let runs: Vec<&RunRequest> = runs.iter().map(|submission| &submission.run).collect();
        // A closed socket is told by its own signal, and the jobs are then placed again.
        let _ = tab.link.as_ref().map(|link| link.run_together(request, &model.served, &runs));
        let jobs: Vec<JobId> = jobs.iter().map(|(id, _)| *id).collect();
        self.check_rows(tab_id, &jobs, all_rows);
    }

    /// A job's attempt begins. Tells whether both the tab and the job are there.
    fn begins(&mut self, tab_id: TabId, id: JobId, attempt: u32, placement: Placement, part: Option<Part>) -> bool {
        let (Some(tab), Some(job)) = (self.tabs.get(&tab_id), self.jobs.get_mut(&id)) else { return false };
        job.started = Instant::now();
        (job.attempt, job.placement, job.part, job.handover) = (attempt, Some(placement), part, None);
        let (browser, target) = (tab.browser, tab.target);
        let Submission { model, span, .. } = &job.submission;
        job.span = tracing::debug_span!(parent: span, "attempt", attempt, tab = %tab_id, %browser, %target);
        let name = &model.tag.name;
        tracing::debug!(target: "tabfleet::placement", job = %id, model = name, %target, tab = %tab_id, "{placement}");
        self.events.emit(|| EventKind::AttemptStarted { job: id, attempt, tab: tab_id, target });
        true
    }

    pub(super) fn attempt_failed(
        &mut self,
        id: JobId,
        model: ModelId,
        number: u32,
        severity: Severity,
        attempt: Attempt,
    ) {
        let Some(model) = self.models.get(&model).map(|known| known.tag.clone()) else { return };
        let Attempt { target, tab, failure, elapsed_ms } = attempt;
        let lost = || self.tabs.get(&tab)?.lost.filter(|(lost, _)| *lost == id)?.1;
        let batch = self.jobs.get(&id).map_or_else(lost, Job::rows);
        tracing::debug!(job = %id, %target, %failure, "attempt failed");
        self.events.emit(|| EventKind::AttemptFailed {
            job: id,
            attempt: number,
            tab,
            target,
            model,
            severity,
            failure,
            elapsed_ms,
            batch,
        });
    }

    pub(super) fn end_with_result(&mut self, id: JobId, failed_attempts: Vec<Attempt>) {
        let (Some(mut job), Some(answer)) = (self.jobs.remove(&id), self.result.as_mut()) else { return };
        let (tab_id, report) = (answer.tab, &answer.report);
        let Some(placement) = job.placement else { return };
        let Some(tab) = self.tabs.get_mut(&tab_id) else { return };
        let Some(info) = tab.info.clone() else { return };
        let timings = timings(&job, report, answer.aside_ms);
        // Told once, when the session is created, and true of every run of that session.
        let remembered = tab.loaded.get_mut(&job.submission.model.key);
        let cpu_fallback = match (&report.load, remembered) {
            (Some(load), Some(remembered)) => {
                *remembered = load.cpu_fallback;
                load.cpu_fallback
            }
            (Some(load), None) => load.cpu_fallback,
            (None, remembered) => remembered.copied().flatten(),
        };
        let (target, attempt, model) = (tab.target, job.attempt, job.submission.model.tag.clone());
        let (batch, memory_bytes) = (job.rows(), tab.heap_bytes);
        job.span.in_scope(|| tracing::debug!(run_ms = timings.run_ms, total_ms = timings.total_ms, "answered"));
        let jobs = job.part.as_ref().map_or(1, |part| part.jobs);
        let provenance = Provenance::Browser(BrowserRun {
            target,
            backend: target.backend,
            cpu_fallback,
            browser_id: tab.browser,
            tab: tab_id,
            info,
            placement,
            batch: jobs,
        });
        let share = job.submission.spec.batch.is_some().then_some(BatchShare { jobs, number: answer.told });
        answer.told += 1;
        self.events.emit(|| EventKind::AttemptSucceeded {
            job: id,
            attempt,
            tab: tab_id,
            target,
            model,
            timings,
            cpu_fallback,
            batch,
            memory_bytes,
            share,
            warm_up: job.submission.warm_up,
        });
        let tensors = match (&mut answer.outputs, &job.part) {
            (Ok(tensors), None) => Ok(std::mem::take(tensors)),
            (Ok(tensors), Some(part)) => rows_of(tensors, part).ok_or_else(|| "it has no such rows".to_owned()),
            (Err(error), _) => Err(error.to_string()),
        };
        let result = match tensors {
            Ok(tensors) => {
                let (kept, stages) = (std::mem::take(&mut answer.report.kept), Vec::new());
                if let Some(SessionCall { session, .. }) = job.submission.spec.session {
                    let bytes = kept.iter().map(|kept| kept.info.bytes as u64).sum();
                    self.scheduler.handle(Input::SessionKept { session, bytes }, Instant::now());
                }
                let went_on = std::mem::take(&mut answer.report.handed_on);
                let handed_on = job.handover.take().and_then(|handover| handover.of(went_on));
                Ok(Output { tensors, kept, provenance, timings, failed_attempts, stages, handed_on })
            }
            Err(error) => Err(JobError {
                model: job.submission.model.tag.name.clone(),
                failure: Failure::new(Cause::BadFrame, format!("the tab's outputs cannot be read: {error}")),
                attempts: failed_attempts,
                overload: None,
            }),
        };
        let failure = result.as_ref().err().map(|error| error.failure.clone());
        self.events.emit(|| EventKind::JobEnded { job: id, attempts: attempt, failure });
        // Whoever no longer waits has cancelled the job.
        let _ = job.submission.reply.send(result);
    }

    pub(super) fn end_with_failure(&mut self, id: JobId, failure: Failure, attempts: Vec<Attempt>) {
        let Some(job) = self.jobs.remove(&id) else { return };
        let count = attempts.len() as u32;
        job.submission.span.in_scope(|| tracing::debug!(%failure, attempts = count, "job failed"));
        self.events.emit(|| EventKind::JobEnded { job: id, attempts: count, failure: Some(failure.clone()) });
        let model = job.submission.model.tag.name.clone();
        let _ = job.submission.reply.send(Err(JobError { model, failure, attempts, overload: None }));
    }
}

fn timings(job: &Job, report: &RunReport, aside_ms: f64) -> Timings {
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let load = report.load.as_ref();
    let (download_ms, create_ms) = (load.map(|load| load.download_ms), load.map(|load| load.create_ms));
    let measured =
        report.run_ms + report.readback_ms.unwrap_or(0.0) + download_ms.unwrap_or(0.0) + create_ms.unwrap_or(0.0);
    Timings {
        queue_ms: ms(job.started.saturating_duration_since(job.submission.submitted)),
        download_ms,
        create_ms,
        run_ms: report.run_ms,
        readback_ms: report.readback_ms,
        wire_ms: (ms(job.started.elapsed()) - measured - aside_ms).max(0.0),
        total_ms: ms(job.submission.submitted.elapsed()),
    }
}
