//! Calls of sessions: handed to the tab that holds the state, or told that it is gone; and when states end.

use super::{Action, Scheduler, time_rules::Timer};
use crate::{
    schedule::{
        jobs::{Job, JobSpec, Place},
        sessions::{Session, SessionCall, gone, spares_state},
        stages::Seat,
        tabs::Stage,
    },
    types::{Failure, JobId, ModelId, Placement, SessionEnd, SessionId, TabId},
};
use std::time::Instant;

impl Scheduler {
    /// A later call of a session goes to the tab that holds its state.
    pub(super) fn submit_call(&mut self, id: JobId, spec: JobSpec, session: SessionId, order: u64, now: Instant) {
        let refuse = |failure| Action::EndWithFailure { job: id, failure, attempts: Vec::new() };
        let tab = match self.sessions.get(session).map(|session| &session.seat) {
            Some(Ok(seat)) => seat.tab,
            Some(Err(why)) => {
                self.actions.push_back(refuse(why.clone()));
                self.sessions.remove(session);
                return;
            }
            None => {
                let why = "it was never begun, or its time to live was over, or it was closed";
                self.actions.push_back(refuse(gone(why)));
                return;
            }
        };
        if let Some(session) = self.sessions.get_mut(session) {
            (session.call, session.last_used) = (Some(id), now);
        }
        self.expiries.insert((spec.expires, id));
        self.jobs.insert(id, Job::new(id, spec, order, now));
        let load = self.tabs.get(tab).map_or(0, |tab| tab.in_flight.len());
        if self.hand_out(id, &[], tab, Placement::at_home(load), now).is_none() {
            self.end(id, gone("the tab that held it is gone"));
        }
    }

    /// A call was answered: the state is there now, or has gone on.
    pub(super) fn call_succeeded(&mut self, tab: TabId, spec: &JobSpec, now: Instant) {
        let Some(SessionCall { session: id, begins, time_to_live }) = spec.session else { return };
        if !begins {
            if let Some(session) = self.sessions.get_mut(id) {
                (session.last_used, session.time_to_live) = (now, time_to_live);
                if now + time_to_live < session.looked_at {
                    self.look_at_session(id, now + time_to_live);
                }
            }
            return;
        }
        let Some((target, ready_since)) = self.tabs.get(tab).and_then(|tab| Some((tab.target, tab.ready_since?)))
        else {
            return;
        };
        let seat = Ok(Seat { tab, target, ready_since, loaded: true });
        let (last_used, looked_at) = (now, now + time_to_live);
        let begun = Session { model: spec.model, seat, time_to_live, last_used, looked_at, call: None, kept_bytes: 0 };
        if let Some(older) = self.sessions.begin(id, begun) {
            self.state_ended(id, &older, SessionEnd::Lost);
            if older.tab != tab {
                self.actions.push_back(Action::ForgetSession { tab: older.tab, session: id });
            }
        }
        self.actions.push_back(Action::StateBegun { session: id, model: spec.model, tab, target });
        self.look_at_session(id, looked_at);
        if self.tabs.get(tab).is_some_and(|tab| tab.stage == Stage::Retiring) {
            self.bear_sessions(tab, now);
        }
    }

    fn state_ended(&mut self, session: SessionId, seat: &Seat, why: SessionEnd) {
        self.actions.push_back(Action::StateEnded { session, target: seat.target, why });
    }

    /// A call has left so much in the tab for the next.
    pub(super) fn session_kept(&mut self, id: SessionId, bytes: u64) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.kept_bytes = bytes;
        }
    }

    /// A tab is to go: it is kept for its sessions for a while.
    pub(super) fn bear_sessions(&mut self, tab: TabId, now: Instant) {
        self.timers.insert((now + self.policy.retirement.session_grace, Timer::Worn(tab)));
    }

    /// A tab that is to go was kept for its sessions as long as one is: those that still live in it are told.
    pub(super) fn evict_sessions(&mut self, id: TabId) {
        let Some(tab) = self.tabs.get(id).filter(|tab| tab.stage == Stage::Retiring) else { return };
        let worn = tab.worn.as_deref().unwrap_or("it is to go");
        let why = format!(
            "{id} ({}), which held it, is worn out ({worn}), and was kept for it for {:?}",
            tab.target, self.policy.retirement.session_grace
        );
        for session in self.sessions.of_tab(id) {
            self.lose_state(session, why.clone(), SessionEnd::WornOut);
        }
    }

    /// The state is of no more use, and its tab is to drop it; it does so when it is done with what stands in its line.
    fn lose_state(&mut self, id: SessionId, why: String, end: SessionEnd) {
        if let Some(seat) = self.sessions.lose(id, why) {
            self.actions.push_back(Action::ForgetSession { tab: seat.tab, session: id });
            self.state_ended(id, &seat, end);
        }
    }

    /// What the caller of a call that failed is told: when that took the state, that it is gone.
    pub(super) fn call_failed(&mut self, id: JobId, failure: Failure) -> Failure {
        let call = self.jobs.get(&id).and_then(|job| job.spec.session);
        let Some(SessionCall { session, begins: false, .. }) = call else { return failure };
        if spares_state(failure.cause) {
            return failure;
        }
        self.lose_state(session, String::new(), SessionEnd::Lost);
        self.sessions.remove(session);
        gone(failure.message)
    }

    /// A worker is gone: the states that it held are, too, and calls that stood in its line end.
    pub(super) fn lose_sessions(&mut self, tab: TabId) {
        for session in self.sessions.of_tab(tab) {
            let Some(Ok(Seat { target, .. })) = self.sessions.get(session).map(|session| &session.seat) else {
                continue;
            };
            let why = format!("the worker of {tab} ({target}), which held it, has ended");
            if let Some(seat) = self.sessions.lose(session, why) {
                self.state_ended(session, &seat, SessionEnd::Lost);
            }
        }
    }

    /// A displaced call of a session cannot wait for another tab.
    pub(super) fn end_displaced_call(&mut self, id: JobId) -> bool {
        let call = self.jobs.get(&id).and_then(|job| job.spec.session);
        let Some(SessionCall { session, begins: false, .. }) = call else { return false };
        // It may have been begun anew meanwhile, and have a state in another tab: that one stays.
        let why = self.sessions.get(session).and_then(|session| session.seat.clone().err());
        if why.is_some() {
            self.sessions.remove(session);
        }
        self.end(id, why.unwrap_or_else(|| gone("the tab that held it is gone")));
        true
    }

    /// A call is given up, and a tab may be at it: nobody knows then which calls its state will have been through.
    pub(super) fn give_up_call(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (Place::InFlight(at), Some(SessionCall { session, begins, .. })) = (job.place, job.spec.session) else {
            return;
        };
        if begins {
            // It stands behind the call in the tab's line.
            self.actions.push_back(Action::ForgetSession { tab: at, session });
        } else {
            let why = "a call of it was given up while a tab was at it";
            self.lose_state(session, why.to_owned(), SessionEnd::GivenUp);
        }
    }

    /// Nothing may have been asked of a session for its time to live.
    pub(super) fn session_due(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get(id) else { return };
        let under_way = session.call.is_some_and(|call| self.jobs.contains_key(&call));
        let since = if under_way { now } else { session.last_used };
        let due = since + session.time_to_live;
        if due > now {
            self.look_at_session(id, due);
        } else {
            self.end_session(id, SessionEnd::Expired);
        }
    }

    fn look_at_session(&mut self, id: SessionId, at: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        self.timers.remove(&(session.looked_at, Timer::Session(id)));
        session.looked_at = at;
        self.timers.insert((at, Timer::Session(id)));
    }

    pub(super) fn end_session(&mut self, id: SessionId, why: SessionEnd) {
        let Some(session) = self.sessions.remove(id) else { return };
        if let Ok(seat) = session.seat {
            self.state_ended(id, &seat, why);
            self.actions.push_back(Action::ForgetSession { tab: seat.tab, session: id });
        }
        self.actions.push_back(Action::SessionEnded { session: id });
    }

    pub(super) fn end_sessions_of(&mut self, model: ModelId) {
        for session in self.sessions.of_model(model) {
            self.end_session(session, SessionEnd::Closed);
        }
    }
}
