//! The sessions of a fleet by their names, and whose turn it is in each.

use super::{Progress, State};
use crate::types::{ModelId, SessionId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::OwnedMutexGuard;

type Key = (ModelId, Arc<str>);

/// Every session that calls were asked for. A cheap handle.
#[derive(Clone, Default)]
pub(in crate::fleet) struct Sessions(Arc<Mutex<Named>>);

#[derive(Default)]
struct Named {
    /// Locked by whoever has its turn; the lock is given in the order in which it was asked for.
    sessions: HashMap<Key, Arc<tokio::sync::Mutex<Progress>>>,
    /// Those that have a state, by its name.
    with_state: HashMap<SessionId, Key>,
}

impl Sessions {
    /// Waits for a turn in the session of that name, which may be new.
    pub(super) async fn take(&self, model: ModelId, name: &str) -> Turn {
        let key = (model, name.into());
        let session = self.lock().sessions.entry(key.clone()).or_default().clone();
        Turn { progress: session.lock_owned().await, sessions: self.clone(), key }
    }

    /// As [`take`](Self::take), if there is such a session.
    pub(super) async fn find(&self, model: ModelId, name: &str) -> Option<Turn> {
        let key = (model, name.into());
        let session = self.lock().sessions.get(&key).cloned()?;
        Some(Turn { progress: session.lock_owned().await, sessions: self.clone(), key })
    }

    /// The time to live of a state is over, or its model is gone.
    pub fn ended(&self, session: SessionId) {
        let mut named = self.lock();
        if let Some(key) = named.with_state.remove(&session) {
            named.sessions.remove(&key);
        }
    }

    /// A panic elsewhere leaves the maps as they were between two steps.
    fn lock(&self) -> MutexGuard<'_, Named> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn to call a session, given back when it is dropped. A session that then has no state is over.
pub(super) struct Turn {
    progress: OwnedMutexGuard<Progress>,
    sessions: Sessions,
    key: Key,
}

impl Turn {
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    pub fn progress_mut(&mut self) -> &mut Progress {
        &mut self.progress
    }

    /// The session's state is this one now; returns the one before.
    pub fn now_has(&mut self, state: Option<State>) -> Option<State> {
        let before = std::mem::replace(&mut self.progress.state, state);
        let mut named = self.sessions.lock();
        if let Some(before) = before {
            named.with_state.remove(&before.session);
        }
        if let Some(state) = state.filter(|state| state.calls > 0) {
            named.with_state.insert(state.session, self.key.clone());
            // Its time to live may have ended it just before this call.
            let session = OwnedMutexGuard::mutex(&self.progress);
            named.sessions.entry(self.key.clone()).or_insert_with(|| session.clone());
        }
        before
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.progress.state.is_some_and(|state| state.calls > 0) {
            return;
        }
        let mut named = self.sessions.lock();
        let session = OwnedMutexGuard::mutex(&self.progress);
        // Held here and in the book; by more, when others wait for their turn.
        let is_last = Arc::strong_count(session) <= 2;
        if is_last && named.sessions.get(&self.key).is_some_and(|listed| Arc::ptr_eq(listed, session)) {
            named.sessions.remove(&self.key);
        }
    }
}
