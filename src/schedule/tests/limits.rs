//! Limits of jobs under way, and how long jobs wait for their turn.

use super::*;

fn in_flight(world: &World, browser: Browser) -> usize {
    let of_browser = |tab: &TabId| world.tabs.get(tab).is_some_and(|(_, target)| target.browser == browser);
    world.handed.iter().filter(|(tab, _)| of_browser(tab)).map(|(_, jobs)| jobs.len()).sum()
}

#[test]
fn a_browsers_tabs_hold_no_more_than_its_limit_and_the_first_come_go_first() {
    let policy = Policy { tabs_per_target: 2, in_flight_per_browser: Some(3), ..Policy::default() };
    let mut world = World::new(&[CHROME_WASM, CHROME_WEBGPU, FIREFOX_WASM], policy);
    let jobs: Vec<JobId> = (0..12).map(|_| world.submit(&[CHROME_WASM, CHROME_WEBGPU])).collect();
    assert_eq!(in_flight(&world, Browser::Chrome), 3);
    let elsewhere = world.submit(&[FIREFOX_WASM]);
    assert_eq!(world.target_of(elsewhere), Some(FIREFOX_WASM));
    for (done, job) in jobs.iter().enumerate() {
        assert_eq!(in_flight(&world, Browser::Chrome), 3.min(jobs.len() - done));
        assert!(world.tab_of(*job).is_some(), "it came before those that wait");
        world.answer(*job, None);
    }
    assert!(world.ended.values().all(|(how, _)| how.is_ok()));
}

#[test]
fn a_job_that_had_no_turn_in_time_ends_with_the_limit_that_it_met() {
    let second = Duration::from_secs(1);
    for (in_flight_per_browser, cause) in [(Some(1), Cause::BrowserLimit), (None, Cause::TabLimit)] {
        let policy = Policy { in_flight_per_tab: 1, in_flight_per_browser, ..Policy::default() };
        let tabs_per_target = if cause == Cause::BrowserLimit { 2 } else { 1 };
        let mut world = World::new(&[CHROME_WASM], Policy { tabs_per_target, ..policy });
        let patient = |spec: &mut JobSpec| spec.attempt_timeout = 60 * second;
        let first = world.submit_spec(&[CHROME_WASM], patient);
        let soon = world.now + second;
        let waiting = world.submit_spec(&[CHROME_WASM], |spec| spec.turn_by = soon);
        let patient = world.submit_spec(&[CHROME_WASM], patient);
        world.wait(second);
        assert_eq!(world.ended[&waiting].0, Err(cause));
        assert_eq!(world.ended.len(), 1);
        world.answer(first, None);
        // Had its turn in time, whatever it takes from then on.
        world.wait(10 * second);
        world.answer(patient, None);
        assert_eq!((world.ended[&first].0, world.ended[&patient].0), (Ok(()), Ok(())));
    }
}
