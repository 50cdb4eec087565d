//! Browsers: launched, running, or given up.

use super::{backoff::Doubling, vitals::Vitals};
use crate::types::{BrowserId, Failure};
use backoff::backoff::Backoff;
use std::time::{Duration, Instant};

/// Where a browser slot is in its life.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    Launching(BrowserId),
    Running(BrowserId),
    /// Told to end; its end was not yet reported.
    Ending(BrowserId),
    /// Waits until it may be launched again.
    Paused(Instant),
    GivenUp(Failure),
}

/// One kind of browser in the fleet.
#[derive(Debug)]
pub(super) struct Slot {
    pub stage: Stage,
    failures_in_a_row: u32,
    pauses: Doubling,
    /// When its tabs died, since one that came after them worked.
    tab_deaths: Vec<Instant>,
    pub vitals: Vitals,
    pub missed_heartbeats: u32,
}

impl Slot {
    pub fn new(id: BrowserId, first_pause: Duration, pause_cap: Duration) -> Self {
        Self {
            stage: Stage::Launching(id),
            failures_in_a_row: 0,
            pauses: Doubling::new(first_pause, pause_cap),
            tab_deaths: Vec::new(),
            vitals: Vitals::default(),
            missed_heartbeats: 0,
        }
    }

    /// A new launch starts with a clean slate, but for how often it failed.
    pub fn launched_again(&mut self, id: BrowserId) {
        self.stage = Stage::Launching(id);
        self.tab_deaths.clear();
        self.vitals = Vitals::default();
        self.missed_heartbeats = 0;
    }

    /// One of its tabs died: tells how many did in a row within `within`.
    pub fn tab_died(&mut self, within: Duration, now: Instant) -> u32 {
        self.tab_deaths.retain(|at| now.saturating_duration_since(*at) < within);
        self.tab_deaths.push(now);
        self.tab_deaths.len() as u32
    }

    /// A tab that is ready since then answered: deaths before it are no longer in a row.
    pub fn tab_answered(&mut self, ready_since: Instant) {
        if self.tab_deaths.last().is_some_and(|death| *death <= ready_since) {
            self.tab_deaths.clear();
        }
    }

    /// The running browser.
    pub const fn running(&self) -> Option<BrowserId> {
        match self.stage {
            Stage::Running(id) => Some(id),
            _ => None,
        }
    }

    /// The browser process this slot has now, in whatever state.
    pub const fn id(&self) -> Option<BrowserId> {
        match self.stage {
            Stage::Launching(id) | Stage::Running(id) | Stage::Ending(id) => Some(id),
            _ => None,
        }
    }

    /// Something in it worked: past failures no longer count.
    pub fn worked(&mut self) {
        self.failures_in_a_row = 0;
        self.pauses.reset();
    }

    /// It failed: pauses it, or gives it up after too many failures in a row.
    pub fn failed(&mut self, failure: &Failure, give_up_after: u32, now: Instant) {
        self.failures_in_a_row += 1;
        self.stage = match self.pauses.next_backoff() {
            Some(pause) if self.failures_in_a_row < give_up_after => Stage::Paused(now + pause),
            _ => Stage::GivenUp(failure.clone()),
        };
    }
}
