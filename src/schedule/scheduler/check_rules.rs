//! Heartbeats, canaries and memory: looking for what has not failed yet.

use super::{Action, Scheduler, time_rules::Timer};
use crate::{
    schedule::{
        breaker::Call,
        breakers::blames_target,
        browsers::Slot,
        tabs::{CANARY, Stage, Tab},
    },
    types::{BreakerState, Browser, BrowserId, Cause, Failure, Strategy, TabId, Target},
};
use std::time::{Duration, Instant};

impl Scheduler {
    /// A tab is ready for the first time: it is looked after from now on.
    pub(super) fn look_after_tab(&mut self, tab: TabId, now: Instant) {
        self.timers.insert((now + self.policy.heartbeat_interval, Timer::TabHeartbeat(tab)));
        self.timers.insert((now + self.policy.health_check_interval, Timer::TabCheck(tab)));
    }

    pub(super) fn look_after_browser(&mut self, id: BrowserId, now: Instant) {
        self.timers.insert((now + self.policy.heartbeat_interval, Timer::BrowserHeartbeat(id)));
        self.timers.insert((now + self.policy.health_check_interval, Timer::BrowserCheck(id)));
    }

    /// A worker that computes answers nothing, and its job has a deadline of its own: only what an idle tab does not
    /// answer is held against it. A busy one is asked all the same, for the size of its memory.
    pub(super) fn tab_heartbeat_due(&mut self, id: TabId, now: Instant) {
        let (timeout, most) = (self.policy.heartbeat_timeout, self.policy.missed_heartbeats);
        let Some(tab) = self.tabs.get_mut(id) else { return };
        self.timers.insert((now + self.policy.heartbeat_interval, Timer::TabHeartbeat(id)));
        if tab.stage != Stage::Ready {
            (tab.pinged, tab.missed_heartbeats) = (None, 0);
            return;
        }
        let idle = tab.in_flight.is_empty();
        match tab.pinged {
            Some(at) if idle && now.saturating_duration_since(at.max(tab.head_since)) >= timeout => {
                tab.vitals.beat(timeout);
                tab.missed_heartbeats += 1;
                tab.pinged = Some(now);
                if tab.missed_heartbeats >= most {
                    let message = format!("{most} heartbeats in a row had no answer within {timeout:?}");
                    self.tab_lost(id, Failure::new(Cause::HeartbeatMissed, message), now);
                    return;
                }
            }
            Some(_) => {}
            None => tab.pinged = Some(now),
        }
        if self.tabs.get(id).is_some_and(|tab| tab.pinged == Some(now)) {
            self.actions.push_back(Action::PingTab { tab: id });
        }
        self.remember_score(id, now);
        self.retire_if_worn(id, now);
    }

    fn remember_score(&mut self, id: TabId, now: Instant) {
        let Some(target) = self.tabs.get(id).map(|tab| tab.target) else { return };
        let breaker = self.breaker_state(target);
        if let Some(tab) = self.tabs.get_mut(id) {
            tab.vitals.remember(breaker, now);
        }
        self.vitals[target].remember(breaker, now);
    }

    pub(super) fn breaker_state(&self, target: Target) -> BreakerState {
        self.breakers.target(target).map(|breaker| breaker.state()).unwrap_or_default()
    }

    pub(super) fn tab_alive(&mut self, id: TabId, heap_bytes: Option<u64>, now: Instant) {
        let limits = self.policy.tab_memory;
        let keeps_state = self.sessions.live_in(id);
        let Some(tab) = self.tabs.get_mut(id) else { return };
        let idle = tab.in_flight.is_empty();
        if let Some(at) = tab.pinged.take() {
            tab.missed_heartbeats = 0;
            // While it worked, it could not answer.
            if idle && tab.head_since <= at {
                tab.vitals.beat(now.saturating_duration_since(at));
            }
        }
        let Some(bytes) = heap_bytes else { return };
        tab.vitals.measured_memory(bytes, limits.hard);
        if let Some((kind, limit)) = limits.exceeded(bytes, idle && !keeps_state) {
            let message = format!("its WASM memory is {bytes} bytes, and the {kind} limit is {limit}");
            self.displace(id, now);
            self.repair_worker(id, Failure::new(Cause::MemoryLimit, message), now);
        } else if bytes > limits.soft && !keeps_state && tab.worn.is_none() {
            // It may never be idle. A fresh one takes its place, and it finishes what it holds.
            let why = format!("its WASM memory is {bytes} bytes, and the soft limit is {}", limits.soft);
            self.tabs.wear_out(id, why);
        }
    }

    pub(super) fn tab_check_due(&mut self, id: TabId, now: Instant) {
        let Some(tab) = self.tabs.get(id) else { return };
        let checks = self.policy.canary && tab.stage == Stage::Ready && !tab.runs_canary();
        self.timers.insert((now + self.policy.health_check_interval, Timer::TabCheck(id)));
        if checks {
            self.run_canary(id, now);
        }
    }

    pub(super) fn canary_answered(&mut self, id: TabId, failure: Option<Failure>, now: Instant) {
        let Some(answered) = self.take_answered(id, CANARY, now) else { return };
        self.canary_ended(id, answered.target, answered.permits, failure.clone(), now);
        let Some(failure) = failure else { return };
        if failure.cause == Cause::WrongOutput {
            // Whatever else it has been handed would be answered as wrongly.
            self.displace(id, now);
            self.repair_tab(id, answered.target, &failure, Strategy::ReplaceTab, now);
            self.remove_tab(id, &failure, now);
        } else if crate::schedule::jobs::spends_worker(failure.cause) {
            self.displace(id, now);
            self.repair_worker(id, failure, now);
        }
    }

    /// What became of a canary, whether it was answered or ended with its worker.
    pub(super) fn canary_ended(
        &mut self,
        id: TabId,
        target: Target,
        permits: Option<crate::schedule::breakers::Permits>,
        failure: Option<Failure>,
        now: Instant,
    ) {
        if let Some(failure) = &failure {
            self.note_failure(id);
            let wrong = failure.cause == Cause::WrongOutput;
            let changed = if wrong {
                // A target that computes wrongly must not answer one more job.
                self.breakers.trip(target, &failure.message, now)
            } else if blames_target(failure.cause) {
                self.breakers.outcome(permits, target, Call::Failed, &failure.message, now)
            } else {
                None
            };
            self.breakers_changed(changed);
        } else {
            let changed = self.breakers.outcome(permits, target, Call::Succeeded, "", now);
            self.breakers_changed(changed);
        }
        self.actions.push_back(Action::HealthChecked { tab: id, target, failure });
    }

    pub(super) fn browser_heartbeat_due(&mut self, id: BrowserId) {
        if self.slots.values().any(|slot| slot.running() == Some(id)) {
            self.actions.push_back(Action::PingBrowser { id });
        }
    }

    pub(super) fn browser_heartbeat(&mut self, id: BrowserId, answer: Result<Option<Duration>, Failure>, now: Instant) {
        let timeout = self.policy.heartbeat_timeout;
        let Some((browser, slot)) = self.running_slot(id) else { return };
        let failure = match answer {
            Ok(took) => {
                slot.missed_heartbeats = 0;
                took.into_iter().for_each(|took| slot.vitals.beat(took));
                slot.vitals.remember(BreakerState::Closed, now);
                self.timers.insert((now + self.policy.heartbeat_interval, Timer::BrowserHeartbeat(id)));
                return;
            }
            Err(failure) => failure,
        };
        slot.missed_heartbeats += 1;
        slot.vitals.beat(timeout);
        let missed = slot.missed_heartbeats;
        if missed < self.policy.missed_heartbeats {
            self.timers.insert((now, Timer::BrowserHeartbeat(id)));
            return;
        }
        let message = format!("{missed} heartbeats in a row had no answer: {}", failure.message);
        self.restart_browser(id, browser, &Failure::new(Cause::HeartbeatMissed, message), now);
    }

    pub(super) fn browser_check_due(&mut self, id: BrowserId, now: Instant) {
        if self.running_slot(id).is_some() {
            self.timers.insert((now + self.policy.health_check_interval, Timer::BrowserCheck(id)));
            self.actions.push_back(Action::MeasureMemory { id });
        }
    }

    pub(super) fn browser_memory(&mut self, id: BrowserId, bytes: u64, now: Instant) {
        let limits = self.policy.browser_memory;
        let is_idle = |tab: TabId, of: &Tab| of.in_flight.is_empty() && !self.sessions.live_in(tab);
        let idle = self.tabs.iter().all(|(tab, of)| of.browser != id || is_idle(tab, of));
        let Some((browser, slot)) = self.running_slot(id) else { return };
        slot.vitals.measured_memory(bytes, limits.hard);
        if let Some((kind, limit)) = limits.exceeded(bytes, idle) {
            let message = format!("its processes hold {bytes} bytes of memory, and the {kind} limit is {limit}");
            self.restart_browser(id, browser, &Failure::new(Cause::MemoryLimit, message), now);
        }
    }

    pub(super) fn running_slot(&mut self, id: BrowserId) -> Option<(Browser, &mut Slot)> {
        let slot = self.slots.iter_mut().find(|(_, slot)| slot.running() == Some(id));
        slot.map(|(browser, slot)| (*browser, slot))
    }
}
