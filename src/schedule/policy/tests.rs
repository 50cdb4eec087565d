//! Which numbers are refused, and with what words.

use super::*;

fn refused(change: impl FnOnce(&mut Policy)) -> PolicyError {
    let mut policy = Policy::default();
    change(&mut policy);
    policy.validate().expect_err("it is out of range")
}

fn refused_breaker(change: impl FnOnce(&mut BreakerPolicy)) -> String {
    let mut breaker = BreakerPolicy::of(Browser::Chrome);
    change(&mut breaker);
    refused(|policy| policy.breakers = BTreeMap::from([(Browser::Chrome, breaker)])).to_string()
}

#[test]
fn the_defaults_can_be_used() {
    assert_eq!(Policy::default().validate(), Ok(()));
    for browser in Browser::ALL {
        assert_eq!(BreakerPolicy::of(*browser).validate(""), Ok(()));
        assert_eq!(BreakerPolicy::of(*browser).for_one_model().validate(""), Ok(()));
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_the_field_the_value_and_the_range() {
    let messages = [
        refused_breaker(|breaker| breaker.failure_rate_threshold = 0.0),
        refused_breaker(|breaker| breaker.slow_call_rate_threshold = f64::NAN),
        refused_breaker(|breaker| breaker.sliding_window_size = 4),
        refused_breaker(|breaker| breaker.permitted_number_of_calls_in_half_open_state = 0),
        refused_breaker(|breaker| breaker.wait_duration_cap = Duration::from_secs(1)),
        refused(|policy| policy.tab_memory.hard = 1 << 20).to_string(),
        refused(|policy| policy.missed_heartbeats = 0).to_string(),
        refused(|policy| policy.health_check_interval = Duration::from_secs(1)).to_string(),
        refused(|policy| policy.health_check_interval = Duration::MAX).to_string(),
        refused_breaker(|breaker| breaker.wait_duration_cap = Duration::MAX),
    ];
    assert_eq!(
        messages,
        [
            "breakers.chrome.failure_rate_threshold is 0, but must be above 0 and at most 100",
            "breakers.chrome.slow_call_rate_threshold is NaN, but must be above 0 and at most 100",
            "breakers.chrome.sliding_window_size is 4, but must be at least minimum_number_of_calls, 5",
            "breakers.chrome.permitted_number_of_calls_in_half_open_state is 0, but must be at least 1",
            "breakers.chrome.wait_duration_cap is 1s, but must be at least \
             breakers.chrome.wait_duration_in_open_state, 30s",
            "tab_memory.soft is 2147483648, but must be at most tab_memory.hard, 1048576 bytes",
            "missed_heartbeats is 0, but must be at least 1",
            "health_check_interval is 1s, but must be at least heartbeat_interval, 2s",
            "health_check_interval is 18446744073709551615.999999999s, but must be at most 315360000s",
            "breakers.chrome.wait_duration_cap is 18446744073709551615.999999999s, but must be at most 315360000s",
        ]
    );
}
