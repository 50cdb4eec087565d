//! Jobs that want a worker to themselves: one that nothing ran in before, and that nothing runs in after.

use super::Scheduler;
use crate::{
    schedule::jobs::Place,
    types::{JobId, Placement, TabId, Target},
};
use std::time::Instant;

impl Scheduler {
    /// The tab's worker has run jobs: it is ended for a fresh one, and the job is handed over when that is ready.
    pub(super) fn reserve(&mut self, id: JobId, tab: TabId, placement: Placement, now: Instant) -> Option<Target> {
        let target = self.tabs.get(tab)?.target;
        let job = self.jobs.get_mut(&id)?;
        self.queue.take(job.route, &job.ticket, target, now);
        job.place = Place::Reserved(tab);
        self.tabs.update(tab, |tab| tab.reserved = Some((id, placement)));
        self.restart_worker(tab, "a job wants a worker that nothing ran in before".to_owned());
        Some(target)
    }

    /// A tab is ready: the job that its fresh worker is for goes there.
    pub(super) fn hand_out_reserved(&mut self, tab: TabId, now: Instant) {
        let reserved = self.tabs.update(tab, |tab| tab.reserved.take()).flatten();
        if let Some((job, placement)) = reserved {
            self.hand_out(job, &[], tab, placement, now);
        }
    }

    /// A tab is done with what it was handed: if that wanted a worker to itself, nothing else is to run in it.
    pub(super) fn leave_nothing(&mut self, tab: TabId, now: Instant) {
        if self.tabs.get(tab).is_some_and(|tab| tab.is_alone) {
            self.displace(tab, now);
            self.restart_worker(tab, "a job has run in it that leaves nothing".to_owned());
        }
    }
}
