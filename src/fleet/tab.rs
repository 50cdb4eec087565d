//! The fleet's end of one tab.

use super::coordinator::{Held, RowCheck};
use crate::{
    harness::{Invitation, TabLink, TensorBatch},
    schedule::WorkerId,
    types::{BrowserId, JobId, ModelId, TabId, Target, TargetInfo},
};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::oneshot;

/// What a request that is not yet answered was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Start,
    Run(JobId),
    /// A run of several jobs, the first of which is this one, of so many rows.
    RunTogether(JobId, usize),
    /// A run of a job alone that was also run with others.
    Alone(RowCheck),
    Canary,
    Load(ModelId),
    Ping,
    /// With this worker.
    Meet(WorkerId),
    /// Of activations; who waits for them is in [`Tab::fetches`].
    Fetch,
}

/// One tab's connection and what goes over it.
pub(super) struct Tab {
    pub browser: BrowserId,
    pub target: Target,
    /// Held for as long as the tab may connect.
    pub invitation: Invitation,
    pub link: Option<TabLink>,
    /// The socket that is listened to; 0 before the first one. Signals of older ones are late.
    pub connection: u64,
    /// The socket that was given up, when a worker was ended.
    pub ended: u64,
    pub info: Option<Arc<TargetInfo>>,
    /// The keys of the models whose sessions it holds, and whether the session needed the CPU.
    pub loaded: HashMap<Arc<str>, Option<bool>>,
    /// The heap of its worker as it last told it, in bytes.
    pub heap_bytes: Option<u64>,
    /// What its worker was at when it was lost, and the rows of that: it may have ended elsewhere before it is known
    /// what it was lost by.
    pub lost: Option<(JobId, Option<u32>)>,
    /// The answer of a run of several jobs that waits for the check behind it.
    pub held: Option<Held>,
    /// Who waits for activations, by the request.
    pub fetches: HashMap<u64, oneshot::Sender<TensorBatch>>,
    pending: HashMap<u64, Pending>,
    next_request: u64,
}

impl Tab {
    pub fn new(browser: BrowserId, target: Target, invitation: Invitation) -> Self {
        Self {
            browser,
            target,
            invitation,
            link: None,
            connection: 0,
            ended: 0,
            info: None,
            loaded: HashMap::new(),
            heap_bytes: None,
            lost: None,
            held: None,
            fetches: HashMap::new(),
            pending: HashMap::new(),
            next_request: 1,
        }
    }

    /// A worker connected: nothing that its predecessor was asked will be answered.
    pub fn connected(&mut self, connection: u64, link: TabLink) {
        self.forget_worker();
        self.connection = connection;
        self.link = Some(link);
    }

    /// The worker is gone or given up: what it still says is late.
    pub fn forget_worker(&mut self) {
        self.ended = self.connection;
        self.link = None;
        self.pending.clear();
        self.held = None;
        self.fetches.clear();
        self.loaded.clear();
        self.heap_bytes = None;
    }

    /// The job that its worker is at: it serves them in the order in which they were asked for.
    pub fn job_at_work(&self) -> Option<JobId> {
        let runs = self.pending.iter().filter_map(|(id, pending)| match pending {
            Pending::Run(job) => Some((*id, *job)),
            _ => None,
        });
        runs.min_by_key(|(id, _)| *id).map(|(_, job)| job)
    }

    /// Whether a signal of `connection` is of the worker that counts.
    pub fn listens_to(&self, connection: u64) -> bool {
        connection == self.connection && connection > self.ended
    }

    /// Its worker, by the name `id` of the tab, while it is connected.
    pub fn worker(&self, id: TabId) -> Option<WorkerId> {
        self.link.as_ref().map(|_| WorkerId { tab: id, number: self.connection })
    }

    /// A number for a request that waits for an answer.
    pub fn expect(&mut self, pending: Pending) -> u64 {
        let id = self.next_request();
        self.pending.insert(id, pending);
        id
    }

    /// A number for a request whose answer interests nobody.
    pub fn next_request(&mut self) -> u64 {
        let id = self.next_request;
        self.next_request += 1;
        id
    }

    /// Whether a job of the run that goes by `run` is yet to be run alone, too.
    pub fn is_checking(&self, run: JobId) -> bool {
        self.pending.values().any(|pending| matches!(pending, Pending::Alone(check) if check.run() == run))
    }

    /// What the answered request was for.
    pub fn answered(&mut self, id: u64) -> Option<Pending> {
        self.pending.remove(&id)
    }
}
