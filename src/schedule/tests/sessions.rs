//! Sessions: calls go where the state is, and when it is gone they are told so.

use super::*;
use crate::schedule::{Retirement, SessionCall};

const MINUTE: Duration = Duration::from_secs(60);
const TTL: Duration = Duration::from_secs(300);

fn two_tabs() -> Policy {
    Policy { tabs_per_target: 2, ..Policy::default() }
}

impl World {
    fn call(&mut self, session: u64, begins: bool) -> JobId {
        let session = SessionId(session);
        let expires = self.now + MINUTE;
        self.submit_spec(&[CHROME_WASM], |spec| {
            spec.session = Some(SessionCall { session, begins, time_to_live: TTL });
            (spec.expires, spec.attempt_timeout) = (expires, MINUTE);
        })
    }

    /// Begins a session, and returns the tab that its state is in.
    fn begin(&mut self, session: u64) -> TabId {
        let job = self.call(session, true);
        let tab = self.tab_of(job).expect("there is room");
        self.answer(job, None);
        tab
    }

    fn how(&self, job: JobId) -> Result<(), Cause> {
        self.ended[&job].0
    }
}

#[test]
fn calls_go_where_the_state_is_whatever_its_tab_holds() {
    let policy = Policy { in_flight_per_tab: 2, ..two_tabs() };
    let mut world = World::new(&[CHROME_WASM], policy);
    let tab = world.begin(1);
    // Both tabs are as full as they may be, and jobs wait.
    let jobs: Vec<JobId> = (0..8).map(|_| world.submit(&[CHROME_WASM])).collect();
    assert!(world.tab_of(jobs[7]).is_none());
    let call = world.call(1, false);
    assert_eq!(world.tab_of(call), Some(tab));
    world.answer(call, None);
    assert_eq!(world.how(call), Ok(()));
}

#[test]
fn calls_that_never_leave_their_tab_idle_and_what_waits_take_turns() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let tab = (1..=3).map(|session| world.begin(session)).last().expect("three");
    let mut calls: BTreeMap<JobId, u64> = (1..=3).map(|session| (world.call(session, false), session)).collect();
    let jobs = [Priority::Low, Priority::Normal, Priority::Critical]
        .map(|priority| world.submit_spec(&[CHROME_WASM], |spec| (spec.priority, spec.model) = (priority, ModelId(2))));
    let mut done = Vec::new();
    for _ in 0..16 {
        let head = world.handed[&tab][0];
        world.answer(head, None);
        match calls.remove(&head) {
            Some(session) => _ = calls.insert(world.call(session, false), session),
            None => done.push(head),
        }
    }
    // The first of them came while nothing else did, and the others by what matters most.
    assert_eq!(done, [jobs[0], jobs[2], jobs[1]]);
    assert!(calls.keys().all(|call| call.0 > 16), "and each session goes on: {calls:?}");
}

#[test]
fn a_call_that_fails_in_a_worker_that_goes_on_leaves_the_state() {
    let mut world = World::new(&[CHROME_WASM], two_tabs());
    let tab = world.begin(1);
    for cause in [Cause::ModelRun, Cause::BadInput] {
        let call = world.call(1, false);
        world.answer(call, Some(Failure::new(cause, "no")));
        assert_eq!(world.how(call), Err(cause), "it is not tried where there is no state");
    }
    let call = world.call(1, false);
    assert_eq!(world.tab_of(call), Some(tab));
    assert_eq!(world.forgotten, []);
}

#[test]
fn when_the_tab_dies_the_call_at_work_the_one_in_line_and_the_next_are_told() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let tab = world.begin(1);
    world.begin(2);
    world.begin(3);
    let (at_work, in_line) = (world.call(1, false), world.call(2, false));
    let job = world.submit(&[CHROME_WASM]);
    world.tell(Input::TabLost { tab, failure: crash() });
    assert_eq!(world.how(at_work), Err(Cause::StateLost));
    let causes: Vec<Cause> = world.ended[&at_work].1.iter().map(|attempt| attempt.failure.cause).collect();
    assert_eq!(causes, [Cause::TabCrashed], "the true cause is among the attempts");
    assert_eq!(world.how(in_line), Err(Cause::StateLost));
    assert!(world.ended[&in_line].1.is_empty(), "it only stood behind the other");
    let next = world.call(3, false);
    assert_eq!(world.how(next), Err(Cause::StateLost));
    assert!(world.tab_of(job).is_some_and(|now| now != tab), "what is of no session moves");
    world.answer(job, None);
    // Who was told may begin anew.
    world.begin(1);
    let call = world.call(1, false);
    world.answer(call, None);
    assert_eq!(world.how(call), Ok(()));
}

#[test]
fn a_socket_that_closes_costs_the_state_and_is_blamed_when_it_is_known_for_what() {
    let mut world = World::new(&[CHROME_WASM], two_tabs());
    let tab = world.begin(1);
    let call = world.call(1, false);
    world.cut(tab);
    assert!(!world.ended.contains_key(&call), "its error has to say why");
    world.tell(Input::TabLost { tab, failure: crash() });
    assert_eq!(world.how(call), Err(Cause::StateLost));
    assert_eq!(world.ended[&call].1[0].failure.cause, Cause::TabCrashed);
}

#[test]
fn the_call_that_begins_is_tried_again_elsewhere_as_any_job() {
    let mut world = World::new(&[CHROME_WASM], two_tabs());
    let call = world.call(1, true);
    let first = world.tab_of(call).expect("there is room");
    world.tell(Input::TabLost { tab: first, failure: crash() });
    let second = world.tab_of(call).expect("there is another");
    world.answer(call, None);
    assert_eq!(world.how(call), Ok(()));
    let next = world.call(1, false);
    assert_eq!(world.tab_of(next), Some(second));
}

#[test]
fn a_state_ends_when_no_call_came_for_its_time_to_live() {
    let mut world = World::new(&[CHROME_WASM], two_tabs());
    let tab = world.begin(1);
    for _ in 0..3 {
        world.wait(TTL - MINUTE);
        let call = world.call(1, false);
        world.answer(call, None);
        assert_eq!(world.how(call), Ok(()));
    }
    assert_eq!(world.sessions_ended, []);
    world.wait(TTL);
    assert_eq!((&world.forgotten[..], &world.sessions_ended[..]), (&[(tab, SessionId(1))][..], &[SessionId(1)][..]));
    let late = world.call(1, false);
    assert_eq!(world.how(late), Err(Cause::StateLost));
}

#[test]
fn the_last_call_says_how_long_the_state_lives_on() {
    let mut world = World::new(&[CHROME_WASM], two_tabs());
    world.begin(1);
    let [short, long] = [10, 600].map(Duration::from_secs);
    let call = |world: &mut World, time_to_live| {
        let call = SessionCall { session: SessionId(1), begins: false, time_to_live };
        let job = world.submit_spec(&[CHROME_WASM], |spec| spec.session = Some(call));
        world.answer(job, None);
    };
    call(&mut world, long);
    call(&mut world, short);
    call(&mut world, long);
    world.wait(TTL);
    assert_eq!(world.sessions_ended, []);
    call(&mut world, short);
    world.wait(short);
    assert_eq!(world.sessions_ended, [SessionId(1)]);
}

#[test]
fn the_time_to_live_does_not_run_while_a_call_is_under_way() {
    let mut world = World::new(&[CHROME_WASM], two_tabs());
    world.begin(1);
    let expires = world.now + 3 * TTL;
    let call = world.submit_spec(&[CHROME_WASM], |spec| {
        spec.session = Some(SessionCall { session: SessionId(1), begins: false, time_to_live: TTL });
        (spec.expires, spec.attempt_timeout) = (expires, 3 * TTL);
    });
    world.wait(2 * TTL);
    assert_eq!(world.sessions_ended, []);
    world.answer(call, None);
    assert_eq!(world.how(call), Ok(()));
}

#[test]
fn a_state_begun_anew_outlives_the_tab_of_the_one_before() {
    let mut world = World::new(&[CHROME_WASM], two_tabs());
    let tab = world.begin(1);
    assert_eq!(world.begin(2), tab);
    let (at_work, in_line) = (world.call(2, false), world.call(1, false));
    let anew = world.call(1, true);
    let other = world.tab_of(anew).expect("the other tab is idle");
    assert_ne!(other, tab);
    world.answer(anew, None);
    world.tell(Input::TabLost { tab, failure: crash() });
    assert_eq!((world.how(at_work), world.how(in_line)), (Err(Cause::StateLost), Err(Cause::StateLost)));
    assert_eq!(world.states, BTreeMap::from([(SessionId(1), other)]));
    let next = world.call(1, false);
    assert_eq!(world.tab_of(next), Some(other));
}

#[test]
fn a_call_given_up_midway_costs_the_state_and_one_refused_does_not() {
    let mut world = World::new(&[CHROME_WASM], two_tabs());
    let tab = world.begin(1);
    let call = world.call(1, false);
    world.tell(Input::Cancel { job: call });
    assert_eq!(world.forgotten, [(tab, SessionId(1))], "nobody knows how far it has come");
    let next = world.call(1, false);
    assert_eq!(world.how(next), Err(Cause::StateLost));

    let begins = world.call(2, true);
    let tab = world.tab_of(begins).expect("there is room");
    world.tell(Input::Cancel { job: begins });
    assert_eq!(world.forgotten.last(), Some(&(tab, SessionId(2))));
}

#[test]
fn a_tab_that_says_that_it_has_no_such_state_is_believed_and_not_blamed() {
    let mut world = World::new(&[CHROME_WASM], two_tabs());
    let tab = world.begin(1);
    let call = world.call(1, false);
    world.answer(call, Some(Failure::new(Cause::StateLost, "another one")));
    assert_eq!(world.how(call), Err(Cause::StateLost));
    assert_eq!(world.forgotten, [(tab, SessionId(1))]);
    assert_eq!(world.breakers, []);
    let next = world.call(1, false);
    assert_eq!(world.how(next), Err(Cause::StateLost));
}

#[test]
fn a_worn_out_tab_takes_no_new_jobs_and_waits_for_its_sessions() {
    let retirement = Retirement { jobs: 2, jobs_not_before: Duration::ZERO, ..Retirement::default() };
    let mut world = World::new(&[CHROME_WASM], Policy { retirement, ..one_tab() });
    let tab = world.begin(1);
    for _ in 0..3 {
        let call = world.call(1, false);
        assert_eq!(world.tab_of(call), Some(tab));
        world.answer(call, None);
        assert_eq!(world.how(call), Ok(()));
    }
    assert_eq!(world.tabs.len(), 2, "another stands in for it");
    let job = world.submit(&[CHROME_WASM]);
    assert!(world.tab_of(job).is_some_and(|other| other != tab));
    assert_eq!(world.retired, []);
    world.tell(Input::EndSession { session: SessionId(1) });
    assert_eq!(world.retired, [tab]);
    assert_eq!(world.forgotten, [(tab, SessionId(1))]);
}

#[test]
fn memory_that_is_only_a_little_too_much_is_borne_while_a_tab_holds_a_state() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let tab = world.begin(1);
    let heavy = || Input::TabAlive { tab, heap_bytes: Some(Policy::default().tab_memory.soft + 1) };
    world.tell(heavy());
    assert_eq!(world.restarted, []);
    world.tell(Input::EndSession { session: SessionId(1) });
    world.tell(heavy());
    assert_eq!(world.restarted, [tab]);
}

#[test]
fn a_forgotten_model_takes_its_sessions_along() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.begin(1);
    world.tell(Input::ForgetModel { model: ModelId(1) });
    assert_eq!(world.sessions_ended, [SessionId(1)]);
}

/// A policy whose tabs are worn out by so many jobs, and kept for sessions for so long.
fn worn_by(jobs: u32, session_grace: Duration) -> Policy {
    let retirement = Retirement { jobs, jobs_not_before: Duration::ZERO, session_grace, ..Retirement::default() };
    Policy { retirement, heartbeat_interval: Duration::from_secs(10_000), canary: false, ..one_tab() }
}

#[test]
fn a_session_in_constant_use_keeps_a_worn_out_tab_for_its_grace_and_not_for_ever() {
    let mut world = World::new(&[CHROME_WASM], worn_by(1, MINUTE));
    let tab = world.begin(1);
    assert_eq!(world.tabs.len(), 2, "another stands in for it");
    for _ in 0..5 {
        world.wait(MINUTE / 6);
        let call = world.call(1, false);
        assert_eq!(world.tab_of(call), Some(tab));
        world.answer(call, None);
        assert_eq!(world.how(call), Ok(()));
    }
    let at_work = world.call(1, false);
    world.wait(MINUTE / 6);
    assert_eq!(world.states_ended, [(SessionId(1), SessionEnd::WornOut)]);
    assert_eq!(world.retired, [], "the call is let finish");
    world.answer(at_work, None);
    assert_eq!((world.how(at_work), &world.retired[..]), (Ok(()), &[tab][..]));
    let next = world.call(1, false);
    assert_eq!(world.how(next), Err(Cause::StateLost));
    let elsewhere = world.begin(2);
    assert_ne!(elsewhere, tab, "it may go on where it is rebuilt");
}

#[test]
fn a_session_that_begins_in_a_tab_that_is_to_be_gone_by_then_has_the_grace_too() {
    let grace = MINUTE / 4;
    let mut world = World::new(&[CHROME_WASM], worn_by(1, grace));
    let begins = world.call(1, true);
    let tab = world.tab_of(begins).expect("there is room");
    let job = world.submit(&[CHROME_WASM]);
    world.answer(job, None);
    world.wait(MINUTE / 2);
    assert_eq!((world.tabs.len(), &world.retired[..]), (2, &[][..]), "it finishes first");
    world.answer(begins, None);
    world.wait(grace - Duration::from_secs(1));
    assert_eq!(world.states, [(SessionId(1), tab)].into());
    world.wait(Duration::from_secs(1));
    assert_eq!(world.retired, [tab]);
}

#[test]
fn how_states_ended_is_told_once_for_each() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let tab = world.begin(1);
    (2..=4).for_each(|session| assert_eq!(world.begin(session), tab));
    assert_eq!(world.states.len(), 4);
    world.tell(Input::EndSession { session: SessionId(1) });
    let call = world.call(2, false);
    world.tell(Input::Cancel { job: call });
    world.answer(call, None);
    world.tell(Input::SessionKept { session: SessionId(3), bytes: 100 });
    world.tell(Input::SessionKept { session: SessionId(4), bytes: 1 });
    let health = world.scheduler.health(world.now, std::time::SystemTime::UNIX_EPOCH, |id| id.to_string());
    assert_eq!((health.tabs[0].sessions, health.tabs[0].kept_bytes), (2, 101));
    let call = world.call(3, false);
    world.answer(call, Some(Failure::new(Cause::StateLost, "another one")));
    world.wait(TTL);
    let ended: Vec<(u64, SessionEnd)> = world.states_ended.iter().map(|(session, why)| (session.0, *why)).collect();
    let expected = [(1, SessionEnd::Closed), (2, SessionEnd::GivenUp), (3, SessionEnd::Lost), (4, SessionEnd::Expired)];
    assert_eq!(ended, expected);
    world.begin(5);
    world.tell(Input::TabLost { tab, failure: crash() });
    assert_eq!(world.states_ended.last(), Some(&(SessionId(5), SessionEnd::Lost)));
    assert!(world.states.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many sessions call however often: a tab that is worn out is gone a grace and a call after another has
    /// taken its place, every call is answered or told that its state is gone, and who was told may begin anew.
    #[test]
    fn no_tab_outlives_its_wear_by_more_than_the_grace(
        worn_after in 1..20_u32,
        grace in 0..120_u64,
        sessions in 1..4_u64,
        pauses in prop::collection::vec((0..3_u64, 0..20_u64, 0..5_u64), 1..150),
    ) {
        let grace = Duration::from_secs(grace);
        let longest = Duration::from_secs(5);
        let mut world = World::new(&[CHROME_WASM], worn_by(worn_after, grace));
        let mut begun = BTreeMap::new();
        let mut names = 0;
        // When each tab was first seen with another beside it.
        let mut superseded: BTreeMap<TabId, Instant> = BTreeMap::new();
        for (who, pause, takes) in pauses {
            world.wait(Duration::from_secs(pause));
            let who = who % sessions;
            let begins = !begun.contains_key(&who);
            let name = *begun.entry(who).or_insert_with(|| { names += 1; names });
            let call = world.call(name, begins);
            if world.tab_of(call).is_some() {
                world.wait(Duration::from_secs(takes));
                world.answer(call, None);
            }
            match world.how(call) {
                Ok(()) => {}
                Err(cause) => {
                    prop_assert_eq!(cause, Cause::StateLost);
                    prop_assert!(!begins);
                    begun.remove(&who);
                }
            }
            let newest = *world.tabs.keys().last().expect("there is always one");
            for tab in world.tabs.keys().filter(|tab| **tab != newest) {
                let since = *superseded.entry(*tab).or_insert(world.now);
                prop_assert!(world.now <= since + grace + longest, "{} since {:?}", tab, world.now - since);
            }
            prop_assert!(world.states.values().all(|tab| world.tabs.contains_key(tab)));
        }
    }
}
