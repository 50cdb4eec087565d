//! Jobs that want a worker to themselves.

use super::*;
use crate::schedule::SessionCall;

impl World {
    fn submit_alone(&mut self) -> JobId {
        self.submit_spec(&[CHROME_WASM], |spec| spec.isolation = Isolation::FreshTab)
    }
}

#[test]
fn a_job_that_wants_solitude_gets_a_fresh_worker_before_it_and_leaves_another() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let first = world.submit(&[CHROME_WASM]);
    let alone = world.submit_alone();
    assert_eq!(world.tab_of(alone), None, "the tab is at work");
    world.answer(first, None);
    assert_eq!(world.restarted.len(), 1);
    let tab = world.tab_of(alone).expect("the worker is fresh");
    let behind = world.submit(&[CHROME_WASM]);
    assert_eq!(world.tab_of(behind), None, "nothing runs beside it");
    world.answer(alone, None);
    assert_eq!(world.restarted, [tab; 2]);
    assert_eq!(world.tab_of(behind), Some(tab));
    world.answer(behind, None);
    assert!(world.ended.values().all(|(how, attempts)| how.is_ok() && attempts.is_empty()));
}

#[test]
fn several_in_a_row_cost_one_worker_each() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let jobs: Vec<JobId> = (0..5).map(|_| world.submit_alone()).collect();
    for job in &jobs {
        assert!(world.tab_of(*job).is_some());
        world.answer(*job, Some(Failure::new(Cause::BadInput, "no")).filter(|_| job.0 == 3));
    }
    assert_eq!(world.restarted.len(), 5, "one that fails, too");
    assert_eq!(world.scheduler.unfinished(), 0);
}

#[test]
fn a_tab_that_holds_a_session_is_not_taken_for_it() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let time_to_live = Duration::from_secs(30);
    let call = SessionCall { session: SessionId(1), begins: true, time_to_live };
    let begin = world.submit_spec(&[CHROME_WASM], |spec| spec.session = Some(call));
    world.answer(begin, None);
    let alone = world.submit_alone();
    assert_eq!(world.tab_of(alone), None);
    world.wait(time_to_live);
    assert!(world.tab_of(alone).is_some());
}

#[test]
fn who_waits_for_sessions_to_end_holds_up_nobody() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let call = SessionCall { session: SessionId(1), begins: true, time_to_live: Duration::from_secs(30) };
    let begin = world.submit_spec(&[CHROME_WASM], |spec| spec.session = Some(call));
    world.answer(begin, None);
    let alone = world.submit_spec(&[CHROME_WASM], |spec| {
        (spec.isolation, spec.model, spec.priority) = (Isolation::FreshTab, ModelId(2), Priority::Critical);
    });
    let others: Vec<JobId> = (0..20).map(|_| world.submit(&[CHROME_WASM])).collect();
    for job in others {
        assert!(world.tab_of(job).is_some());
        world.answer(job, None);
    }
    assert_eq!(world.tab_of(alone), None);
    world.tell(Input::EndSession { session: SessionId(1) });
    assert!(world.tab_of(alone).is_some(), "it has kept its place");
}

#[test]
fn tabs_that_are_only_busy_take_nothing_else_before_it() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let first = world.submit(&[CHROME_WASM]);
    let alone = world.submit_alone();
    let behind = world.submit(&[CHROME_WASM]);
    assert_eq!(world.tab_of(behind), None, "or they would never be idle");
    world.answer(first, None);
    assert!(world.tab_of(alone).is_some());
}

#[test]
fn the_job_that_a_fresh_worker_is_for_moves_when_that_does_not_come_up() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let first = world.submit(&[CHROME_WASM]);
    world.answer(first, None);
    world.restarts_hang = true;
    let alone = world.submit_alone();
    let tab = *world.tabs.keys().next().expect("one");
    assert_eq!(world.restarted, [tab]);
    world.wait(Policy::default().restart_timeout);
    let other = world.tab_of(alone).expect("another tab was opened");
    assert_ne!(other, tab);
    world.restarts_hang = false;
    world.answer(alone, None);
    assert_eq!(world.ended[&alone].0, Ok(()));
}

#[test]
fn the_job_that_a_fresh_worker_is_for_may_be_cancelled() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let first = world.submit(&[CHROME_WASM]);
    world.answer(first, None);
    world.restarts_hang = true;
    let alone = world.submit_alone();
    let behind = world.submit(&[CHROME_WASM]);
    let tab = *world.tabs.keys().next().expect("one");
    world.tell(Input::Cancel { job: alone });
    assert_eq!(world.ended[&alone].0, Err(Cause::Cancelled));
    world.tell(Input::TabConnected { tab });
    assert_eq!(world.handed[&tab], [behind]);
}
