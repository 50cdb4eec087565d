//! Jobs that go to a tab together: who gathers, who is taken along, and what becomes of them when their run fails.

use super::{Action, Scheduler, job_rules::Answered, time_rules::Timer};
use crate::{
    schedule::{
        batching::{Arrival, Kind, Limits, Load, may_be_one_jobs},
        breakers::{Permits, blames_target},
        jobs::{Avoid, Job, Place},
        queue::Turn,
        tabs::InFlight,
    },
    types::{Failure, JobId, ModelId, Priority, TabId, Target},
};
use std::time::{Duration, Instant};

/// A run of so many jobs that failed.
pub(super) struct FailedBatch {
    pub tab: TabId,
    pub target: Target,
    pub model: ModelId,
    pub jobs: usize,
    pub permits: Option<Permits>,
}

/// Idle tabs that jobs are shared out among, at the most.
const SHARERS: usize = 8;

impl Job {
    /// What it has in common with those it may run with.
    pub(super) fn kind(&self) -> Option<Kind> {
        let batch = self.spec.batch.as_ref()?;
        Some(Kind::of(self.spec.model, batch, self.bond))
    }

    fn keeps_away_from(&self, target: Target, tab: TabId) -> bool {
        match self.avoid {
            Avoid::Nothing => false,
            Avoid::Tab(avoided) => avoided == tab,
            Avoid::Target(avoided) => avoided == target,
        }
    }
}

impl Scheduler {
    /// A job that has just come waits for a tab, or first for others to go with it.
    pub(super) fn gather_or_wait(&mut self, id: JobId, now: Instant) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let (Some(kind), Some(batch)) = (job.kind(), &job.spec.batch) {
            match self.batches.arrive(&kind, &job.ticket, &batch.batching, now) {
                Arrival::Gathers(until) => {
                    job.place = Place::Paused(until);
                    self.timers.insert((until, Timer::Retry(id)));
                    return;
                }
                Arrival::Ready(others) => others.into_iter().for_each(|other| self.stop_gathering(other)),
            }
        }
        self.wait(id);
    }

    /// Those who gathered with this job have waited long enough, if it gathers; tells whether it does.
    pub(super) fn gathered(&mut self, id: JobId) -> bool {
        let Some((kind, batch)) = self.jobs.get(&id).and_then(|job| Some((job.kind()?, job.spec.batch.as_ref()?)))
        else {
            return false;
        };
        let gathers = self.batches.gathers(&kind, id);
        if gathers {
            let all = self.batches.waited(&kind, &batch.batching);
            all.into_iter().for_each(|job| self.stop_gathering(job));
        }
        gathers
    }

    fn stop_gathering(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        if let Place::Paused(until) = job.place {
            self.timers.remove(&(until, Timer::Retry(id)));
        }
        // Its last target may have been given up while it was in no queue.
        match job.open_to.intersection(self.hopeful()).is_empty() {
            true => self.end_without_target(id, self.no_target(job.spec.allowed)),
            false => self.wait(id),
        }
    }

    /// Others may take it along from now on.
    pub(super) fn offer(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get(&id)
            && let Some(kind) = job.kind()
        {
            self.batches.insert(&kind, &job.ticket);
        }
    }

    /// Nobody takes it along any more.
    pub(super) fn withdraw(&mut self, job: &Job) {
        if let Some(kind) = job.kind() {
            self.batches.remove(&kind, &job.ticket);
        }
    }

    /// Who goes along with a job that goes to a tab.
    pub(super) fn companions(&mut self, id: JobId, tab_id: TabId, now: Instant) -> Vec<JobId> {
        let (Some(job), Some(tab)) = (self.jobs.get(&id), self.tabs.get(tab_id)) else { return Vec::new() };
        let (Some(kind), Some(batch)) = (job.kind(), &job.spec.batch) else { return Vec::new() };
        let (model, target, most) = (job.spec.model, tab.target, self.batches.most(job.spec.model, &batch.batching));
        let idle = job.route.iter().flat_map(|target| self.tabs.ready(target).take_while(|(load, _)| *load == 0));
        let share = self.batches.count(&kind).div_ceil(idle.take(SHARERS).count().max(1));
        let limits = Limits {
            jobs: most.min(share),
            bytes: self.policy.in_flight_bytes_per_tab.saturating_sub(tab.bytes),
            work: tab.budget.within(batch.batching.run),
        };
        let urgent = (job.spec.priority > Priority::Normal).then_some(job.spec.priority);
        let mut load = Load::of(batch, job.spec.bytes, job.spec.expires);
        let expected = |rows| self.batches.expected(model, target, rows);
        let turn = |other| match self.jobs.get(&other) {
            Some(other) => self.queue.turn_of(other.route, &other.ticket),
            None => Turn::default(),
        };
        // Those that do not fit are passed over, and looked at again at the next run.
        let looked_at = 2 * most;
        let companions = self
            .batches
            .there(&kind, &job.ticket, looked_at, turn)
            .filter(|other| *other != id)
            .take(looked_at)
            .filter(|other| {
                let Some(other) = self.jobs.get(other) else { return false };
                let Some(spec) = &other.spec.batch else { return false };
                let may = other.route.contains(target) && !other.keeps_away_from(target, tab_id);
                let matters = urgent.is_none_or(|priority| other.spec.priority >= priority);
                may && matters && load.add((spec, other.spec.bytes, other.spec.expires), limits, expected, now)
            })
            .collect::<Vec<_>>();
        self.batches.took(model, companions.len() + 1);
        companions
    }

    /// How long a run of these jobs takes on the target, by what was measured.
    pub(super) fn expected_run(&self, model: ModelId, target: Target, rows: usize) -> Option<Duration> {
        self.batches.expected(model, target, rows).or_else(|| self.speeds.expected(model, target))
    }

    /// How long a run would have been of this one of its jobs alone: what runs are compared by. `None` while it is not
    /// known what a row costs.
    pub(super) fn alone(&self, job: &Job, answered: &Answered, run: Duration) -> Option<Duration> {
        let Some(batch) = job.spec.batch.as_ref().filter(|_| !answered.with.jobs.is_empty()) else { return Some(run) };
        let expected =
            |rows| self.batches.expected(job.spec.model, answered.target, rows).map(|time| time.as_secs_f64());
        let (together, alone) = (expected(answered.with.rows)?, expected(batch.rows)?);
        (together > 0.0).then(|| run.mul_f64(alone / together))
    }

    /// What jobs cost together is learnt from each run.
    pub(super) fn learn_from(&mut self, job: &Job, answered: &Answered, run: Duration) {
        let Some(batch) = &job.spec.batch else { return };
        let size = (answered.with.jobs.len() + 1, answered.with.rows);
        self.batches.ran(job.spec.model, answered.target, &batch.batching, size, run);
    }

    /// What a tab was handed failed there: the job alone, or several of which nobody knows whose doing it was.
    pub(super) fn run_failed(&mut self, tab: TabId, failure: &Failure, answered: Answered, now: Instant) {
        let jobs: Vec<JobId> = answered.jobs().filter(|job| self.waits_for(*job, tab)).collect();
        let together = answered.with.jobs.len() + 1;
        let Answered { target, elapsed_ms, mut permits, guilt, .. } = answered;
        if together > 1 && may_be_one_jobs(failure.cause) {
            let model = jobs.first().and_then(|id| self.jobs.get(id)).map(|job| job.spec.model);
            let Some(model) = model else { return };
            self.batch_failed(FailedBatch { tab, target, model, jobs: together, permits }, failure, now);
            self.halve(jobs);
            return;
        }
        for job in jobs {
            let answered = Answered { target, elapsed_ms, permits: permits.take(), guilt, ..Answered::of(job, target) };
            self.attempt_failed(job, tab, failure.clone(), answered, now);
        }
    }

    /// Breakers, health and those who watch take in that a run of several jobs failed. What may be a job's own doing is
    /// held against nobody until it is found.
    pub(super) fn batch_failed(&mut self, batch: FailedBatch, failure: &Failure, now: Instant) {
        let FailedBatch { tab, target, model, jobs, permits } = batch;
        self.batches.failed(model, jobs, failure.cause);
        if blames_target(failure.cause) {
            self.blame(tab, target, model, permits, failure, now);
        }
        let (jobs, failure) = (jobs as u32, failure.clone());
        self.actions.push_back(Action::BatchSplit { tab, target, model, jobs, failure });
    }

    /// Each half of these jobs goes on by itself, and has spent no attempt.
    pub(super) fn halve(&mut self, jobs: Vec<JobId>) {
        let (first, second) = jobs.split_at(jobs.len().div_ceil(2));
        for half in [first, second] {
            let bond = self.batches.new_bond();
            for id in half {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.bond = Some(bond);
                }
                self.wait(*id);
            }
        }
    }

    /// A model's outputs turned out not to be rows of a batch: its jobs run alone from now on.
    pub(super) fn cannot_batch(&mut self, model: ModelId) {
        self.batches.forbid(model);
    }

    /// Whether anybody else still waits for the run that the job is part of.
    pub(super) fn is_waited_for_by_others(&self, tab: TabId, id: JobId) -> bool {
        let line = self.tabs.get(tab).map(|tab| &tab.in_flight).into_iter().flatten();
        let run = line.filter(|in_flight| in_flight.jobs().any(|job| job == id));
        run.flat_map(InFlight::jobs).any(|job| job != id && self.waits_for(job, tab))
    }
}
