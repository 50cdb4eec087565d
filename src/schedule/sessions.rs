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
    /// The call under way.
    pub call: Option<JobId>,
}

/// Every session with a state, and those whose state is gone until somebody hears of it.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Session>,
    by_tab: BTreeMap<TabId, BTreeSet<SessionId>>,
}

impl Sessions {
    /// A call has succeeded that began it. Returns the tab that holds an older state of it, if another does.
    pub fn begin(&mut self, id: SessionId, session: Session) -> Option<TabId> {
        let older = self.remove(id).and_then(|session| session.seat.ok()).map(|seat| seat.tab);
        let newer = session.seat.as_ref().ok().map(|seat| seat.tab);
        if let Ok(seat) = &session.seat {
            self.by_tab.entry(seat.tab).or_default().insert(id);
        }
        self.all.insert(id, session);
        older.filter(|older| Some(*older) != newer)
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

    /// A worker is gone, and with it the states that it held.
    pub fn lose_all(&mut self, tab: TabId) {
        for id in self.by_tab.remove(&tab).unwrap_or_default() {
            let Some(session) = self.all.get_mut(&id) else { continue };
            if let Ok(seat) = &session.seat {
                let message = format!("the worker of {tab} ({}), which held it, has ended", seat.target);
                session.seat = Err(gone(message));
            }
        }
    }

    /// The state is of no more use. Returns the tab that still holds it.
    pub fn lose(&mut self, id: SessionId, why: impl Into<String>) -> Option<TabId> {
        let session = self.all.get_mut(&id)?;
        let seat = std::mem::replace(&mut session.seat, Err(gone(why))).ok()?;
        self.unseat(id, seat.tab);
        Some(seat.tab)
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
