//! One circuit breaker, with resilience4j's names and semantics.
//!
//! CLOSED counts every call in a sliding window and opens when too many failed or were slow. OPEN lets nothing through
//! until its wait is over; the wait doubles with each ejection, with jitter, up to a cap, and calm time takes ejections
//! back, as in Envoy's outlier detection. HALF_OPEN lets a few probes through: if all succeed it closes, and the first
//! that fails or is slow opens it again.

use super::policy::{BreakerPolicy, SlidingWindowType};
use crate::types::{BreakerHealth, BreakerState};
use rand::{Rng, RngExt};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

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

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    calls: u32,
    failed: u32,
    slow: u32,
}

impl Totals {
    fn failure_rate(self) -> f64 {
        percent(self.failed, self.calls)
    }

    fn slow_call_rate(self) -> f64 {
        percent(self.slow, self.calls)
    }

    fn describe(self, why: &str) -> String {
        let Self { calls, failed, slow } = self;
        if failed > 0 {
            format!("{failed} of the last {calls} calls failed, the last with: {why}")
        } else {
            format!("{slow} of the last {calls} calls were slow: {why}")
        }
    }

    fn add(&mut self, call: Call) {
        self.calls += 1;
        self.failed += u32::from(call == Call::Failed);
        self.slow += u32::from(call == Call::Slow);
    }

    fn subtract(&mut self, other: Self) {
        self.calls -= other.calls;
        self.failed -= other.failed;
        self.slow -= other.slow;
    }
}

fn percent(part: u32, whole: u32) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * f64::from(part) / f64::from(whole) }
}

/// The last calls, or those of the last seconds.
#[derive(Debug)]
struct Window {
    kind: SlidingWindowType,
    size: u32,
    /// One for each call, or one for each second that had a call.
    buckets: VecDeque<(Instant, Totals)>,
    totals: Totals,
}

impl Window {
    fn new(policy: &BreakerPolicy) -> Self {
        Self {
            kind: policy.sliding_window_type,
            size: policy.sliding_window_size,
            buckets: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    fn record(&mut self, call: Call, now: Instant) {
        let same_second = |(at, _): &(Instant, Totals)| now.saturating_duration_since(*at) < Duration::from_secs(1);
        match self.buckets.back_mut() {
            Some(bucket) if self.kind == SlidingWindowType::TimeBased && same_second(bucket) => bucket.1.add(call),
            _ => {
                let mut totals = Totals::default();
                totals.add(call);
                self.buckets.push_back((now, totals));
            }
        }
        self.totals.add(call);
        while self.buckets.front().is_some_and(|(at, _)| match self.kind {
            SlidingWindowType::CountBased => self.buckets.len() > self.size as usize,
            SlidingWindowType::TimeBased => now.saturating_duration_since(*at) >= Duration::from_secs(self.size.into()),
        }) {
            let Some((_, gone)) = self.buckets.pop_front() else { return };
            self.totals.subtract(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Browser;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const SECOND: Duration = Duration::from_secs(1);

    fn random() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(7)
    }

    fn call(breaker: &mut Breaker, call: Call, now: Instant) -> Option<BreakerState> {
        let permit = breaker.take();
        breaker.record(permit, call, "why", now, &mut random()).map(|change| change.to)
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(BreakerPolicy::of(Browser::Chrome), now);
        (0..4).for_each(|_| assert_eq!(call(&mut breaker, Call::Failed, now), None));
        assert_eq!(call(&mut breaker, Call::Failed, now), Some(BreakerState::Open));
        breaker
    }

    #[test]
    fn chrome_opens_at_five_failures_and_closes_after_three_probes() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert!(!breaker.permits());
        assert_eq!(breaker.tick(now + 26 * SECOND), None);
        let later = now + 34 * SECOND;
        assert_eq!(breaker.tick(later).map(|change| change.to), Some(BreakerState::HalfOpen));
        assert!(breaker.wants_canary());
        assert_eq!(call(&mut breaker, Call::Succeeded, later), None);
        assert!(!breaker.is_unproven());
        assert_eq!(call(&mut breaker, Call::Succeeded, later), None);
        assert_eq!(call(&mut breaker, Call::Succeeded, later), Some(BreakerState::Closed));
        assert_eq!(breaker.health(later).calls, 0, "it starts afresh");
    }

    #[test]
    fn a_failed_probe_opens_it_for_about_twice_as_long_up_to_the_cap() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let until = breaker.opens_until().expect("it is open");
            waits.push((until - now).as_secs_f64());
            now = until;
            breaker.tick(now);
            assert_eq!(call(&mut breaker, Call::Failed, now), Some(BreakerState::Open));
        }
        assert!((27.0..=33.0).contains(&waits[0]), "{waits:?}");
        assert!((54.0..=66.0).contains(&waits[1]), "{waits:?}");
        let cap = BreakerPolicy::of(Browser::Chrome).wait_duration_cap.as_secs_f64();
        assert!(waits.iter().all(|wait| *wait <= cap), "{waits:?}");
    }

    #[test]
    fn half_open_permits_three_at_once_and_a_dropped_permit_is_given_back() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.tick(now + 60 * SECOND);
        let permits: Vec<Permit> = (0..3).map(|_| breaker.take()).collect();
        assert!(!breaker.permits());
        drop(permits);
        assert!(breaker.permits());
    }

    #[test]
    fn what_was_permitted_before_it_opened_does_not_decide_for_the_probes() {
        let now = Instant::now();
        let mut breaker = Breaker::new(BreakerPolicy::of(Browser::Chrome), now);
        let old = breaker.take();
        (0..5).for_each(|_| _ = call(&mut breaker, Call::Failed, now));
        breaker.tick(now + 60 * SECOND);
        assert_eq!(breaker.record(old, Call::Failed, "late", now, &mut random()), None);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }

    #[test]
    fn slow_calls_open_it_too() {
        let now = Instant::now();
        let mut breaker = Breaker::new(BreakerPolicy::of(Browser::Webkit), now);
        let states: Vec<_> = (0..3).map(|_| call(&mut breaker, Call::Slow, now)).collect();
        assert_eq!(states, [None, None, Some(BreakerState::Open)]);
    }

    #[test]
    fn old_calls_leave_a_window_of_time() {
        let policy = BreakerPolicy {
            sliding_window_type: SlidingWindowType::TimeBased,
            sliding_window_size: 10,
            ..BreakerPolicy::of(Browser::Chrome)
        };
        let now = Instant::now();
        let mut breaker = Breaker::new(policy, now);
        (0..4).for_each(|_| assert_eq!(call(&mut breaker, Call::Failed, now), None));
        assert_eq!(call(&mut breaker, Call::Failed, now + 11 * SECOND), None, "the first four are too old");
        assert_eq!(breaker.health(now).calls, 1);
    }

    proptest! {
        #[test]
        fn it_is_open_exactly_when_the_window_of_counts_says_so(calls in prop::collection::vec(any::<bool>(), 1..60)) {
            let policy = BreakerPolicy { slow_call_rate_threshold: 100.0, ..BreakerPolicy::of(Browser::Chrome) };
            let now = Instant::now();
            let mut breaker = Breaker::new(policy, now);
            for (n, failed) in calls.iter().enumerate() {
                call(&mut breaker, if *failed { Call::Failed } else { Call::Succeeded }, now);
                let recent = &calls[(n + 1).saturating_sub(10)..=n];
                let failures = recent.iter().filter(|failed| **failed).count();
                let tripped = recent.len() >= 5 && failures * 2 >= recent.len();
                prop_assert_eq!(breaker.state() == BreakerState::Open, tripped);
                if tripped { break; }
            }
            prop_assert_eq!(breaker.outstanding(), 0);
        }
    }
}
