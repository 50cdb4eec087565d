//! Activations that go from tab to tab: who hands them to whom, and what becomes of them.

use super::Coordinator;
use crate::{
    fleet::{
        handover::{Handover, Next},
        tab::{Pending, Tab},
    },
    harness::{Direct, HandOn, TensorBatch},
    schedule::{Way, WorkerId},
    types::{Cause, Failure, HandoverId, JobId, TabId},
};
use tokio::sync::oneshot;

impl Coordinator {
    /// What of a job's attempt goes from tab to tab.
    ///
    /// # Errors
    /// The job cannot be run in this tab as it is: what was handed over for it is elsewhere.
    pub(super) fn goes_directly(&mut self, tab: TabId, job: JobId) -> Result<Direct, Failure> {
        let Some(passing) = self.jobs.get(&job).and_then(|job| job.submission.passing.clone()) else {
            return Ok(Direct::default());
        };
        let worker = self.worker_of(tab);
        let handed = match (&passing.handed, worker) {
            (None, _) => None,
            (Some(handed), Some(worker)) if handed.handover.holders().contains(&worker) => Some(handed.handover.id),
            (Some(_), _) => {
                let message = format!("what the stage before has made for it was not handed to {tab}");
                return Err(Failure::new(Cause::StateLost, message));
            }
        };
        let hand_on = passing.next.zip(worker).and_then(|(next, worker)| self.hand_on(job, worker, next));
        Ok(Direct { handed, hand_on })
    }

    fn hand_on(&mut self, job: JobId, from: WorkerId, next: Next) -> Option<HandOn> {
        let to = self.scheduler.home(next.stage)?;
        let (here, there) = (self.tabs.get(&from.tab)?, self.tabs.get(&to)?);
        let to = there.worker(to).filter(|_| here.browser == there.browser)?;
        match self.channels.way(from, to) {
            Way::Direct => {}
            Way::ThroughFleet => return None,
            Way::Introduce => {
                self.introduce(from, to);
                return None;
            }
        }
        let handover = HandoverId(self.next_handover);
        self.next_handover += 1;
        let job = self.jobs.get_mut(&job)?;
        let requests = job.submission.model.requests.clone();
        job.handover = Some(Handover::new(handover, from, to, requests));
        let to = (from != to).then_some(to.tab);
        Some(HandOn { handover, to, outputs: next.outputs, at_least: next.at_least })
    }

    fn introduce(&mut self, one: WorkerId, other: WorkerId) {
        // Never used twice: a restarted worker has another number.
        let meeting = format!("{}.{}-{}.{}", one.tab.0, one.number, other.tab.0, other.number);
        for (who, whom) in [(one, other), (other, one)] {
            let Some(tab) = self.tabs.get_mut(&who.tab) else { continue };
            let request = tab.expect(Pending::Meet(whom));
            // A closed socket is told by its own signal, and ends the channel.
            let _ = tab.link.as_ref().map(|link| link.meet(request, whom.tab, &meeting));
        }
    }

    pub(super) fn met(&mut self, tab: TabId, whom: WorkerId) {
        if let Some(who) = self.worker_of(tab) {
            self.channels.met(who, whom);
        }
    }

    pub(super) fn cannot_meet(&mut self, tab: TabId, whom: WorkerId, failure: &Failure) {
        tracing::info!(%tab, other = %whom.tab, %failure, "no direct channel: activations go through the fleet");
        if let Some(who) = self.worker_of(tab) {
            self.channels.cannot_meet(who, whom);
        }
    }

    /// Something that was handed over did not come: nothing goes that way any more.
    pub(super) fn distrust_channel(&mut self, job: JobId, failure: &Failure) {
        let passing = self.jobs.get(&job).and_then(|job| job.submission.passing.as_ref());
        let Some(handed) = passing.and_then(|passing| passing.handed.as_ref()) else { return };
        if failure.cause == Cause::StateLost {
            let [from, to] = handed.handover.holders();
            tracing::info!(from = %from.tab, to = %to.tab, %failure, "activations go through the fleet from now on");
            self.channels.cannot_meet(from, to);
        }
    }

    fn worker_of(&self, tab: TabId) -> Option<WorkerId> {
        self.tabs.get(&tab)?.worker(tab)
    }

    /// The first of the workers that lives.
    fn living(&mut self, workers: [WorkerId; 2]) -> Option<&mut Tab> {
        let worker = workers.into_iter().find(|worker| self.worker_of(worker.tab) == Some(*worker))?;
        self.tabs.get_mut(&worker.tab)
    }

    /// Has the activations sent to the fleet. Where nobody holds them any more, the reply is dropped.
    pub(super) fn fetch_handover(
        &mut self,
        id: HandoverId,
        holders: [WorkerId; 2],
        reply: oneshot::Sender<TensorBatch>,
    ) {
        let Some(tab) = self.living(holders) else { return };
        let request = tab.expect(Pending::Fetch);
        tab.fetches.insert(request, reply);
        // A closed socket is told by its own signal.
        let _ = tab.link.as_ref().map(|link| link.fetch(request, id));
    }

    pub(super) fn drop_handover(&mut self, id: HandoverId, holders: [WorkerId; 2]) {
        let Some(tab) = self.living(holders) else { return };
        let request = tab.next_request();
        // As above.
        let _ = tab.link.as_ref().map(|link| link.drop_handover(request, id));
    }
}
