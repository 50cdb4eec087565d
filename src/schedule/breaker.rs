//! One circuit breaker, with resilience4j's names and semantics.
//!
//! CLOSED counts every call in a sliding window and opens when too many failed or were slow. OPEN lets nothing through
//! until its wait is over; the wait doubles with each ejection, with jitter, up to a cap, and calm time takes ejections
//! back, as in Envoy's outlier detection. HALF_OPEN lets a few probes through: if all succeed it closes, and the first
//! that fails or is slow opens it again.

mod window;

#[cfg(test)]
mod tests;

use super::policy::BreakerPolicy;
use crate::types::{BreakerHealth, BreakerState};
use rand::{Rng, RngExt};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use window::{Totals, Window};

/// The part by which a wait is made longer or shorter, so that targets that failed together are not probed together.
const JITTER: f64 = 0.1;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Succeeded,
    /// It succeeded, but took too long.
    Slow,
    Failed,
}

/// The right to make one call. Dropped means given back.
#[derive(Debug)]
#[must_use]
pub(super) struct Permit {
    outstanding: Arc<AtomicU32>,
    generation: u32,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A change of state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub from: BreakerState,
    pub to: BreakerState,
    pub reason: String,
    /// Until probes are let through, when it opened.
    pub wait: Option<Duration>,
    /// Since it had opened, when it closed.
    pub took: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Breaker {
    policy: BreakerPolicy,
    state: State,
    /// Counts changes of state: what was permitted in an earlier one no longer decides.
    generation: u32,
    outstanding: Arc<AtomicU32>,
    ejections: u32,
    opened: u32,
    reason: Option<String>,
    /// When it opened last, since it was closed.
    opened_at: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Closed { since: Instant, window: Window },
    Open { until: Instant },
    HalfOpen { succeeded: u32 },
}

impl Breaker {
    pub fn new(policy: BreakerPolicy, now: Instant) -> Self {
        let window = Window::new(&policy);
        Self {
            policy,
            state: State::Closed { since: now, window },
            generation: 0,
            outstanding: Arc::default(),
            ejections: 0,
            opened: 0,
            reason: None,
            opened_at: None,
        }
    }

    pub const fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether nothing in it would be missed: it never opened, and its window holds no failure and no slow call.
    pub const fn is_blank(&self) -> bool {
        self.opened == 0
            && matches!(&self.state, State::Closed { window, .. } if window.totals.failed + window.totals.slow == 0)
    }

    /// When it becomes half-open, while it is open.
    pub const fn opens_until(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            _ => None,
        }
    }

    /// Permits taken and not yet given back.
    pub fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Whether it is half-open and no probe has succeeded yet.
    pub const fn is_unproven(&self) -> bool {
        matches!(self.state, State::HalfOpen { succeeded: 0 })
    }

    /// Whether it is half-open and no probe is under way: the moment for a canary.
    pub fn wants_canary(&self) -> bool {
        matches!(self.state, State::HalfOpen { .. }) && self.outstanding() == 0
    }

    /// Whether a call may be made now.
    pub fn permits(&self) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { .. } => false,
            State::HalfOpen { succeeded } => {
                succeeded + self.outstanding() < self.policy.permitted_number_of_calls_in_half_open_state
            }
        }
    }

    /// Takes a permit, whether or not the breaker would give one: whoever passes an open breaker because there is no
    /// other target is counted all the same.
    pub fn take(&self) -> Permit {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        Permit { outstanding: self.outstanding.clone(), generation: self.generation }
    }

    /// Takes in what became of a permitted call.
    pub fn record(
        &mut self,
        permit: Permit,
        call: Call,
        why: &str,
        now: Instant,
        random: &mut impl Rng,
    ) -> Option<Change> {
        let current = permit.generation == self.generation;
        drop(permit);
        let opens = match &mut self.state {
            State::Closed { window, .. } => {
                window.record(call, now);
                let totals = window.totals;
                let tripped = totals.calls >= self.policy.minimum_number_of_calls
                    && (totals.failure_rate() >= self.policy.failure_rate_threshold
                        || totals.slow_call_rate() >= self.policy.slow_call_rate_threshold);
                tripped.then(|| totals.describe(why))
            }
            State::Open { .. } => None,
            State::HalfOpen { .. } if !current => None,
            State::HalfOpen { succeeded } if call == Call::Succeeded => {
                *succeeded += 1;
                if *succeeded < self.policy.permitted_number_of_calls_in_half_open_state {
                    return None;
                }
                let reason = format!("{succeeded} probes in a row succeeded");
                let state = State::Closed { since: now, window: Window::new(&self.policy) };
                let opened_at = self.opened_at.take();
                let change = self.change(state, reason, None);
                return Some(Change { took: opened_at.map(|at| now.saturating_duration_since(at)), ..change });
            }
            State::HalfOpen { .. } => Some(format!("a probe {}: {why}", call.verb())),
        };
        opens.map(|reason| self.open(reason, now, random))
    }

    /// Opens it whatever its window says: for what must not happen even once.
    pub fn trip(&mut self, why: &str, now: Instant, random: &mut impl Rng) -> Option<Change> {
        (self.state() != BreakerState::Open).then(|| self.open(why.to_owned(), now, random))
    }

    /// Lets probes through once its wait is over.
    pub fn tick(&mut self, now: Instant) -> Option<Change> {
        let due = matches!(self.state, State::Open { until } if until <= now);
        due.then(|| self.change(State::HalfOpen { succeeded: 0 }, "its wait is over".to_owned(), None))
    }

    pub fn health(&self, now: Instant) -> BreakerHealth {
        let totals = match &self.state {
            State::Closed { window, .. } => window.totals,
            _ => Totals::default(),
        };
        let enough = totals.calls >= self.policy.minimum_number_of_calls;
        BreakerHealth {
            state: self.state(),
            calls: totals.calls,
            failure_rate: enough.then(|| totals.failure_rate()),
            slow_call_rate: enough.then(|| totals.slow_call_rate()),
            opened: self.opened,
            retry_in_ms: self.opens_until().map(|until| until.saturating_duration_since(now).as_secs_f64() * 1e3),
            reason: self.reason.clone(),
        }
    }

    fn open(&mut self, reason: String, now: Instant, random: &mut impl Rng) -> Change {
        let base = self.policy.wait_duration_in_open_state;
        if let State::Closed { since, .. } = self.state {
            let calm = now.saturating_duration_since(since).as_secs_f64() / base.as_secs_f64();
            self.ejections = self.ejections.saturating_sub(calm as u32);
        }
        let doubled = base.saturating_mul(1 << self.ejections.min(16));
        let wait = doubled
            .min(self.policy.wait_duration_cap)
            .mul_f64(random.random_range(1.0 - JITTER..=1.0 + JITTER))
            .min(self.policy.wait_duration_cap);
        self.ejections += 1;
        self.opened += 1;
        self.opened_at.get_or_insert(now);
        self.reason = Some(reason.clone());
        self.change(State::Open { until: now + wait }, reason, Some(wait))
    }

    fn change(&mut self, state: State, reason: String, wait: Option<Duration>) -> Change {
        let from = self.state();
        self.state = state;
        self.generation += 1;
        // What was permitted before is given back to the count it was taken from.
        self.outstanding = Arc::default();
        Change { from, to: self.state(), reason, wait, took: None }
    }
}

impl Call {
    const fn verb(self) -> &'static str {
        match self {
            Call::Succeeded => "succeeded",
            Call::Slow => "was slow",
            Call::Failed => "failed",
        }
    }
}
