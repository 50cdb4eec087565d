//! Jobs that wait for a tab, in order of arrival, without a job for a busy target holding up those for a free one.

use super::TargetSet;
use crate::types::JobId;
use std::collections::BTreeMap;

/// Waiting jobs, grouped by where they may run. There are few distinct groups, so looking at the head of each is cheap
/// however many jobs wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    groups: BTreeMap<TargetSet, BTreeMap<u64, JobId>>,
    len: usize,
}

impl Queue {
    pub fn insert(&mut self, open_to: TargetSet, order: u64, job: JobId) {
        if self.groups.entry(open_to).or_default().insert(order, job).is_none() {
            self.len += 1;
        }
    }

    pub fn remove(&mut self, open_to: TargetSet, order: u64) {
        if let Some(group) = self.groups.get_mut(&open_to) {
            if group.remove(&order).is_some() {
                self.len -= 1;
            }
            if group.is_empty() {
                self.groups.remove(&open_to);
            }
        }
    }

    /// The first-come job that may run on one of `free`.
    pub fn first_for(&self, free: TargetSet) -> Option<JobId> {
        self.groups
            .iter()
            .filter(|(open_to, _)| !open_to.intersection(free).is_empty())
            .filter_map(|(_, group)| group.first_key_value())
            .min_by_key(|(order, _)| **order)
            .map(|(_, job)| *job)
    }

    /// Every waiting job that may run on none of `hopeful`.
    pub fn stranded(&self, hopeful: TargetSet) -> Vec<JobId> {
        self.groups
            .iter()
            .filter(|(open_to, _)| open_to.intersection(hopeful).is_empty())
            .flat_map(|(_, group)| group.values().copied())
            .collect()
    }

    pub const fn len(&self) -> usize {
        self.len
    }
}
