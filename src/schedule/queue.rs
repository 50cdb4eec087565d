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
    pub fn insert(&mut self, route: TargetSet, order: u64, job: JobId) {
        if self.groups.entry(route).or_default().insert(order, job).is_none() {
            self.len += 1;
        }
    }

    pub fn remove(&mut self, route: TargetSet, order: u64) {
        if let Some(group) = self.groups.get_mut(&route) {
            if group.remove(&order).is_some() {
                self.len -= 1;
            }
            if group.is_empty() {
                self.groups.remove(&route);
            }
        }
    }

    /// The first-come job of the groups that `suits` is true of.
    pub fn first(&self, suits: impl Fn(TargetSet) -> bool) -> Option<JobId> {
        self.groups
            .iter()
            .filter(|(route, _)| suits(**route))
            .filter_map(|(_, group)| group.first_key_value())
            .min_by_key(|(order, _)| **order)
            .map(|(_, job)| *job)
    }

    /// Every job of the groups that `suits` is true of.
    pub fn all(&self, suits: impl Fn(TargetSet) -> bool) -> Vec<JobId> {
        let groups = self.groups.iter().filter(|(route, _)| suits(**route));
        groups.flat_map(|(_, group)| group.values().copied()).collect()
    }

    pub const fn len(&self) -> usize {
        self.len
    }
}
