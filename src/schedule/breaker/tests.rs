use super::*;
use crate::{schedule::policy::SlidingWindowType, types::Browser};
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
