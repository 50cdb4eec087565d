use super::{budget::Budget, *};
use crate::types::{Backend, Browser, Caller};
use proptest::prelude::*;

const MODEL: ModelId = ModelId(1);
const CHROME: Target = Target::new(Browser::Chrome, Backend::Wasm);

fn spec(rows: usize, estimate_ms: u64) -> BatchSpec {
    let estimate = Duration::from_millis(estimate_ms);
    BatchSpec { alike: [1].into(), rows, estimate, batching: Batching::default() }
}

fn ticket(job: u64, expires: Instant, now: Instant) -> Ticket {
    let (job, caller, priority) = (JobId(job), Caller::default(), Priority::Normal);
    Ticket { job, order: job.0, submitted: now, expires, priority, caller, model: MODEL }
}

/// A model of which so many jobs went together before.
fn used_to(jobs: usize) -> (Batches, Kind, Batching, Instant) {
    let (mut batches, batching, now) = (Batches::default(), Batching::default(), Instant::now());
    let kind = Kind::of(MODEL, &spec(1, 1), None);
    let far = now + Duration::from_secs(60);
    batches.arrive(&kind, &ticket(0, far, now), &batching, now);
    batches.remove(&kind, &ticket(0, far, now));
    batches.took(MODEL, jobs);
    (batches, kind, batching, now)
}

fn there(batches: &Batches, kind: &Kind) -> Vec<JobId> {
    let now = Instant::now();
    batches.there(kind, &ticket(0, now, now), 64, |_| Turn::default()).collect()
}

#[test]
fn a_job_waits_for_as_many_as_came_lately_and_no_longer_than_it_may() {
    let (mut batches, kind, batching, now) = used_to(3);
    let far = now + Duration::from_secs(60);
    let Arrival::Gathers(until) = batches.arrive(&kind, &ticket(1, far, now), &batching, now) else { panic!() };
    assert!(until > now && until <= now + batching.wait);
    assert_eq!(batches.arrive(&kind, &ticket(2, far, now), &batching, now), Arrival::Gathers(until));
    let third = batches.arrive(&kind, &ticket(3, far, now), &batching, now);
    assert_eq!(third, Arrival::Ready(vec![JobId(1), JobId(2)]), "all are there");
    assert_eq!(there(&batches, &kind), [1, 2, 3].map(JobId));
    let fourth = batches.arrive(&kind, &ticket(4, far, now), &batching, now);
    assert_eq!(fourth, Arrival::Ready(Vec::new()), "those before it wait for a tab: none is free");
}

#[test]
fn who_comes_alone_waits_less_each_time_and_then_not_at_all() {
    let (mut batches, kind, batching, now) = used_to(64);
    let far = now + Duration::from_secs(60);
    let mut waits = Vec::new();
    for job in 1..60 {
        let ticket = ticket(job, far, now);
        if let Arrival::Gathers(until) = batches.arrive(&kind, &ticket, &batching, now) {
            waits.push(until - now);
            assert_eq!(batches.waited(&kind, &batching), [JobId(job)]);
        }
        batches.remove(&kind, &ticket);
        batches.took(MODEL, 1);
    }
    assert!(waits.windows(2).all(|pair| pair[1] <= pair[0]), "{waits:?}");
    assert!(waits.len() < 50, "it gave up after {}", waits.len());
    assert!(waits.iter().sum::<Duration>() < 10 * batching.wait, "{waits:?}");
}

#[test]
fn what_matters_or_is_due_soon_does_not_wait() {
    let (mut batches, kind, batching, now) = used_to(64);
    let soon = ticket(1, now + Duration::from_millis(100), now);
    assert_eq!(batches.arrive(&kind, &soon, &batching, now), Arrival::Ready(Vec::new()));
    batches.remove(&kind, &soon);
    let far = now + Duration::from_secs(60);
    assert!(matches!(batches.arrive(&kind, &ticket(2, far, now), &batching, now), Arrival::Gathers(_)));
    let urgent = Ticket { priority: Priority::High, ..ticket(3, far, now) };
    assert_eq!(batches.arrive(&kind, &urgent, &batching, now), Arrival::Ready(vec![JobId(2)]));
    assert_eq!(there(&batches, &kind), [3, 2].map(JobId), "and it goes first");
}

#[test]
fn a_run_that_was_too_much_is_followed_by_smaller_ones_and_those_by_larger_ones() {
    let (mut batches, _, batching, _) = used_to(64);
    batches.failed(MODEL, 64, Cause::ModelRun);
    assert_eq!(batches.most(MODEL, &batching), 64, "that may be the doing of one");
    batches.failed(MODEL, 64, Cause::OutOfMemory);
    assert_eq!(batches.most(MODEL, &batching), 32);
    batches.ran(MODEL, CHROME, &batching, (8, 8), Duration::from_millis(1));
    assert_eq!(batches.most(MODEL, &batching), 32, "it says nothing of larger ones");
    (0..10).for_each(|_| batches.ran(MODEL, CHROME, &batching, (64, 64), Duration::from_millis(1)));
    assert_eq!(batches.most(MODEL, &batching), 64);
    batches.forbid(MODEL);
    assert_eq!(batches.most(MODEL, &batching), 1);
}

#[test]
fn pace_tells_what_a_row_costs_from_what_a_run_costs() {
    let mut pace = Pace::default();
    assert_eq!(pace.expected(1), None);
    pace.take_in(1, Duration::from_secs(1));
    assert_eq!(pace.expected(1), None, "the first run compiles");
    let run = |rows: usize| Duration::from_micros(500 + 20 * rows as u64);
    pace.take_in(8, run(8));
    assert_eq!(pace.expected(16), Some(2 * run(8)), "until it is known better, a run costs nothing by itself");
    (1..40).for_each(|rows| pace.take_in(rows, run(rows)));
    for rows in [1, 16, 64] {
        let (expected, real) = (pace.expected(rows).unwrap().as_secs_f64(), run(rows).as_secs_f64());
        assert!((expected / real - 1.0).abs() < 0.02, "{rows} rows: {expected} and not {real}");
    }
}

/// Keeps a tab busy for a part of the time and tells where its budget goes.
fn budget_at(utilization: f64, windows: u32) -> Duration {
    let start = Instant::now();
    let mut budget = Budget::new(start);
    let turn = Duration::from_millis(10);
    for n in 0..10 * windows {
        let now = start + n * turn;
        budget.busy(now);
        budget.idle(now + turn.mul_f64(utilization));
        budget.adapt(now + turn);
    }
    budget.within(Duration::MAX)
}

#[test]
fn the_budget_keeps_utilization_between_seven_and_nine_tenths() {
    let start = budget_at(0.8, 0);
    assert_eq!(budget_at(0.8, 20), start, "all is well");
    let (more, less) = (budget_at(0.95, 2), budget_at(0.5, 2));
    assert!(more > start && more < start.mul_f64(1.22), "by a tenth a window: {more:?}");
    assert!(less < start && less > start.mul_f64(0.8), "{less:?}");
    assert!(budget_at(1.0, 1000) <= Duration::from_secs(1) && budget_at(0.0, 1000) >= Duration::from_millis(1));
    assert_eq!(Budget::new(Instant::now()).within(Duration::from_millis(2)), Duration::from_millis(2));
}

proptest! {
    /// Whatever is there: no limit is passed, and nobody's time is used up.
    #[test]
    fn what_goes_together_fits(
        others in prop::collection::vec((1..20_usize, 0..9_u64, 0..4096_usize, 0..200_u64), 0..100),
        (jobs, bytes, work_ms) in (1..70_usize, 0..65_536_usize, 1..50_u64),
        row_us in prop::option::of(1..2_000_u64),
    ) {
        let now = Instant::now();
        let due = |ms: u64| now + Duration::from_millis(ms);
        let limits = Limits { jobs, bytes, work: Duration::from_millis(work_ms) };
        let expected = |rows: usize| row_us.map(|us| Duration::from_micros(us * rows as u64));
        let first = spec(1, 1);
        let mut load = Load::of(&first, 100, due(1000));
        let (mut rows, mut earliest, mut estimate, mut count) = (1, due(1000), Duration::from_millis(1), 1);
        for (of_rows, estimate_ms, of_bytes, due_ms) in others {
            let other = spec(of_rows, estimate_ms);
            if load.add((&other, of_bytes, due(due_ms)), limits, expected, now) {
                (rows, count) = (rows + of_rows, count + 1);
                (earliest, estimate) = (earliest.min(due(due_ms)), estimate + other.estimate);
                let work = expected(rows).unwrap_or(estimate);
                prop_assert!(work <= limits.work && 2 * work <= earliest - now);
                prop_assert!(load.bytes <= limits.bytes && count <= limits.jobs);
            }
            prop_assert_eq!((load.rows, load.jobs), (rows, count));
        }
    }
}
