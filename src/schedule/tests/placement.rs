//! Which job goes next and where to, and what is stopped.

use super::*;
use crate::types::Priority;

const BOTH: [Target; 2] = [CHROME_WASM, FIREFOX_WASM];

impl World {
    /// Has the model run `times` times on each of the targets, in so many milliseconds each.
    fn measure(&mut self, model: u64, speeds: &[(Target, u64)], times: usize) {
        for (target, ms) in speeds {
            for _ in 0..times {
                let job = self.submit_spec(&[*target], |spec| spec.model = ModelId(model));
                self.answer_after(job, *ms);
            }
        }
    }

    pub(super) fn answer_after(&mut self, job: JobId, ms: u64) {
        let tab = self.tab_of(job).expect("the job is in a tab");
        self.handed.get_mut(&tab).expect("an open tab").retain(|handed| *handed != job);
        self.tell(Input::AttemptSucceeded { tab, job, run: Duration::from_millis(ms) });
    }
}

#[test]
fn a_critical_job_passes_all_that_wait_and_stands_behind_little_work() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.measure(1, &[(CHROME_WASM, 10)], 5);
    let low: Vec<JobId> =
        (0..50).map(|_| world.submit_spec(&[CHROME_WASM], |spec| spec.priority = Priority::Low)).collect();
    assert_eq!(low.iter().filter(|job| world.tab_of(**job).is_some()).count(), 1, "the tab holds 10 ms of work");
    let critical = world.submit_spec(&[CHROME_WASM], |spec| spec.priority = Priority::Critical);
    world.answer(low[0], None);
    assert!(world.tab_of(critical).is_some(), "after the one that ran");
}

#[test]
fn a_tab_holds_two_jobs_while_nobody_knows_how_long_they_take() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let tab = *world.tabs.keys().next().expect("one");
    let low: Vec<JobId> =
        (0..50).map(|_| world.submit_spec(&[CHROME_WASM], |spec| spec.priority = Priority::Low)).collect();
    assert_eq!(world.handed[&tab], low[..2]);
    let critical = world.submit_spec(&[CHROME_WASM], |spec| spec.priority = Priority::Critical);
    world.answer_after(low[0], 500);
    assert_eq!(world.handed[&tab], [low[1], critical]);
    // From then on it is known, and none stands behind a long run.
    world.answer_after(low[1], 500);
    assert_eq!(world.handed[&tab], [critical]);
}

#[test]
fn tabs_hold_as_many_short_jobs_as_hide_the_way_there_and_back() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.measure(1, &[(CHROME_WASM, 1)], 5);
    let jobs: Vec<JobId> = (0..20).map(|_| world.submit(&[CHROME_WASM])).collect();
    assert_eq!(jobs.iter().filter(|job| world.tab_of(**job).is_some()).count(), 4, "3 ms, and the one that runs");
}

#[test]
fn the_next_job_is_there_when_the_one_that_runs_is_done_and_no_sooner_than_it_need_be() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    world.measure(1, &[(CHROME_WASM, 20)], 5);
    let jobs: Vec<JobId> = (0..3).map(|_| world.submit(&[CHROME_WASM])).collect();
    let handed = |world: &World| jobs.iter().filter(|job| world.tab_of(**job).is_some()).count();
    assert_eq!(handed(&world), 1);
    let deadline = world.scheduler.next_deadline().expect("the second one waits for the end to be near");
    assert_eq!(deadline - world.now, Duration::from_micros(18_500), "1.5 ms before the end");
    world.wait(Duration::from_millis(18));
    assert_eq!(handed(&world), 1);
    world.wait(Duration::from_millis(1));
    assert_eq!(handed(&world), 2);
    // The first takes longer than was thought: no more is put behind it.
    world.wait(Duration::from_millis(100));
    assert_eq!(handed(&world), 2);
    world.answer(jobs[0], None);
    assert_eq!(handed(&world), 1, "the third waits for the end of the second to be near");
}

#[test]
fn what_was_measured_overrules_the_preference() {
    let mut world = World::new(&BOTH, one_tab());
    let audio = |world: &mut World| world.submit_spec(&BOTH, |spec| spec.family = Family::Audio);
    let job = audio(&mut world);
    assert_eq!(world.target_of(job), Some(FIREFOX_WASM));
    world.answer(job, None);
    world.measure(1, &[(FIREFOX_WASM, 30), (CHROME_WASM, 10)], 10);
    let job = audio(&mut world);
    assert_eq!(world.target_of(job), Some(CHROME_WASM));
}

#[test]
fn of_equals_the_tab_goes_first_that_has_the_model() {
    let mut world = World::new(&BOTH, one_tab());
    let job = world.submit_spec(&[FIREFOX_WASM], |spec| spec.model = ModelId(7));
    world.answer(job, None);
    let [same, other] = [7, 8].map(|model| {
        let job = world.submit_spec(&BOTH, |spec| spec.model = ModelId(model));
        let target = world.target_of(job);
        world.answer(job, None);
        target
    });
    assert_eq!((same, other), (Some(FIREFOX_WASM), Some(CHROME_WASM)));
}

#[test]
fn of_many_idle_tabs_the_one_goes_first_that_has_the_model() {
    let mut world =
        World::new(&[CHROME_WASM], Policy { tabs_per_target: 8, in_flight_per_tab: 1, ..Policy::default() });
    let others: Vec<JobId> =
        (0..6).map(|_| world.submit_spec(&[CHROME_WASM], |spec| spec.model = ModelId(2))).collect();
    let job = world.submit(&[CHROME_WASM]);
    let tab = world.tab_of(job).expect("there are eight");
    others.into_iter().chain([job]).for_each(|job| world.answer(job, None));
    let [again, beside] = [0; 2].map(|_| world.submit(&[CHROME_WASM]));
    assert_eq!(world.tab_of(again), Some(tab), "though six come before it");
    assert!(world.tab_of(beside).is_some_and(|other| other != tab), "and none waits for it");
}

#[test]
fn a_target_where_a_model_was_never_measured_is_tried_now_and_then_and_never_with_a_pinned_or_important_job() {
    let tried = |change: fn(&mut JobSpec), allowed: &[Target]| {
        let mut world = World::new(&BOTH, Policy { explore_every: 10, ..one_tab() });
        world.measure(1, &[(CHROME_WASM, 2)], 10);
        let targets: Vec<Option<Target>> = (0..200)
            .map(|_| {
                let job = world.submit_spec(allowed, change);
                let target = world.target_of(job);
                world.answer_after(job, if target == Some(CHROME_WASM) { 2 } else { 20 });
                target
            })
            .collect();
        targets.iter().filter(|target| **target == Some(FIREFOX_WASM)).count()
    };
    assert_eq!(tried(|_| {}, &BOTH), 6, "once to be loaded, and until it is measured");
    assert_eq!(tried(|_| {}, &[CHROME_WASM]), 0);
    assert_eq!(tried(|spec| spec.priority = Priority::High, &BOTH), 0);
    assert_eq!(tried(|spec| spec.attempts = 1, &BOTH), 0);
}

#[test]
fn trying_out_does_not_fall_on_those_alone_that_may_not() {
    let mut world = World::new(&BOTH, Policy { explore_every: 10, ..one_tab() });
    world.measure(1, &[(CHROME_WASM, 2)], 10);
    let tried = (0..200)
        .filter(|n| {
            let priority = if n % 2 == 0 { Priority::Normal } else { Priority::High };
            let job = world.submit_spec(&BOTH, |spec| spec.priority = priority);
            let target = world.target_of(job);
            world.answer_after(job, if target == Some(CHROME_WASM) { 2 } else { 20 });
            target == Some(FIREFOX_WASM)
        })
        .count();
    assert_eq!(tried, 6);
}

#[test]
fn a_first_run_that_compiles_is_no_measure_of_the_others() {
    let both = [CHROME_WEBGPU, CHROME_WASM];
    let mut world = World::new(&both, Policy { explore_every: 0, ..one_tab() });
    world.measure(1, &[(CHROME_WEBGPU, 3_000), (CHROME_WASM, 60)], 1);
    world.measure(1, &[(CHROME_WEBGPU, 30), (CHROME_WASM, 60)], 5);
    let job = world.submit(&both);
    assert_eq!(world.target_of(job), Some(CHROME_WEBGPU));
}

#[test]
fn each_placement_says_why() {
    let now = Instant::now();
    let mut world = World::new(&BOTH, one_tab());
    world.measure(1, &[(CHROME_WASM, 20), (FIREFOX_WASM, 10)], 10);
    let job = JobId(1_000);
    let spec = world.spec(&BOTH);
    world.scheduler.handle(Input::Submit { job, spec }, now);
    let Some(Action::StartAttempt { placement, .. }) = world.scheduler.next_action() else { panic!("it starts") };
    assert_eq!((placement.prior, placement.speed, placement.load, placement.loaded), (1.0, 1.0, 1.0, 1.0));
    assert_eq!((placement.expected_ms, placement.candidates), (Some(10.0), 2));
    let (next, score) = placement.next_best.expect("there was another");
    assert_eq!((next, (score * 10.0).round()), (CHROME_WASM, 5.0));
    assert!(placement.to_string().contains("next chrome/wasm"), "{placement}");
}

#[test]
fn a_job_that_expires_while_a_tab_works_on_it_ends_the_work() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let job = world.submit_spec(&[CHROME_WASM], |spec| {
        spec.expires -= Duration::from_secs(58);
        spec.attempt_timeout = Duration::from_secs(60);
    });
    let tab = world.tab_of(job).expect("handed out");
    world.wait(Duration::from_secs(2));
    assert_eq!(world.ended[&job].0, Err(Cause::DeadlineExceeded));
    assert_eq!(world.restarted, [tab]);
}

#[test]
fn a_cancelled_job_that_is_not_done_soon_ends_with_its_worker() {
    let mut world = World::new(&[CHROME_WASM], one_tab());
    let [cancelled, behind] = [0; 2].map(|_| {
        world.submit_spec(&[CHROME_WASM], |spec| {
            spec.attempt_timeout = Duration::from_secs(50);
        })
    });
    world.tell(Input::Cancel { job: cancelled });
    assert_eq!(world.ended[&cancelled].0, Err(Cause::Cancelled));
    assert_eq!(world.restarted, []);
    world.wait(Policy::default().cancel_grace);
    assert_eq!(world.restarted.len(), 1);
    world.answer(behind, None);
    assert_eq!((world.ended[&behind].0, world.ended[&behind].1.len()), (Ok(()), 0), "it was not its doing");
}
