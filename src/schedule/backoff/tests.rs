//! The pauses without jitter one by one, and with it within their bounds.

use super::*;
use proptest::prelude::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn take(pauses: &mut dyn Backoff, count: usize) -> Vec<u128> {
    (0..count).filter_map(|_| pauses.next_backoff()).map(|pause| pause.as_millis()).collect()
}

#[test]
fn each_grows_in_its_way_to_the_cap_and_starts_over_when_reset() {
    let backoffs: [(Box<dyn Backoff>, &[u128]); 4] = [
        (Box::new(Doubling::new(ms(100), ms(350))), &[100, 200, 350, 350]),
        (Box::new(Exponential::new(ms(100), 3.0, ms(1000), Jitter::None, 0).unwrap()), &[100, 300, 900, 1000, 1000]),
        (Box::new(Linear::new(ms(100), ms(50), ms(220), Jitter::None, 0).unwrap()), &[100, 150, 200, 220, 220]),
        (Box::new(Fibonacci::new(ms(10), ms(100), Jitter::None, 0).unwrap()), &[10, 10, 20, 30, 50, 80, 100, 100]),
    ];
    for (mut pauses, expected) in backoffs {
        assert_eq!(take(&mut *pauses, expected.len()), expected);
        pauses.reset();
        assert_eq!(take(&mut *pauses, 3), expected[..3]);
    }
}

#[test]
fn what_is_out_of_range_is_named_with_its_range() {
    let refused = |made: Result<(), BackoffError>| made.unwrap_err().to_string();
    let day = Duration::from_secs(24 * 3600);
    let none = Jitter::None;
    insta::assert_snapshot!(
        [
            refused(Exponential::new(Duration::ZERO, 2.0, ms(10), none, 0).map(drop)),
            refused(Exponential::new(ms(10), 2.0, ms(9), none, 0).map(drop)),
            refused(Exponential::new(ms(10), 0.9, ms(90), none, 0).map(drop)),
            refused(Exponential::new(ms(10), f64::NAN, ms(90), none, 0).map(drop)),
            refused(Exponential::new(ms(10), f64::INFINITY, ms(90), none, 0).map(drop)),
            refused(Linear::new(ms(10), day + ms(1), ms(90), none, 0).map(drop)),
            refused(Fibonacci::new(day + ms(1), day + ms(1), none, 0).map(drop)),
            refused(Decorrelated::new(ms(10), day + ms(1), 0).map(drop)),
        ]
        .join("\n"),
        @"
        the backoff's `first` cannot be 0ns: it takes a duration from 1ms to 86400s
        the backoff's `cap` cannot be 9ms: it takes a duration from 10ms to 86400s
        the backoff's `factor` cannot be 0.9: it takes a number from 1 to 10
        the backoff's `factor` cannot be NaN: it takes a number from 1 to 10
        the backoff's `factor` cannot be inf: it takes a number from 1 to 10
        the backoff's `step` cannot be 86400.001s: it takes a duration from 0ns to 86400s
        the backoff's `first` cannot be 86400.001s: it takes a duration from 1ms to 86400s
        the backoff's `cap` cannot be 86400.001s: it takes a duration from 10ms to 86400s
        "
    );
}

/// The three that grow alike whatever their jitter, the same but for it.
fn growing(first: u64, cap: u64, jitter: Jitter, seed: u64) -> [Box<dyn Backoff>; 3] {
    let (first, cap) = (ms(first), ms(first + cap));
    [
        Box::new(Exponential::new(first, 1.7, cap, jitter, seed).unwrap()),
        Box::new(Linear::new(first, first * 2, cap, jitter, seed).unwrap()),
        Box::new(Fibonacci::new(first, cap, jitter, seed).unwrap()),
    ]
}

proptest! {
    #[test]
    fn jitter_stays_within_what_the_pause_has_grown_to(
        first in 1_u64..10_000, cap in 0_u64..80_000_000, seed: u64, resets in prop::collection::vec(any::<bool>(), 1..80),
    ) {
        let plain = growing(first, cap, Jitter::None, seed);
        let equal = growing(first, cap, Jitter::Equal, seed);
        let full = growing(first, cap, Jitter::Full, seed);
        for ((mut plain, mut equal), mut full) in plain.into_iter().zip(equal).zip(full) {
            let mut last = Duration::ZERO;
            for reset in &resets {
                if *reset {
                    [&mut plain, &mut equal, &mut full].into_iter().for_each(|backoff| backoff.reset());
                    last = Duration::ZERO;
                }
                let grown = plain.next_backoff().unwrap();
                prop_assert!(grown <= ms(first + cap) && grown >= last);
                prop_assert!(!*reset || grown == ms(first));
                prop_assert!((grown / 2..=grown).contains(&equal.next_backoff().unwrap()));
                prop_assert!(full.next_backoff().unwrap() <= grown);
                last = grown;
            }
        }
    }

    #[test]
    fn decorrelated_pauses_stay_between_the_first_and_three_times_the_last(
        first in 1_u64..10_000, cap in 0_u64..80_000_000, seed: u64, resets in prop::collection::vec(any::<bool>(), 1..80),
    ) {
        let mut pauses = Decorrelated::new(ms(first), ms(first + cap), seed).unwrap();
        let mut last = ms(first);
        for reset in resets {
            if reset {
                pauses.reset();
                last = ms(first);
            }
            let pause = pauses.next_backoff().unwrap();
            prop_assert!(pause >= ms(first) && pause <= (last * 3).min(ms(first + cap)));
            last = pause;
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_another_one_others(seed: u64) {
        let taken = |seed| -> Vec<Vec<u128>> {
            let mut decorrelated = Decorrelated::new(ms(1000), ms(80_000_000), seed).unwrap();
            let growing = growing(1000, 80_000_000, Jitter::Full, seed).into_iter();
            growing.map(|mut pauses| take(&mut *pauses, 20)).chain([take(&mut decorrelated, 20)]).collect()
        };
        prop_assert_eq!(taken(seed), taken(seed));
        let others = taken(seed.wrapping_add(1));
        prop_assert!(taken(seed).iter().zip(&others).all(|(ours, others)| ours != others));
    }
}
