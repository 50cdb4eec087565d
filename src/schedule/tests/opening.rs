//! Tabs that take their time to open, or cannot be opened.

use super::*;

#[test]
fn tabs_that_are_opened_one_after_the_other_have_time_enough_each() {
    let mut world = World::new(&[FIREFOX_WASM], Policy { tabs_per_target: 16, ..Policy::default() });
    let exit = world.browser_ends(*world.browsers.keys().next().expect("running"));
    world.opens_slowly = true;
    world.tell(exit);
    world.wait(Duration::from_millis(100));
    let (browsers, tabs): (_, Vec<TabId>) = (world.browsers.clone(), world.tabs.keys().copied().collect());
    assert_eq!((browsers.len(), tabs.len()), (1, 16));
    for tab in &tabs {
        world.wait(Duration::from_secs(2));
        world.tell(Input::WorkerStarts { tab: *tab });
        world.wait(Duration::from_secs(1));
        world.tell(Input::TabConnected { tab: *tab });
    }
    assert_eq!(world.tabs.keys().copied().collect::<Vec<_>>(), tabs, "all came up");
    assert_eq!(world.browsers, browsers);
}

#[test]
fn a_restart_that_waits_for_other_tabs_has_time_enough_and_one_whose_worker_never_connects_is_replaced() {
    let mut world = World::new(&[FIREFOX_WASM], one_tab());
    let tab = *world.tabs.keys().next().expect("open");
    world.opens_slowly = true;
    world.tell(Input::TabLost { tab, failure: crash() });
    let fresh = *world.tabs.keys().next().expect("asked for");
    world.wait(2 * Policy::default().open_timeout);
    assert!(world.tabs.contains_key(&fresh), "the browser is at something else");
    world.tell(Input::WorkerStarts { tab: fresh });
    world.wait(Policy::default().open_timeout);
    assert!(!world.tabs.contains_key(&fresh));
}

#[test]
fn a_further_tab_that_does_not_start_is_tried_again_later_and_leaves_the_others_alone() {
    let mut world = World::new(&[CHROME_WASM], Policy { tabs_per_target: 2, ..Policy::default() });
    let (browsers, tabs): (_, Vec<TabId>) = (world.browsers.clone(), world.tabs.keys().copied().collect());
    let job = world.submit(&[CHROME_WASM]);
    let other = *tabs.iter().find(|tab| world.tab_of(job) != Some(**tab)).expect("two");
    world.opens_nothing = true;
    world.tell(Input::TabLost { tab: other, failure: crash() });
    for _ in 0..5 {
        world.wait(Policy::default().relaunch_pause_cap);
        if let Some(tab) = world.tab_of(job) {
            assert!(tabs.contains(&tab));
            world.answer(job, None);
        }
    }
    assert_eq!((&world.browsers, world.tabs.len(), world.given_up.as_slice()), (&browsers, 1, [].as_slice()));
    assert_eq!(world.ended[&job].0, Ok(()));
    world.opens_nothing = false;
    world.wait(Policy::default().relaunch_pause_cap);
    assert_eq!((&world.browsers, world.tabs.len()), (&browsers, 2));
}
