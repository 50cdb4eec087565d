//! Who may enter the queue: it is bounded in jobs and in bytes, and what matters less may fill only a part of it. Who finds
//! no room waits, in the order that the queue itself has, ageing included; and so do jobs that wait for one of a number
//! of turns.

mod ends;

#[cfg(test)]
mod tests;

use super::{
    Policy, TargetSet,
    queue::{Ageing, Queue, Ticket},
};
use crate::types::{Backend, Browser, Caller, JobId, ModelId, Priority, Target};
use ends::Ends;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How much may be under way at once, waiting or running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Jobs.
    pub jobs: usize,
    /// Bytes of their inputs; one job may always go.
    pub bytes: u64,
}

/// Why a job was not taken in, and when it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    /// Jobs that are under way, waiting or running.
    pub jobs: usize,
    /// The bytes of their inputs.
    pub bytes: u64,
    /// Jobs that wait to be taken in before this one.
    pub waiting: usize,
    /// How long a job of its priority that is taken in now would wait for those that matter as much or more, by how fast
    /// jobs have ended of late; `None` before any has.
    pub expected_wait: Option<Duration>,
    /// When there will be room for it behind those that wait for room already, by the same; a second where nothing is
    /// known.
    pub retry_after: Duration,
}

/// A job that is to be let in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entrant {
    pub priority: Priority,
    pub caller: Caller,
    pub model: ModelId,
    /// Of its inputs.
    pub bytes: u64,
    pub submitted: Instant,
    /// When it no longer waits.
    pub expires: Instant,
}

/// What is under way, who waits to be, and how fast jobs end.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: QueueLimits,
    /// The part that jobs of each priority may fill, in percent.
    shares: [usize; Priority::ALL.len()],
    inside: Crowd,
    line: Queue,
    waiting: HashMap<JobId, Entrant>,
    outside: Crowd,
    next: u64,
    ends: Ends,
}

/// When to come again if nothing is known.
const A_WHILE: Duration = Duration::from_secs(1);

/// What the queue leaves free of what matters less is for those that matter more.
const QUEUE_SHARES: [usize; Priority::ALL.len()] = [80, 90, 95, 100];

/// The line is one, wherever its jobs go later: for the queue that it is made of they are all for the same target.
const INSIDE: Target = Target::new(Browser::Chrome, Backend::Wasm);

/// Jobs and their bytes, by priority.
#[derive(Debug, Default)]
struct Crowd([(usize, u64); Priority::ALL.len()]);

impl Crowd {
    fn add(&mut self, entrant: &Entrant) {
        let (jobs, bytes) = &mut self.0[entrant.priority as usize];
        (*jobs, *bytes) = (*jobs + 1, *bytes + entrant.bytes);
    }

    fn remove(&mut self, entrant: &Entrant) {
        let (jobs, bytes) = &mut self.0[entrant.priority as usize];
        (*jobs, *bytes) = (*jobs - 1, *bytes - entrant.bytes);
    }

    fn all(&self) -> (usize, u64) {
        self.at_least(Priority::Low)
    }

    fn at_least(&self, priority: Priority) -> (usize, u64) {
        let those = &self.0[priority as usize..];
        those.iter().fold((0, 0), |sum, (jobs, bytes)| (sum.0 + jobs, sum.1 + bytes))
    }
}

impl Admission {
    /// That of the queue.
    pub fn of_queue(limits: QueueLimits, policy: &Policy) -> Self {
        Self::new(limits, QUEUE_SHARES, policy)
    }

    /// That of so many turns, at least one, all of which are for whoever comes first in the line.
    pub fn of_turns(most: usize, policy: &Policy) -> Self {
        Self::new(QueueLimits { jobs: most.max(1), bytes: u64::MAX }, [100; Priority::ALL.len()], policy)
    }

    fn new(limits: QueueLimits, shares: [usize; Priority::ALL.len()], policy: &Policy) -> Self {
        let ageing = Ageing { after: policy.aged_after, share: policy.aged_share };
        Self {
            limits,
            shares,
            inside: Crowd::default(),
            line: Queue::new(ageing),
            waiting: HashMap::new(),
            outside: Crowd::default(),
            next: 1,
            ends: Ends::default(),
        }
    }

    /// Jobs that may be under way at once.
    pub const fn most(&self) -> usize {
        self.limits.jobs
    }

    /// A job waits for room from now on.
    pub fn wait(&mut self, entrant: Entrant) -> JobId {
        let id = JobId(self.next);
        self.next += 1;
        self.waiting.insert(id, entrant);
        self.outside.add(&entrant);
        self.line.insert(route(), &ticket(id, &entrant));
        id
    }

    /// A job no longer waits.
    pub fn give_up(&mut self, id: JobId) {
        let Some(entrant) = self.waiting.remove(&id) else { return };
        self.outside.remove(&entrant);
        self.line.remove(route(), &ticket(id, &entrant));
    }

    /// Lets in the first of those who wait, if there is room for it. To be asked until nobody is.
    pub fn next(&mut self, now: Instant) -> Option<(JobId, Entrant)> {
        let id = self.line.first(&[], |_| true)?;
        let entrant = *self.waiting.get(&id)?;
        // Who has waited for long enough must not be kept out by what is free for others only.
        let priority = if self.line.is_due(id) { Priority::Critical } else { entrant.priority };
        if !self.has_room(priority, entrant.bytes) {
            return None;
        }
        self.waiting.remove(&id);
        self.outside.remove(&entrant);
        self.line.take(route(), &ticket(id, &entrant), INSIDE, now);
        self.inside.add(&entrant);
        self.ends.wait(now);
        Some((id, entrant))
    }

    /// A job that was let in has ended.
    pub fn leave(&mut self, entrant: &Entrant, now: Instant) {
        self.inside.remove(entrant);
        self.ends.count(entrant.bytes, now);
        if self.inside.all().0 == 0 {
            self.ends.rest();
        }
    }

    /// What somebody is told who finds no room for a job like this.
    pub fn overload(&self, priority: Priority, bytes: u64, now: Instant) -> Overload {
        let ((jobs_inside, bytes_inside), (jobs_before, bytes_before)) =
            (self.inside.all(), self.outside.at_least(priority));
        let jobs_over = (jobs_inside + jobs_before + 1).saturating_sub(self.most_jobs(priority));
        let bytes_to_come = bytes_inside.saturating_add(bytes_before);
        // Once nothing else is there it goes, however large it is.
        let bytes_over = bytes_to_come.saturating_add(bytes).saturating_sub(self.most_bytes(priority));
        let bytes_over = bytes_over.min(bytes_to_come);
        let for_jobs = if jobs_over > 0 { self.ends.time_for_jobs(jobs_over, now) } else { Some(Duration::ZERO) };
        let for_bytes = if bytes_over > 0 { self.ends.time_for_bytes(bytes_over, now) } else { Some(Duration::ZERO) };
        let retry_after = for_jobs.zip(for_bytes).map_or(A_WHILE, |(for_jobs, for_bytes)| for_jobs.max(for_bytes));
        let waits_for = self.inside.at_least(priority).0 + jobs_before;
        Overload {
            jobs: jobs_inside,
            bytes: bytes_inside,
            waiting: jobs_before,
            expected_wait: self.ends.time_for_jobs(waits_for, now),
            retry_after: retry_after.max(Duration::from_millis(1)),
        }
    }

    fn has_room(&self, priority: Priority, bytes: u64) -> bool {
        let (jobs_inside, bytes_inside) = self.inside.all();
        let fits = bytes_inside == 0 || bytes_inside.saturating_add(bytes) <= self.most_bytes(priority);
        jobs_inside < self.most_jobs(priority) && fits
    }

    /// At least one, however small the queue.
    fn most_jobs(&self, priority: Priority) -> usize {
        (self.limits.jobs.saturating_mul(self.shares[priority as usize])).div_ceil(100).max(1)
    }

    const fn most_bytes(&self, priority: Priority) -> u64 {
        self.limits.bytes / 100 * self.shares[priority as usize] as u64
    }
}

fn route() -> TargetSet {
    [INSIDE].into_iter().collect()
}

fn ticket(job: JobId, entrant: &Entrant) -> Ticket {
    let Entrant { priority, caller, model, submitted, expires, .. } = *entrant;
    Ticket { job, order: job.0, submitted, expires, priority, caller, model }
}
