//! Models that are kept warm in so many tabs.

use super::*;

const MODEL: ModelId = ModelId(9);

impl World {
    fn keep_warm(&mut self, tabs: usize) {
        self.tell(Input::WarmUp { model: MODEL, tabs, timeout: Duration::from_secs(60) });
    }

    /// Which tabs were told to warm the model since they have their present worker.
    fn take_warmed(&mut self) -> Vec<TabId> {
        std::mem::take(&mut self.warmed).into_iter().map(|(tab, _)| tab).collect()
    }
}

fn crashed(tab: TabId) -> Input {
    Input::WorkerLost { tab, failure: Failure::new(Cause::WorkerCrashed, "aborted") }
}

#[test]
fn a_model_is_warmed_up_in_as_many_tabs_as_are_asked_for_by_turns_of_the_targets() {
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], Policy { tabs_per_target: 3, ..Policy::default() });
    world.keep_warm(2);
    let targets: BTreeSet<Target> = world.warmed.iter().map(|(tab, _)| world.tabs[tab].1).collect();
    assert_eq!((world.warmed.len(), targets.len()), (2, 2));
    world.keep_warm(5);
    assert_eq!(world.warmed.len(), 5, "two had it");
    world.keep_warm(50);
    assert_eq!((world.warmed.len(), world.tabs.len()), (6, 6), "there are six tabs, and may not be more");
    assert!(!world.scheduler.is_warming(MODEL));
}

#[test]
fn tabs_are_opened_for_it_all_at_once_where_their_number_may_change_and_kept() {
    let scaling = Scaling { max_tabs: 4, ..Scaling::default() };
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], Policy { scaling, canary: false, ..one_tab() });
    world.opens_slowly = true;
    world.keep_warm(5);
    assert_eq!(world.scaled, [(CHROME_WASM, 1, 3), (FIREFOX_WASM, 1, 2)]);
    assert_eq!((world.tabs.len(), world.take_warmed().len()), (5, 2), "those that were there load it meanwhile");
    assert!(world.scheduler.is_warming(MODEL));
    let coming: Vec<TabId> = world.tabs.keys().copied().skip(2).collect();
    coming.iter().for_each(|tab| world.tell(Input::TabConnected { tab: *tab }));
    assert_eq!(world.take_warmed(), coming);
    assert!(!world.scheduler.is_warming(MODEL));
    (0..600).for_each(|_| world.wait(Duration::from_secs(1)));
    assert_eq!((world.tabs.len(), world.scaled.len()), (5, 2), "idle as they are");
    world.tell(Input::ForgetModel { model: MODEL });
    (0..600).for_each(|_| world.wait(Duration::from_secs(1)));
    assert_eq!(world.tabs.len(), 2, "nobody needs them any more");
}

#[test]
fn no_more_tabs_are_opened_for_it_than_the_browser_has_memory_for() {
    // The world's browser holds 1 GiB.
    let (scaling, limits) =
        (Scaling { max_tabs: 8, ..Scaling::default() }, MemoryLimits { soft: 7 << 29, hard: 4 << 30 });
    let mut world = World::new(&[CHROME_WASM], Policy { scaling, browser_memory: limits, ..one_tab() });
    world.wait(Policy::default().health_check_interval);
    world.keep_warm(6);
    assert_eq!((world.scaled.as_slice(), world.tabs.len()), ([(CHROME_WASM, 1, 3)].as_slice(), 3));
}

#[test]
fn a_worker_that_is_lost_has_the_model_again_when_it_is_back_and_so_has_another_tab() {
    let mut world = World::new(&[CHROME_WASM], Policy { tabs_per_target: 2, ..Policy::default() });
    world.keep_warm(2);
    let tabs: Vec<TabId> = world.tabs.keys().copied().collect();
    assert_eq!(world.take_warmed(), tabs);
    world.tell(crashed(tabs[0]));
    assert_eq!((world.take_warmed(), world.restarted.as_slice()), (vec![tabs[0]], &tabs[..1]));
    world.tell(Input::TabLost { tab: tabs[1], failure: crash() });
    let fresh = *world.tabs.keys().last().expect("another one was opened");
    assert_eq!(world.take_warmed(), [fresh]);
}

#[test]
fn a_successor_is_warmed_for_the_pool_before_the_old_tab_goes() {
    let retirement = Retirement { age: Duration::from_secs(20), ..Retirement::default() };
    let mut world = World::new(&[CHROME_WASM], Policy { retirement, canary: false, ..one_tab() });
    world.keep_warm(1);
    let old = *world.tabs.keys().next().expect("one");
    assert_eq!(world.take_warmed(), [old]);
    world.loads_slowly = true;
    (0..20).for_each(|_| world.wait(Duration::from_secs(1)));
    let fresh = *world.tabs.keys().last().expect("another one was opened");
    assert_eq!((world.take_warmed(), world.retired.as_slice()), (vec![fresh], [].as_slice()), "once, and not for each");
    world.tell(Input::ModelLoaded { tab: fresh, model: MODEL, failure: None });
    assert_eq!(world.retired, [old]);
}

#[test]
fn a_model_that_takes_workers_along_or_cannot_be_loaded_is_not_tried_for_ever() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.loads_slowly = true;
    world.keep_warm(1);
    for _ in 0..2 {
        let tab = *world.tabs.keys().next().expect("one");
        assert_eq!(world.take_warmed(), [tab]);
        world.tell(crashed(tab));
    }
    assert_eq!(world.take_warmed(), []);
    assert!(!world.scheduler.is_warming(MODEL));
    world.keep_warm(1);
    let [tab] = world.take_warmed()[..] else { panic!("asked for again, it is tried again") };
    world.tell(Input::ModelLoaded { tab, model: MODEL, failure: Some(Failure::new(Cause::OutOfMemory, "too large")) });
    assert_eq!((world.restarted.len(), world.take_warmed()), (3, vec![tab]), "its worker is of no more use");
    world.tell(Input::ModelLoaded { tab, model: MODEL, failure: Some(Failure::new(Cause::ModelLoad, "no")) });
    world.tell(crashed(tab));
    assert_eq!(world.take_warmed(), []);
}

#[test]
fn a_job_that_wants_solitude_does_not_share_a_worker_that_was_warmed() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.keep_warm(1);
    let alone = world.submit_spec(&[CHROME_WASM], |spec| spec.isolation = Isolation::FreshTab);
    assert_eq!((world.restarted.len(), world.take_warmed().len()), (1, 1));
    world.answer(alone, None);
    assert_eq!((world.restarted.len(), world.take_warmed().len()), (2, 1), "it is warm again");
}

#[test]
fn a_model_that_a_job_could_not_load_is_not_taken_for_loaded() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let job = world.submit_spec(&[CHROME_WASM], |spec| (spec.model, spec.attempts) = (MODEL, 1));
    world.answer(job, Some(Failure::new(Cause::ModelDownload, "no network")));
    world.keep_warm(1);
    assert_eq!(world.take_warmed().len(), 1);
}
