//! Tabs that are worn out.

use super::*;

fn short_lived(change: impl FnOnce(&mut Retirement)) -> Policy {
    let mut policy = Policy { heartbeat_interval: Duration::from_secs(1), canary: false, ..one_tab() };
    change(&mut policy.retirement);
    policy
}

fn only_tab(world: &World) -> TabId {
    assert_eq!(world.tabs.len(), 1);
    *world.tabs.keys().next().expect("one")
}

#[test]
fn a_tab_that_has_done_enough_is_replaced_by_one_that_has_its_models_and_finishes_first() {
    let mut world = World::new(
        &[CHROME_WASM],
        short_lived(|retirement| {
            (retirement.jobs, retirement.jobs_not_before) = (3, Duration::ZERO);
        }),
    );
    let old = only_tab(&world);
    // So short that the tab holds all of the others, once that is known.
    world.run = Duration::from_micros(100);
    let first = world.submit(&[CHROME_WASM]);
    world.answer(first, None);
    let jobs: Vec<JobId> = (0..4).map(|_| world.submit(&[CHROME_WASM])).collect();
    jobs[..2].iter().for_each(|job| world.answer(*job, None));
    let fresh = *world.tabs.keys().last().expect("another one was opened");
    assert_ne!(fresh, old);
    assert_eq!(world.warmed, [(fresh, ModelId(1))]);
    assert_eq!(world.retired, [], "it still holds two");
    let next = world.submit(&[CHROME_WASM]);
    assert_eq!(world.tab_of(next), Some(fresh), "it takes no more");
    jobs[2..].iter().for_each(|job| world.answer(*job, None));
    assert_eq!(world.retired, [old]);
    world.answer(next, None);
    assert!(world.ended.values().all(|(how, attempts)| how.is_ok() && attempts.is_empty()));
}

#[test]
fn small_models_do_not_wear_a_tab_out_within_its_first_minute() {
    let mut world = World::new(&[CHROME_WASM], short_lived(|retirement| retirement.jobs = 10));
    let old = only_tab(&world);
    for _ in 0..100 {
        let job = world.submit(&[CHROME_WASM]);
        world.answer(job, None);
    }
    assert_eq!(only_tab(&world), old);
    (0..60).for_each(|_| world.wait(Duration::from_secs(1)));
    assert_eq!(world.retired, [old]);
}

#[test]
fn tabs_retire_for_their_age_for_idleness_and_for_failures() {
    let retired_after = |change: fn(&mut Retirement)| {
        let mut world = World::new(&[CHROME_WASM], short_lived(change));
        (1..=60).find(|_| {
            world.wait(Duration::from_secs(1));
            !world.retired.is_empty()
        })
    };
    assert_eq!(retired_after(|_| {}), None);
    assert_eq!(retired_after(|retirement| retirement.age = Duration::from_secs(20)), Some(20));
    assert_eq!(retired_after(|retirement| retirement.idle = Duration::from_secs(30)), Some(30));

    let mut world = World::new(&[CHROME_WASM], short_lived(|retirement| retirement.failures = 2));
    let old = only_tab(&world);
    for _ in 0..2 {
        let failing = world.submit_spec(&[CHROME_WASM], |spec| spec.attempts = 1);
        world.answer(failing, Some(Failure::new(Cause::ModelDownload, "no network")));
        let job = world.submit(&[CHROME_WASM]);
        world.answer(job, None);
    }
    assert_eq!(world.retired, [old]);
}

#[test]
fn a_model_is_warmed_up_in_as_many_tabs_as_are_asked_for_by_turns_of_the_targets() {
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], Policy { tabs_per_target: 3, ..Policy::default() });
    let model = ModelId(9);
    world.tell(Input::WarmUp { model, tabs: 2 });
    let targets: BTreeSet<Target> = world.warmed.iter().map(|(tab, _)| world.tabs[tab].1).collect();
    assert_eq!((world.warmed.len(), targets.len()), (2, 2));
    world.tell(Input::WarmUp { model, tabs: 5 });
    assert_eq!(world.warmed.len(), 5, "two had it");
    world.tell(Input::WarmUp { model, tabs: 50 });
    assert_eq!(world.warmed.len(), 6, "there are six tabs");
}
