//! Jobs of several callers, merged in the order in which the queue would hand them out.

use super::{Rank, group::round};
use crate::types::{JobId, Priority};
use std::{cmp::Reverse, collections::BTreeSet, time::Instant};

/// Which turn a caller has come to, and what another costs it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::schedule) struct Turn {
    pub at: u64,
    pub cost: u64,
}

/// One after the other, as if each had cost its caller a turn.
#[derive(Debug)]
pub(in crate::schedule) struct ByTurns<I> {
    firsts: BTreeSet<(Rank, JobId, usize)>,
    callers: Vec<(Reverse<Priority>, Turn, I)>,
}

impl<I: Iterator<Item = (Instant, u64, JobId)>> ByTurns<I> {
    pub const fn new() -> Self {
        Self { firsts: BTreeSet::new(), callers: Vec::new() }
    }

    /// Adds a caller's jobs of one priority, by deadline and then by arrival.
    pub fn add(&mut self, priority: Reverse<Priority>, turn: Turn, jobs: I) {
        self.callers.push((priority, turn, jobs));
        self.advance(self.callers.len() - 1);
    }

    fn advance(&mut self, caller: usize) {
        let Some((priority, turn, jobs)) = self.callers.get_mut(caller) else { return };
        let next = jobs.next().map(|(expires, order, job)| ((*priority, round(turn.at), expires, order), job, caller));
        turn.at += turn.cost;
        self.firsts.extend(next);
    }
}

impl<I: Iterator<Item = (Instant, u64, JobId)>> Iterator for ByTurns<I> {
    type Item = JobId;

    fn next(&mut self) -> Option<JobId> {
        let (_, job, caller) = self.firsts.pop_first()?;
        self.advance(caller);
        Some(job)
    }
}
