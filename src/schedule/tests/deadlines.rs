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
