//! Whether a model's rows depend on each other, which no file says: seen when its jobs first run together on a target.
//!
//! Behind such a run go its first and its last job alone, and the answers wait for that: if theirs are not the same, the
//! model's jobs run alone from then on, those of this run first. Both ends, because the first row of a running sum, and
//! whichever is the largest, is what it is alone. One run of jobs that differ is enough; one of jobs that are all the same
//! shows only that these answers are right, since a mean over like rows is each of them. It is a check and no proof.

use super::{Coordinator, Job, KnownModel};
use crate::{
    fleet::{
        batch::{Part, indivisible, rows_of},
        tab::Pending,
    },
    harness::RunReport,
    onnx::{Tolerance, compare},
    schedule::Input,
    types::{Cause, EventKind, Failure, JobId, ModelId, TabId},
};
use std::{ops::Range, time::Instant};

/// What was seen of a model's rows on one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Jobs that are all the same have right answers together.
    Alike,
    /// So have others.
    Varied,
}

/// A run of a job alone that shows whether its rows are the same as in a run with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fleet) struct RowCheck {
    /// What the run with others goes by: its first job.
    run: JobId,
    model: ModelId,
    /// Where the job's rows begin in that run, and where they end.
    rows: (usize, usize),
    sees: Seen,
}

impl RowCheck {
    /// The first job of the run that is checked.
    pub const fn run(&self) -> JobId {
        self.run
    }
}

/// The answer of a run of several jobs, which waits for the checks.
pub(in crate::fleet) struct Held {
    run: JobId,
    report: RunReport,
    /// How long checks took so far, in milliseconds.
    checks_ms: f64,
}

impl Coordinator {
    /// A run of these jobs, of so many rows, was handed to a tab: behind it go the checks, if any are needed.
    pub(super) fn check_rows(&mut self, tab: TabId, jobs: &[JobId], rows: usize) {
        let Some(tab) = self.tabs.get_mut(&tab) else { return };
        let runs: Vec<&Job> = jobs.iter().filter_map(|id| self.jobs.get(id)).collect();
        let [first, .., last] = runs[..] else { return };
        let (run, model) = (first.submission.job, first.submission.model.id);
        let Some(known) = self.models.get(&model) else { return };
        let seen = known.seen.get(&tab.target).copied();
        // As with most runs: nothing is compared then.
        if seen == Some(Seen::Varied) {
            return;
        }
        let are_alike = runs.iter().all(|job| job.submission.run.inputs == first.submission.run.inputs);
        let sees = if are_alike { Seen::Alike } else { Seen::Varied };
        if seen == Some(sees) {
            return;
        }
        let of = |job: &Job| job.rows().unwrap_or_default() as usize;
        for (job, rows) in [(first, (0, of(first))), (last, (rows.saturating_sub(of(last)), rows))] {
            let request = tab.expect(Pending::Alone(RowCheck { run, model, rows, sees }));
            // A closed socket is told by its own signal.
            let _ = tab.link.as_ref().map(|link| link.run(request, &known.served, &job.submission.run));
        }
    }

    /// Several jobs ran together.
    pub(super) fn ran_together(&mut self, id: TabId, job: JobId, rows: usize, report: RunReport) {
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        if let Some(what) = indivisible(&report.outputs, rows) {
            let model = self.jobs.get(&job).map(|job| job.submission.model.id);
            return self.ran_in_vain(id, job, model, format!("they are not rows of a batch: {what}"));
        }
        if tab.is_checking(job) {
            tab.held = Some(Held { run: job, report, checks_ms: 0.0 });
        } else {
            self.ran(id, job, report, 0.0);
        }
    }

    /// A job that ran with others has run alone.
    pub(super) fn ran_alone(&mut self, id: TabId, check: RowCheck, alone: &RunReport) {
        let RowCheck { run, model, rows: (from, to), sees } = check;
        let Some(tab) = self.tabs.get_mut(&id) else { return };
        let (target, is_last) = (tab.target, !tab.is_checking(run));
        // A run that failed has nothing to be compared.
        let Some(held) = tab.held.as_mut().filter(|held| held.run == run) else { return };
        let load_ms = alone.load.as_ref().map_or(0.0, |load| load.download_ms + load.create_ms);
        held.checks_ms += alone.run_ms + alone.readback_ms.unwrap_or(0.0) + load_ms;
        if let Some(other) = other_than_alone(&held.report, from..to, alone) {
            tab.held = None;
            let what = format!("on {target} a job beside others has not what it has alone: {other}");
            return self.ran_in_vain(id, run, Some(model), what);
        }
        if is_last && let Some(Held { report, checks_ms, .. }) = tab.held.take() {
            if let Some(known) = self.models.get_mut(&model) {
                tracing::debug!(model = known.tag.name, %target, ?sees, "its rows do not depend on each other");
                let seen = known.seen.entry(target).or_insert(sees);
                // Another run may have shown more meanwhile.
                *seen = if sees == Seen::Varied { sees } else { *seen };
            }
            self.ran(id, run, report, checks_ms);
        }
    }

    /// It could not run alone.
    pub(super) fn failed_alone(&mut self, id: TabId, check: RowCheck, failure: Failure) {
        let held = self.tabs.get_mut(&id).and_then(|tab| tab.held.take_if(|held| held.run == check.run));
        if held.is_some() {
            self.tell(Input::AttemptFailed { tab: id, job: check.run, failure });
        }
    }

    /// Several jobs ran together, and their outputs are not what each has alone, or nobody can say whose are whose: they
    /// run alone, as all later ones.
    fn ran_in_vain(&mut self, tab: TabId, job: JobId, model: Option<ModelId>, what: String) {
        let target = self.tabs.get(&tab).map(|tab| tab.target);
        if let (Some(id), Some(target)) = (model, target)
            && let Some(KnownModel { tag, may_batch, .. }) = self.models.get_mut(&id)
            && std::mem::take(may_batch)
        {
            let (model, why) = (tag.clone(), what.clone());
            tracing::warn!(model = model.name, what, "its outputs in a batch are not to be used: its jobs run alone");
            self.events.emit(|| EventKind::BatchingRefused { model, target, why });
            self.scheduler.handle(Input::CannotBatch { model: id }, Instant::now());
        }
        let failure = Failure::new(Cause::BadInput, format!("the model's outputs cannot be divided: {what}"));
        self.tell(Input::AttemptFailed { tab, job, failure });
    }
}

/// What a job's rows of a run with others differ by from its outputs alone, if they do.
fn other_than_alone(together: &RunReport, rows: Range<usize>, alone: &RunReport) -> Option<String> {
    let (Ok(together), Ok(alone)) = (together.outputs.tensors(), alone.outputs.tensors()) else {
        return Some("outputs cannot be read".to_owned());
    };
    match rows_of(&together, &Part { rows, jobs: 1 }) {
        Some(beside_others) => {
            let compared = compare(&alone, &beside_others, &Tolerance::default());
            compared.mismatch.map(|mismatch| mismatch.to_string())
        }
        None => Some("there are no such rows".to_owned()),
    }
}
