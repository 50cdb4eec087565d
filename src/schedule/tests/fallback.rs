//! Jobs that no target can take and that have leave to run elsewhere.

use super::*;
use crate::schedule::{BatchSpec, Batching};

fn may_fall_back(spec: &mut JobSpec) {
    spec.fallback = Fallback::Native;
}

/// Jobs that may fall back fare as `fate` says; the same jobs without that leave end with an error of that cause.
#[track_caller]
fn falls_back(jobs: &[JobId], world: &World, cause: Cause) {
    let [falling, ending] = jobs else { panic!("two jobs") };
    assert_eq!(world.fell_back, [(*falling, cause)]);
    assert!(!world.ended.contains_key(falling));
    assert_eq!(world.ended[ending].0, Err(cause));
    assert_eq!(world.scheduler.unfinished(), 0);
}

fn two(world: &mut World, allowed: &[Target]) -> [JobId; 2] {
    [world.submit_spec(allowed, may_fall_back), world.submit(allowed)]
}

#[test]
fn when_no_target_works_any_more() {
    let mut world = World::without(&[CHROME_WASM], &[CHROME_WASM], one_tab());
    let jobs = two(&mut world, &[CHROME_WASM]);
    falls_back(&jobs, &world, Cause::NoTarget);
}

#[test]
fn when_the_last_target_is_given_up_while_they_wait() {
    let policy = Policy { give_up_after: 1, ..one_tab() };
    let mut world = World::new(&[CHROME_WASM], policy);
    let jobs = two(&mut world, &[CHROME_WASM]);
    world.unavailable.push(CHROME_WASM);
    let id = *world.browsers.keys().next().unwrap();
    let ends = world.browser_ends(id);
    world.tell(ends);
    // The first met the browser's end, the other stood behind it.
    assert_eq!(world.fell_back, [(jobs[0], Cause::BrowserExited)]);
    assert_eq!(world.ended[&jobs[1]].0, Err(Cause::NoTarget));
}

#[test]
fn when_the_last_target_is_given_up_while_they_wait_for_others_to_go_with_them() {
    let policy = Policy { give_up_after: 1, in_flight_per_tab: 1, ..one_tab() };
    let mut world = World::new(&[CHROME_WASM], policy);
    let batched = |spec: &mut JobSpec| {
        let (estimate, batching) = (Duration::from_micros(10), Batching::default());
        spec.batch = Some(BatchSpec { alike: [1].into(), rows: 1, estimate, batching });
        may_fall_back(spec);
    };
    let [alone, first, second] = [0; 3].map(|_| world.submit_spec(&[CHROME_WASM], batched));
    world.answer(alone, None);
    assert_eq!(world.together[&first], [second], "another may come from now on");
    world.answer(first, None);
    let job = world.submit_spec(&[CHROME_WASM], batched);
    assert_eq!(world.tab_of(job), None);
    world.unavailable.push(CHROME_WASM);
    let id = *world.browsers.keys().next().unwrap();
    let ends = world.browser_ends(id);
    world.tell(ends);
    world.wait(Batching::default().wait);
    assert_eq!(world.fell_back, [(job, Cause::NoTarget)]);
}

#[test]
fn when_their_model_can_be_loaded_nowhere_however_many_attempts_they_have() {
    let both = [CHROME_WASM, FIREFOX_WASM];
    for attempts in [1, 2, 3] {
        let mut world = World::new(&both, one_tab());
        let job = world.submit_spec(&both, |spec| (spec.attempts, spec.fallback) = (attempts, Fallback::Native));
        for _ in 0..attempts.min(2) {
            world.answer(job, Some(Failure::new(Cause::ModelLoad, "no such operator")));
        }
        assert_eq!(world.fell_back, [(job, Cause::ModelLoad)], "{attempts}");
    }
}

#[test]
fn not_when_they_failed_otherwise() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let job = world.submit_spec(&[CHROME_WASM], |spec| (spec.attempts, spec.fallback) = (2, Fallback::Native));
    world.answer(job, Some(Failure::new(Cause::OutOfMemory, "too large")));
    world.answer(job, Some(Failure::new(Cause::OutOfMemory, "too large")));
    let wrong = world.submit_spec(&[CHROME_WASM], may_fall_back);
    world.answer(wrong, Some(Failure::new(Cause::BadInput, "no such input")));
    assert_eq!(world.fell_back, []);
    assert_eq!(world.ended[&job].0, Err(Cause::Quarantined));
    assert_eq!(world.ended[&wrong].0, Err(Cause::BadInput));
}

#[test]
fn when_every_breaker_is_open_also_while_they_wait() {
    let policy = Policy { in_flight_per_tab: 1, ..one_tab() };
    let mut world = World::new(&[CHROME_WASM], policy);
    let running: Vec<JobId> = (0..20).map(|_| world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 1)).collect();
    let jobs = two(&mut world, &[CHROME_WASM]);
    for job in running {
        if world.breakers.iter().any(|(_, model, to)| model.is_none() && *to == BreakerState::Open) {
            break;
        }
        world.answer(job, Some(Failure::new(Cause::DeadlineExceeded, "late")));
    }
    assert_eq!(world.fell_back, [(jobs[0], Cause::CircuitOpen)]);
    assert!(!world.ended.contains_key(&jobs[1]), "one target is kept for it");
    let next = world.submit_spec(&[CHROME_WASM], may_fall_back);
    assert_eq!(world.fell_back.last(), Some(&(next, Cause::CircuitOpen)));
}
