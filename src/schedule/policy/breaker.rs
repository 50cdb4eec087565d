//! The numbers of circuit breakers.

use super::{
    PolicyError,
    range::{at_least, by, check, in_order, lasts, within},
};
use crate::{schedule::LONGEST_WAIT, types::Browser};
use std::time::Duration;

/// How a breaker decides; names and meaning as in resilience4j.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// It opens when this many of the calls in the window failed, in percent.
    pub failure_rate_threshold: f64,
    /// It opens when this many of the calls in the window were slow, in percent.
    pub slow_call_rate_threshold: f64,
    /// A call that takes longer may be slow (see [`Policy::slow_call_factor`]).
    pub slow_call_duration_threshold: Duration,
    /// What the window's size counts.
    pub sliding_window_type: SlidingWindowType,
    /// The window: calls, or seconds.
    pub sliding_window_size: u32,
    /// Calls in the window before it decides anything.
    pub minimum_number_of_calls: u32,
    /// How long it stays open the first time; each further time doubles it.
    pub wait_duration_in_open_state: Duration,
    /// The longest it stays open.
    pub wait_duration_cap: Duration,
    /// Probes let through when it is half-open; all of them must succeed.
    pub permitted_number_of_calls_in_half_open_state: u32,
}

/// What the size of a breaker's window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlidingWindowType {
    /// Calls.
    CountBased,
    /// Seconds.
    TimeBased,
}

impl BreakerPolicy {
    /// A browser's defaults: so many failures in a window of twice as many calls, how long it then stays open, and what
    /// is slow.
    pub const fn of(browser: Browser) -> Self {
        let (failures, wait_seconds, slow_ms) = match browser {
            Browser::Chrome => (5, 30, 2000),
            Browser::Firefox => (4, 20, 1800),
            Browser::Edge => (5, 25, 2000),
            Browser::Webkit => (3, 45, 2500),
        };
        Self {
            failure_rate_threshold: 50.0,
            slow_call_rate_threshold: 100.0,
            slow_call_duration_threshold: Duration::from_millis(slow_ms),
            sliding_window_type: SlidingWindowType::CountBased,
            sliding_window_size: 2 * failures,
            minimum_number_of_calls: failures,
            wait_duration_in_open_state: Duration::from_secs(wait_seconds),
            wait_duration_cap: Duration::from_secs(300),
            permitted_number_of_calls_in_half_open_state: 3,
        }
    }

    /// The breaker of one model: it opens a call earlier than the target's, so that one bad model is turned away before it
    /// has opened the target's for all; but not after fewer than three, of which one bad one is no half.
    #[must_use]
    pub fn for_one_model(self) -> Self {
        let earlier = self.minimum_number_of_calls.saturating_sub(1).max(3);
        Self { minimum_number_of_calls: earlier.min(self.minimum_number_of_calls), ..self }
    }

    pub(super) fn validate(&self, of: &str) -> Result<(), PolicyError> {
        let field = |name: &str| format!("{of}.{name}");
        within(&field("failure_rate_threshold"), self.failure_rate_threshold, f64::MIN_POSITIVE, 100.0)?;
        within(&field("slow_call_rate_threshold"), self.slow_call_rate_threshold, f64::MIN_POSITIVE, 100.0)?;
        at_least(&field("minimum_number_of_calls"), self.minimum_number_of_calls, 1)?;
        at_least(&field("sliding_window_size"), self.sliding_window_size, 1)?;
        let too_small = self.sliding_window_type == SlidingWindowType::CountBased
            && self.sliding_window_size < self.minimum_number_of_calls;
        let range = || format!("at least minimum_number_of_calls, {}", self.minimum_number_of_calls);
        check(!too_small, field("sliding_window_size"), self.sliding_window_size, range)
            .map_err(by(&field("minimum_number_of_calls")))?;
        let probes = self.permitted_number_of_calls_in_half_open_state;
        at_least(&field("permitted_number_of_calls_in_half_open_state"), probes, 1)?;
        let (wait, cap) = (self.wait_duration_in_open_state, self.wait_duration_cap);
        lasts(&field("wait_duration_in_open_state"), wait, Duration::from_millis(1))?;
        check(cap <= LONGEST_WAIT, field("wait_duration_cap"), format!("{cap:?}"), || {
            format!("at most {LONGEST_WAIT:?}")
        })?;
        in_order(&field("wait_duration_in_open_state"), wait, &field("wait_duration_cap"), cap)
    }
}
