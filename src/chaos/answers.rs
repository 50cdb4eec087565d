//! Whether every job ends exactly once: pure, from the fleet's events.

use crate::types::{EventKind, JobId};
use std::collections::BTreeSet;

/// The jobs that have not ended, and those that did more than once.
#[derive(Debug, Default)]
pub(super) struct Answers {
    open: BTreeSet<JobId>,
    doubled: BTreeSet<JobId>,
}

impl Answers {
    /// Takes an event into account; returns a job that is seen to end, or be answered, once more.
    pub fn hear(&mut self, event: &EventKind) -> Option<JobId> {
        let again = match event {
            EventKind::JobQueued { job, .. } => {
                self.open.insert(*job);
                return None;
            }
            EventKind::AttemptSucceeded { job, .. } => !self.open.contains(job),
            EventKind::JobEnded { job, .. } => !self.open.remove(job),
            _ => return None,
        };
        let (EventKind::AttemptSucceeded { job, .. } | EventKind::JobEnded { job, .. }) = event else { return None };
        (again && self.doubled.insert(*job)).then_some(*job)
    }

    /// Jobs of which no end was told.
    pub const fn open(&self) -> &BTreeSet<JobId> {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(job: u64) -> EventKind {
        EventKind::JobQueued { job: JobId(job), model: "m".to_owned() }
    }

    fn ended(job: u64) -> EventKind {
        EventKind::JobEnded { job: JobId(job), attempts: 1, failure: None }
    }

    #[test]
    fn a_job_that_ends_once_is_neither_lost_nor_doubled() {
        let mut answers = Answers::default();
        assert!([queued(1), queued(2), ended(2), ended(1)].iter().all(|event| answers.hear(event).is_none()));
        assert!(answers.open().is_empty());
    }

    #[test]
    fn a_job_that_never_ends_stays_open() {
        let mut answers = Answers::default();
        [queued(1), queued(2), ended(1)].iter().for_each(|event| assert_eq!(answers.hear(event), None));
        assert_eq!(answers.open(), &[JobId(2)].into());
    }

    #[test]
    fn a_job_that_ends_again_is_told_once() {
        let mut answers = Answers::default();
        let told: Vec<_> = [queued(1), ended(1), ended(1), ended(1)].iter().map(|e| answers.hear(e)).collect();
        assert_eq!(told, [None, None, Some(JobId(1)), None]);
    }
}
