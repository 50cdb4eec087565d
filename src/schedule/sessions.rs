//! Sessions: calls of a model, one after the other, that go where their state is.
//!
//! A session's first call is placed as any job. Where it succeeded its state lies, in the worker of that tab, and there
//! the later calls go, at once and whatever the tab's load: each session has one call under way at a time, so there are
//! never more of them in a line than sessions live there. The state ends with the worker, when it was given up in the
//! midst of a call (nobody knows then which calls it has been through), when nothing was asked of it for its time to
//! live, and when it is closed.

use super::stages::Seat;
use crate::types::{Cause, Failure, JobId, ModelId, SessionId, TabId};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// What a job has to do with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCall {
    /// The session.
    pub session: SessionId,
    /// Whether the call begins it: its state is made wherever the job succeeds.
    pub begins: bool,
    /// How long the state is kept after the call while no other comes.
    pub time_to_live: Duration,
}

/// A session that has, or had, a state in a tab.
#[derive(Debug)]
pub(super) struct Session {
    pub model: ModelId,
    /// Where its state is; else why it is gone.
    pub seat: Result<Seat, Failure>,
    pub time_to_live: Duration,
    pub last_used: Instant,
    /// When it is looked at whether its time to live is over.
    pub looked_at: Instant,
    /// The call under way.
    pub call: Option<JobId>,
    /// What the tab keeps for it.
    pub kept_bytes: u64,
}

/// Every session with a state, and those whose state is gone until somebody hears of it.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Session>,
    by_tab: BTreeMap<TabId, BTreeSet<SessionId>>,
}

impl Sessions {
    /// A call has succeeded that began it. Returns where an older state of it was.
    pub fn begin(&mut self, id: SessionId, session: Session) -> Option<Seat> {
        let older = self.remove(id).and_then(|session| session.seat.ok());
        if let Ok(seat) = &session.seat {
            self.by_tab.entry(seat.tab).or_default().insert(id);
        }
        self.all.insert(id, session);
        older
    }

    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.all.get(&id)
    }

    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.all.get_mut(&id)
    }

    /// Whether a tab holds the state of any.
    pub fn live_in(&self, tab: TabId) -> bool {
        self.by_tab.contains_key(&tab)
    }

    /// Those whose state a tab holds.
    pub fn of_tab(&self, tab: TabId) -> Vec<SessionId> {
        self.by_tab.get(&tab).into_iter().flatten().copied().collect()
    }

    /// How many those are, and what is kept for them.
    pub fn kept_in(&self, tab: TabId) -> (u32, u64) {
        let held = || self.by_tab.get(&tab).into_iter().flatten();
        let bytes = held().filter_map(|id| self.all.get(id)).map(|session| session.kept_bytes).sum();
        (held().count() as u32, bytes)
    }

    /// The state is of no more use. Returns where it was.
    pub fn lose(&mut self, id: SessionId, why: impl Into<String>) -> Option<Seat> {
        let session = self.all.get_mut(&id)?;
        if session.seat.is_err() {
            return None;
        }
        let seat = std::mem::replace(&mut session.seat, Err(gone(why))).ok()?;
        self.unseat(id, seat.tab);
        Some(seat)
    }

    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.all.remove(&id)?;
        if let Ok(seat) = &session.seat {
            self.unseat(id, seat.tab);
        }
        Some(session)
    }

    pub fn of_model(&self, model: ModelId) -> Vec<SessionId> {
        self.all.iter().filter(|(_, session)| session.model == model).map(|(id, _)| *id).collect()
    }

    fn unseat(&mut self, id: SessionId, tab: TabId) {
        if let Some(held) = self.by_tab.get_mut(&tab) {
            held.remove(&id);
            if held.is_empty() {
                self.by_tab.remove(&tab);
            }
        }
    }
}

/// What a call is told whose session's state is gone.
pub(super) fn gone(why: impl Into<String>) -> Failure {
    Failure::new(Cause::StateLost, format!("the session's state is gone: {}", why.into()))
}

/// Whether the worker that a call failed in with this holds the session's state as it was before.
pub(super) const fn spares_state(cause: Cause) -> bool {
    matches!(cause, Cause::BadInput | Cause::ModelDownload | Cause::ModelLoad | Cause::ModelRun)
}
