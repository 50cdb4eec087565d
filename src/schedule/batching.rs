//! Jobs of one model that go to a tab as one run.
//!
//! When a tab takes a job, jobs that wait and are alike go with it: as many as fit the tab's [budget](budget), by what
//! they are estimated to take until it is measured, and by what was measured from then on ([`pace`]). A tab with nothing
//! to do takes what is there; but a job for which more were there lately waits for them a little first. How long adapts:
//! a tenth longer when they came, a tenth shorter when they did not, and never longer than [`Batching::wait`].
//!
//! Nobody loses by it what they were promised. What matters much, or is due soon, does not wait, and takes along only
//! what matters as much; no job is taken along that would have half of what is left of anybody's time pass; and when a
//! run of several fails for what may be one job's doing, each half goes on by itself, until the one is found.

pub(super) mod budget;
pub(super) mod pace;

#[cfg(test)]
mod tests;

use super::queue::{ByTurns, Ticket, Turn};
use crate::types::{Cause, JobId, ModelId, Priority, Target};
use pace::Pace;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

/// How jobs of a model are run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Most jobs in one run. Beyond 64, little is left of what a run costs by itself.
    pub jobs: usize,
    /// The longest that a job waits for others while a tab could take it. Two milliseconds are about three ways to a tab
    /// and back.
    pub wait: Duration,
    /// The longest that a run of several is to take: what matters most may stand behind one.
    pub run: Duration,
}

impl Default for Batching {
    fn default() -> Self {
        Self { jobs: 64, wait: Duration::from_millis(2), run: Duration::from_millis(20) }
    }
}

/// What the scheduler has to know of a job that may run together with others.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchSpec {
    /// What jobs of one model have to have in common to run together: the shapes of their rows, their outputs.
    pub alike: Arc<[u64]>,
    /// How many rows it is of.
    pub rows: usize,
    /// How long it takes, as long as that is not measured.
    pub estimate: Duration,
    /// How far it may go.
    pub batching: Batching,
}

/// What the halves of a run that failed are told apart by: jobs of one bond go together, and with no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bond(u64);

/// By how much what adapts does in one step.
pub(super) const STEP: f64 = 0.1;

/// Whether a failure of several jobs together may be the doing of one of them.
pub(super) const fn may_be_one_jobs(cause: Cause) -> bool {
    !matches!(cause, Cause::ModelLoad | Cause::ModelDownload | Cause::BackendUnavailable)
}

/// Whether there may have been too much of it.
const fn may_be_too_much(cause: Cause) -> bool {
    matches!(cause, Cause::OutOfMemory | Cause::DeadlineExceeded | Cause::DeviceLost)
}

/// Jobs that can go together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    model: ModelId,
    alike: Arc<[u64]>,
    bond: Option<Bond>,
}

impl Kind {
    pub fn of(model: ModelId, spec: &BatchSpec, bond: Option<Bond>) -> Self {
        Self { model, alike: spec.alike.clone(), bond }
    }
}

/// A caller within a priority.
type Sharer = (Reverse<Priority>, u64);

/// A job with its deadline and its order of arrival.
type Due = (Instant, u64, JobId);

const fn place(ticket: &Ticket) -> (Sharer, Due) {
    ((Reverse(ticket.priority), ticket.caller.id()), (ticket.expires, ticket.order, ticket.job))
}

/// Who of one kind is there.
#[derive(Debug, Default)]
struct Line {
    /// All that could be taken along.
    there: BTreeMap<Sharer, BTreeSet<Due>>,
    /// How many those are.
    count: usize,
    /// Those of them that wait for others, and not yet for a tab.
    gathering: Vec<JobId>,
    until: Option<Instant>,
}

impl Line {
    fn insert(&mut self, ticket: &Ticket) {
        let (sharer, due) = place(ticket);
        self.count += usize::from(self.there.entry(sharer).or_default().insert(due));
    }

    fn remove(&mut self, ticket: &Ticket) {
        let (sharer, due) = place(ticket);
        let Some(of_sharer) = self.there.get_mut(&sharer) else { return };
        self.count -= usize::from(of_sharer.remove(&due));
        if of_sharer.is_empty() {
            self.there.remove(&sharer);
        }
    }
}

/// What was learnt of a model.
#[derive(Clone, Copy, Debug)]
struct Habits {
    /// How many were there together lately.
    together: f64,
    /// How long one waits for them.
    wait: Duration,
    /// Most jobs in one run, after runs that were too much.
    most: f64,
    /// Its outputs turned out not to be rows.
    forbidden: bool,
}

impl Habits {
    fn new(batching: &Batching) -> Self {
        Self { together: 1.0, wait: batching.wait / 2, most: batching.jobs as f64, forbidden: false }
    }
}

/// What becomes of a job that has just come.
#[derive(Debug, PartialEq)]
pub(super) enum Arrival {
    /// It waits for a tab, and so do these from now on.
    Ready(Vec<JobId>),
    /// It waits until then for others.
    Gathers(Instant),
}

/// Who could go with whom, and what was learnt of it.
#[derive(Debug, Default)]
pub(super) struct Batches {
    lines: HashMap<Kind, Line>,
    habits: HashMap<ModelId, Habits>,
    paces: HashMap<(ModelId, Target), Pace>,
    bonds: u64,
}

impl Batches {
    /// A job comes. It gathers if more of its kind were there lately than are there now, and nothing presses.
    pub fn arrive(&mut self, kind: &Kind, ticket: &Ticket, batching: &Batching, now: Instant) -> Arrival {
        let habits = self.habits.entry(kind.model).or_insert_with(|| Habits::new(batching));
        let line = self.lines.entry(kind.clone()).or_default();
        // Those that wait for a tab already show that none is free: nothing is won by gathering.
        let all_gather = line.count == line.gathering.len();
        line.insert(ticket);
        let enough = line.count as f64 >= habits.together.min(habits.most);
        let presses = ticket.priority > Priority::Normal || is_due_soon(ticket, batching, now);
        if habits.forbidden || presses || enough || !all_gather {
            if enough && !line.gathering.is_empty() {
                habits.wait = habits.wait.mul_f64(1.0 + STEP).min(batching.wait);
            }
            line.until = None;
            return Arrival::Ready(std::mem::take(&mut line.gathering));
        }
        line.gathering.push(ticket.job);
        Arrival::Gathers(*line.until.get_or_insert(now + habits.wait))
    }

    /// A job waits for a tab.
    pub fn insert(&mut self, kind: &Kind, ticket: &Ticket) {
        self.lines.entry(kind.clone()).or_default().insert(ticket);
    }

    /// A job waits no more.
    pub fn remove(&mut self, kind: &Kind, ticket: &Ticket) {
        let Some(line) = self.lines.get_mut(kind) else { return };
        line.remove(ticket);
        line.gathering.retain(|job| *job != ticket.job);
        if line.gathering.is_empty() {
            line.until = None;
        }
        if line.count == 0 {
            self.lines.remove(kind);
        }
    }

    /// Those who gathered have waited long enough. Tells who they are.
    pub fn waited(&mut self, kind: &Kind, batching: &Batching) -> Vec<JobId> {
        let Some(line) = self.lines.get_mut(kind) else { return Vec::new() };
        line.until = None;
        if let Some(habits) = self.habits.get_mut(&kind.model) {
            habits.wait = habits.wait.mul_f64(1.0 - STEP).max(batching.wait.mul_f64(STEP));
        }
        std::mem::take(&mut line.gathering)
    }

    pub fn gathers(&self, kind: &Kind, job: JobId) -> bool {
        self.lines.get(kind).is_some_and(|line| line.gathering.contains(&job))
    }

    /// How many could go.
    pub fn count(&self, kind: &Kind) -> usize {
        self.lines.get(kind).map_or(0, |line| line.count)
    }

    /// Those that could go, what matters most first, then by the turns of who asks for them: what `turn` tells of any of a
    /// caller's jobs. Of so many callers that each could have one go, only `most` are asked, from `leader`'s on.
    pub fn there(
        &self,
        kind: &Kind,
        leader: &Ticket,
        most: usize,
        turn: impl Fn(JobId) -> Turn,
    ) -> impl Iterator<Item = JobId> {
        let mut by_turns = ByTurns::new();
        if let Some(line) = self.lines.get(kind) {
            let (first, _) = place(leader);
            let callers = line.there.range(first..).chain(line.there.range(..first)).take(most);
            for ((priority, _), jobs) in callers {
                let of_caller = jobs.first().map(|(.., job)| turn(*job)).unwrap_or_default();
                by_turns.add(*priority, of_caller, jobs.iter().copied());
            }
        }
        by_turns
    }

    /// Most jobs of a model in one run.
    pub fn most(&self, model: ModelId, batching: &Batching) -> usize {
        match self.habits.get(&model) {
            Some(habits) if habits.forbidden => 1,
            Some(habits) => (habits.most as usize).clamp(1, batching.jobs.max(1)),
            None => batching.jobs.max(1),
        }
    }

    /// So many went together.
    pub fn took(&mut self, model: ModelId, jobs: usize) {
        let Some(habits) = self.habits.get_mut(&model) else { return };
        habits.together = (habits.together * (1.0 - STEP)).max(jobs as f64);
    }

    /// A run of so many jobs and rows took so long.
    pub fn ran(
        &mut self,
        model: ModelId,
        target: Target,
        batching: &Batching,
        (jobs, rows): (usize, usize),
        run: Duration,
    ) {
        self.paces.entry((model, target)).or_default().take_in(rows, run);
        if let Some(habits) = self.habits.get_mut(&model)
            && jobs as f64 >= habits.most.floor()
        {
            habits.most = (habits.most * (1.0 + STEP)).min(batching.jobs as f64);
        }
    }

    /// How long a run of so many rows takes; `None` until it was measured.
    pub fn expected(&self, model: ModelId, target: Target, rows: usize) -> Option<Duration> {
        self.paces.get(&(model, target))?.expected(rows)
    }

    /// A run of so many jobs failed.
    pub fn failed(&mut self, model: ModelId, jobs: usize, cause: Cause) {
        if may_be_too_much(cause)
            && let Some(habits) = self.habits.get_mut(&model)
        {
            habits.most = habits.most.min((jobs / 2).max(1) as f64);
        }
    }

    /// The model's outputs turned out not to be rows.
    pub fn forbid(&mut self, model: ModelId) {
        if let Some(habits) = self.habits.get_mut(&model) {
            habits.forbidden = true;
        }
    }

    pub const fn new_bond(&mut self) -> Bond {
        self.bonds += 1;
        Bond(self.bonds)
    }

    /// Nobody has a handle to the model any more.
    pub fn forget(&mut self, model: ModelId) {
        self.habits.remove(&model);
        self.paces.retain(|(of, _), _| *of != model);
    }
}

/// Whether so little is left of a job's time that it should not be spent waiting.
fn is_due_soon(ticket: &Ticket, batching: &Batching, now: Instant) -> bool {
    ticket.expires.saturating_duration_since(now) < 10 * (batching.wait + batching.run)
}

/// What is taken along by a job that goes to a tab, one after the other.
#[derive(Debug)]
pub(super) struct Load {
    pub jobs: usize,
    pub rows: usize,
    pub bytes: usize,
    estimate: Duration,
    /// When the first of them is due.
    due: Instant,
}

/// How much may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub jobs: usize,
    pub bytes: usize,
    pub work: Duration,
}

impl Load {
    pub fn of(spec: &BatchSpec, bytes: usize, due: Instant) -> Self {
        Self { jobs: 1, rows: spec.rows, bytes, estimate: spec.estimate, due }
    }

    /// Takes a job along if it fits; `expected` tells how long so many rows take, once that was measured.
    pub fn add(
        &mut self,
        (spec, bytes, due): (&BatchSpec, usize, Instant),
        limits: Limits,
        expected: impl Fn(usize) -> Option<Duration>,
        now: Instant,
    ) -> bool {
        let with = Self {
            jobs: self.jobs + 1,
            rows: self.rows + spec.rows,
            bytes: self.bytes + bytes,
            estimate: self.estimate + spec.estimate,
            due: self.due.min(due),
        };
        let work = expected(with.rows).unwrap_or(with.estimate);
        let in_time = 2 * work <= with.due.saturating_duration_since(now);
        let fits = with.jobs <= limits.jobs && with.bytes <= limits.bytes && work <= limits.work && in_time;
        if fits {
            *self = with;
        }
        fits
    }
}
