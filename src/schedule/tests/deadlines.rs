//! Jobs whose time is over: not sent, and what they hold up is stopped or let end.

use super::*;
use crate::schedule::{BatchSpec, Batching};

const SECOND: Duration = Duration::from_secs(1);

impl World {
    /// A job with so much time, whose attempts may take longer.
    fn submit_for(&mut self, time: Duration) -> JobId {
        let expires = self.now + time;
        self.submit_spec(&[CHROME_WASM], |spec| (spec.expires, spec.attempt_timeout) = (expires, 60 * SECOND))
    }

    /// Has the model run until it is known to take so long.
    fn known_to_take(&mut self, ms: u64) {
        for _ in 0..10 {
            let job = self.submit(&[CHROME_WASM]);
            self.answer_after(job, ms);
        }
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_job_whose_time_is_over_is_not_sent_whatever_happens_before_the_timer() {
    let mut world = World::new(&[CHROME_WASM], Policy { in_flight_per_tab: 1, ..one_tab() });
    let first = world.submit(&[CHROME_WASM]);
    let late = world.submit_for(ms(500));
    world.now += ms(500);
    world.answer(first, None);
    assert_eq!(world.ended[&late], (Err(Cause::DeadlineExceeded), Vec::new()));
    let never = world.submit_for(Duration::ZERO);
    assert_eq!(world.ended[&never], (Err(Cause::DeadlineExceeded), Vec::new()));
    assert_eq!((world.handed.values().flatten().count(), world.scheduler.unfinished()), (0, 0));
}

#[test]
fn a_run_that_is_a_little_late_costs_its_job_and_not_its_worker() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.known_to_take(20);
    let late = world.submit_for(ms(25));
    let tab = world.tab_of(late).expect("there is time");
    world.wait(ms(26));
    assert_eq!(world.ended[&late].0, Err(Cause::DeadlineExceeded));
    world.wait(ms(10));
    assert_eq!(world.restarted, [], "its run is nearly done");
    // This one has no end.
    world.wait(ms(10));
    assert_eq!(world.restarted, [tab]);
    let next = world.submit_for(SECOND);
    world.answer(next, None);
    assert_eq!(world.ended[&next].0, Ok(()));
}

#[test]
fn what_takes_long_is_stopped_soon_after_its_deadline_however_long_it_usually_takes() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.known_to_take(5_000);
    let late = world.submit_for(6 * SECOND);
    let tab = world.tab_of(late).expect("there is time");
    world.wait(6 * SECOND);
    assert_eq!(world.restarted, []);
    world.wait(Policy::default().deadline_grace);
    assert_eq!(world.restarted, [tab]);
}

#[test]
fn who_was_late_in_the_line_does_not_end_the_worker_when_it_turns_to_it() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let head = world.submit_for(60 * SECOND);
    let late = world.submit_for(SECOND);
    let tab = world.tab_of(late).expect("it stands behind the other");
    world.wait(2 * SECOND);
    assert_eq!(world.ended[&late], (Err(Cause::DeadlineExceeded), Vec::new()), "no tab was at it");
    world.answer(head, None);
    world.wait(ms(100));
    assert_eq!(world.restarted, []);
    world.tell(Input::AttemptSucceeded { tab, job: late, run: ms(1) });
    let next = world.submit_for(SECOND);
    world.answer(next, None);
    assert_eq!((world.restarted.len(), world.ended[&next].0), (0, Ok(())));
}

#[test]
fn a_run_of_several_that_nobody_waits_for_any_more_is_stopped() {
    let mut world = World::new(&[CHROME_WASM], Policy { in_flight_per_tab: 1, ..one_tab() });
    let first = world.submit_for(60 * SECOND);
    let [patient, hasty] = [60, 5].map(|seconds| {
        let expires = world.now + seconds * SECOND;
        world.submit_spec(&[CHROME_WASM], |spec| {
            let (estimate, batching) = (Duration::from_micros(10), Batching::default());
            spec.batch = Some(BatchSpec { alike: [1].into(), rows: 1, estimate, batching });
            (spec.expires, spec.attempt_timeout) = (expires, 60 * SECOND);
        })
    });
    world.answer(first, None);
    assert_eq!(world.together[&hasty], [patient], "the one that is due first leads");
    world.tell(Input::Cancel { job: patient });
    world.wait(2 * SECOND);
    assert_eq!(world.restarted, [], "the other waits for it");
    world.wait(3 * SECOND);
    assert_eq!(world.ended[&hasty].0, Err(Cause::DeadlineExceeded));
    assert_eq!(world.restarted.len(), 1);
}

/// One tab serves a model that takes 20 ms and jobs with deadlines of 100 ms, which come as often as told.
fn served(jobs: u32, every: Duration) -> (World, usize) {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.known_to_take(20);
    let (start, run) = (world.now, ms(20));
    let (mut submitted, mut at_work) = (0, None::<(JobId, Instant)>);
    let mut with_result = 0;
    while submitted < jobs || world.scheduler.unfinished() > 0 {
        let arrival = (submitted < jobs).then(|| start + submitted * every);
        let answer = at_work.map(|(_, done)| done);
        let next = [arrival, answer, world.scheduler.next_deadline()].into_iter().flatten().min();
        world.now = next.expect("something is yet to happen").max(world.now);
        if answer == Some(world.now) {
            let (job, _) = at_work.take().expect("it is");
            with_result += usize::from(world.scheduler.is_at(world.tab_of(job).expect("a tab has it"), job));
            world.answer_after(job, 20);
        } else if arrival == Some(world.now) {
            submitted += 1;
            world.submit_for(ms(100));
        } else {
            world.tell(Input::Timeout);
        }
        let head = world.handed.values().find_map(|line| line.first()).copied();
        at_work = at_work.or(head.map(|job| (job, world.now + run)));
    }
    (world, with_result)
}

#[test]
fn more_than_can_be_done_in_time_costs_what_is_too_much_and_no_worker() {
    let (_, all) = served(200, ms(25));
    assert_eq!(all, 200, "where there is time for all, all are done");
    let (world, with_result) = served(600, Duration::from_micros(16_667));
    assert_eq!(world.restarted, []);
    // In the ten seconds there is time for 500.
    assert!(with_result >= 400, "{with_result}");
    let unsent = world.ended.values().filter(|(how, attempts)| how.is_err() && attempts.is_empty()).count();
    assert!(unsent >= 90, "{unsent}");
}

#[test]
fn a_job_with_too_little_time_is_tried_when_nobody_waits_behind_it() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.known_to_take(20);
    let hasty = world.submit_for(ms(15));
    assert!(world.tab_of(hasty).is_some(), "it may be done sooner than was measured");
    world.answer(hasty, None);
    assert_eq!(world.ended[&hasty].0, Ok(()));
}

#[test]
fn a_job_that_only_a_busy_target_can_do_in_time_waits_for_it_and_others_pass_it() {
    let both = [CHROME_WASM, FIREFOX_WASM];
    let mut world = World::new(&both, Policy { in_flight_per_tab: 1, explore_every: 0, ..one_tab() });
    for (target, ms) in [(CHROME_WASM, 20), (FIREFOX_WASM, 200)] {
        for _ in 0..10 {
            let job = world.submit(&[target]);
            world.answer_after(job, ms);
        }
    }
    let [on_chrome, on_firefox] = both.map(|target| world.submit(&[target]));
    let expires = world.now + ms(100);
    let hasty = world.submit_spec(&both, |spec| spec.expires = expires);
    let other = world.submit_spec(&both, |spec| spec.model = ModelId(2));
    world.answer_after(on_firefox, 200);
    assert_eq!((world.tab_of(hasty), world.target_of(other)), (None, Some(FIREFOX_WASM)));
    world.answer_after(on_chrome, 20);
    assert_eq!(world.target_of(hasty), Some(CHROME_WASM));
}
