//! What is known of everybody's health, put together for people.

use super::Scheduler;
use crate::schedule::{jobs::Place, tabs::InFlight};
use crate::types::{BreakerState, BrowserHealth, FleetHealth, ModelHealth, ModelId, TabHealth, TargetHealth};
use std::time::{Instant, SystemTime};

impl Scheduler {
    /// The health of all at `now`, which the wall clock calls `at`; `name` tells a model's. The processes of browsers are
    /// the caller's to fill in.
    pub fn health(&self, now: Instant, at: SystemTime, name: impl Fn(ModelId) -> String) -> FleetHealth {
        let (in_flight, waiting): (Vec<_>, Vec<_>) =
            self.jobs.values().partition(|job| matches!(job.place, Place::InFlight(_)));
        FleetHealth {
            at,
            waiting: waiting.len() as u64,
            in_flight: in_flight.len() as u64,
            targets: self.target_health(now),
            models: self
                .breakers
                .models(now)
                .map(|(model, target, breaker)| ModelHealth { target, model: name(model), breaker })
                .collect(),
            browsers: self.browser_health(now),
            tabs: self.tab_health(now),
            recoveries: self.recoveries.records(),
        }
    }

    fn target_health(&self, now: Instant) -> Vec<TargetHealth> {
        let of = |target| {
            let breaker = self.breakers.target(target).map(|breaker| breaker.health(now)).unwrap_or_default();
            Some(TargetHealth {
                target,
                given_up: self.given_up.get(&target).cloned(),
                health: self.vitals[target].score(breaker.state, now),
                breaker,
                ready_tabs: self.tabs.ready(target).count() as u32,
            })
        };
        self.wanted.iter().filter_map(of).collect()
    }

    fn browser_health(&self, now: Instant) -> Vec<BrowserHealth> {
        let of = |(browser, slot): (_, &crate::schedule::browsers::Slot)| {
            Some(BrowserHealth {
                id: slot.running()?,
                browser,
                pid: None,
                health: slot.vitals.score(BreakerState::Closed, now),
                memory_bytes: slot.vitals.memory(),
                heartbeat_ms: slot.vitals.heartbeat().map(|took| took.as_secs_f64() * 1e3),
            })
        };
        self.slots.iter().map(|(browser, slot)| (*browser, slot)).filter_map(of).collect()
    }

    fn tab_health(&self, now: Instant) -> Vec<TabHealth> {
        let of = |(id, tab): (_, &crate::schedule::tabs::Tab)| {
            let (sessions, kept_bytes) = self.sessions.kept_in(id);
            let held = tab.in_flight.iter().flat_map(InFlight::jobs).filter(|job| self.waits_for(*job, id));
            TabHealth {
                tab: id,
                browser: tab.browser,
                target: tab.target,
                stage: tab.stage.into(),
                in_flight: held.count() as u32,
                health: tab.vitals.score(self.breaker_state(tab.target), now),
                heap_bytes: tab.vitals.memory(),
                heartbeat_ms: tab.vitals.heartbeat().map(|took| took.as_secs_f64() * 1e3),
                sessions,
                kept_bytes,
            }
        };
        self.tabs.iter().map(of).collect()
    }
}
