//! The calls that a breaker judges by.

use super::Call;
use crate::schedule::policy::{BreakerPolicy, SlidingWindowType};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What became of the calls in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub calls: u32,
    pub failed: u32,
    pub slow: u32,
}

impl Totals {
    pub fn failure_rate(self) -> f64 {
        percent(self.failed, self.calls)
    }

    pub fn slow_call_rate(self) -> f64 {
        percent(self.slow, self.calls)
    }

    pub fn describe(self, why: &str) -> String {
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
pub(super) struct Window {
    kind: SlidingWindowType,
    size: u32,
    /// One for each call, or one for each second that had a call.
    buckets: VecDeque<(Instant, Totals)>,
    pub totals: Totals,
}

impl Window {
    pub fn new(policy: &BreakerPolicy) -> Self {
        Self {
            kind: policy.sliding_window_type,
            size: policy.sliding_window_size,
            buckets: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    pub fn record(&mut self, call: Call, now: Instant) {
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
