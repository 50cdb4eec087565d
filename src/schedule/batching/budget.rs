//! How much work a tab takes in one run of several jobs.
//!
//! The budget follows the part of its time for which the tab holds jobs. Above nine tenths jobs wait for it, and larger
//! runs spare more of what each costs by itself; below seven tenths smaller ones are answered sooner. It moves by a tenth
//! each time.

use super::STEP;
use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

/// Between these the budget is left alone.
const UTILIZATION: RangeInclusive<f64> = 0.7..=0.9;
/// Over how long utilization is measured.
const WINDOW: Duration = Duration::from_millis(100);
/// Where the budget begins, and what it never falls below or rises above. A model's own limit is below that.
const START: Duration = Duration::from_millis(5);
const LEAST: Duration = Duration::from_millis(1);
const MOST: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub(in crate::schedule) struct Budget {
    work: Duration,
    window_since: Instant,
    busy: Duration,
    busy_since: Option<Instant>,
}

impl Budget {
    pub const fn new(now: Instant) -> Self {
        Self { work: START, window_since: now, busy: Duration::ZERO, busy_since: None }
    }

    /// How much one run may take, where the model's own limit is `most`.
    pub fn within(&self, most: Duration) -> Duration {
        self.work.min(most)
    }

    /// The tab was handed something.
    pub fn busy(&mut self, now: Instant) {
        self.busy_since.get_or_insert(now);
    }

    /// The tab holds nothing any more.
    pub fn idle(&mut self, now: Instant) {
        if let Some(since) = self.busy_since.take() {
            self.busy += now.saturating_duration_since(since);
        }
    }

    /// Takes a step where the window is over.
    pub fn adapt(&mut self, now: Instant) {
        let window = now.saturating_duration_since(self.window_since);
        if window < WINDOW {
            return;
        }
        if let Some(since) = &mut self.busy_since {
            self.busy += now.saturating_duration_since(*since);
            *since = now;
        }
        let utilization = self.busy.as_secs_f64() / window.as_secs_f64();
        if utilization > *UTILIZATION.end() {
            self.work = self.work.mul_f64(1.0 + STEP).min(MOST);
        } else if utilization < *UTILIZATION.start() {
            self.work = self.work.mul_f64(1.0 - STEP).max(LEAST);
        }
        (self.window_since, self.busy) = (now, Duration::ZERO);
    }
}
