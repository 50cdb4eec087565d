//! Stages of pipelines: homes, spares, and what happens when either is lost.

use super::*;
use crate::{schedule::StageSpec, types::PipelineId};

const EDGE_WASM: Target = Target::new(Browser::Edge, Backend::Wasm);

fn spec(targets: &[Target]) -> StageSpec {
    StageSpec {
        pipeline: PipelineId(1),
        allowed: targets.iter().copied().collect(),
        preferred: TargetSet::EMPTY,
        bytes: 100,
        tab_limit: None,
        spares: 0,
        load_timeout: Duration::from_secs(60),
    }
}

impl World {
    fn declare(&mut self, model: u64, spec: StageSpec) {
        self.tell(Input::DeclareStage { model: ModelId(model), spec });
    }

    fn submit_stage(&mut self, model: u64, targets: &[Target]) -> JobId {
        self.submit_spec(targets, |spec| spec.model = ModelId(model))
    }

    /// Where a job of the stage goes just now.
    fn home(&mut self, model: u64, targets: &[Target]) -> TabId {
        let job = self.submit_stage(model, targets);
        let tab = self.tab_of(job).expect("the stage has a home");
        self.answer(job, None);
        tab
    }
}

#[test]
fn stages_of_one_pipeline_live_in_tabs_of_their_own() {
    let both = [CHROME_WASM, FIREFOX_WASM];
    let mut world = World::new(&both, Policy { tabs_per_target: 2, ..Policy::default() });
    (1..=4).for_each(|model| world.declare(model, spec(&both)));
    assert_eq!(world.warmed.len(), 4, "they are loaded before anybody asks");
    let homes: BTreeSet<TabId> = (1..=4).map(|model| world.home(model, &both)).collect();
    assert_eq!(homes.len(), 4);
    let again: BTreeSet<TabId> = (1..=4).map(|model| world.home(model, &both)).collect();
    assert_eq!(homes, again);
}

#[test]
fn a_busy_home_has_its_jobs_wait_in_order_and_holds_up_nobody_else() {
    let targets = [CHROME_WASM];
    let mut world = World::new(&targets, Policy { tabs_per_target: 2, in_flight_per_tab: 2, ..Policy::default() });
    world.declare(1, spec(&targets));
    world.declare(2, spec(&targets));
    let jobs: Vec<JobId> = (0..6).map(|_| world.submit_stage(1, &targets)).collect();
    let at_work = |world: &World| jobs.iter().filter(|job| world.tab_of(**job).is_some()).count();
    assert_eq!(at_work(&world), 2, "though the other tab is idle");
    let other = world.submit_stage(2, &targets);
    assert!(world.tab_of(other).is_some());
    for job in &jobs {
        assert!(world.tab_of(*job).is_some(), "first come, first served");
        world.answer(*job, None);
    }
    assert!(jobs.iter().all(|job| world.ended[job].0 == Ok(())));
}

#[test]
fn a_stages_jobs_hold_up_what_waits_in_the_queue_for_two_runs_at_the_most() {
    let targets = [CHROME_WASM];
    let mut world = World::new(&targets, one_tab());
    world.declare(1, spec(&targets));
    let tab = world.home(1, &targets);
    (0..30).for_each(|_| _ = world.submit_stage(1, &targets));
    assert_eq!(world.handed[&tab].len(), 2, "each takes 10 ms: the one that runs, and the next");
    let jobs = [0; 3]
        .map(|_| world.submit_spec(&targets, |spec| (spec.model, spec.priority) = (ModelId(2), Priority::Critical)));
    let mut answers = 0;
    for job in jobs {
        while !world.ended.contains_key(&job) {
            let head = world.handed[&tab][0];
            world.answer(head, None);
            answers += 1;
        }
    }
    assert_eq!(answers, 9, "two of the stage, one of the others");
}

#[test]
fn a_spare_in_another_browser_takes_over_at_once_and_gets_a_spare_of_its_own() {
    let targets = [CHROME_WASM, FIREFOX_WASM, EDGE_WASM];
    let mut world = World::new(&targets, one_tab());
    world.declare(1, StageSpec { spares: 1, ..spec(&targets) });
    let home = world.home(1, &targets);
    let job = world.submit_stage(1, &targets);
    let lost = world.tabs[&home].0;
    assert_eq!(world.warmed.len(), 2);
    let exit = world.browser_ends(lost);
    world.tell(exit);
    let now_at = world.tab_of(job).expect("it moved at once");
    assert_ne!(world.tabs[&now_at].0, lost);
    assert!(world.warmed[..2].contains(&(now_at, ModelId(1))), "to where it was loaded already");
    assert_eq!(world.warmed.len(), 3, "and there is a spare again");
    world.answer(job, None);
    assert_eq!(world.ended[&job].0, Ok(()));
}

#[test]
fn a_home_beside_another_stage_moves_when_there_is_a_better_place() {
    let targets = [CHROME_WASM, FIREFOX_WASM];
    let mut world = World::new(&targets, one_tab());
    world.declare(1, spec(&targets));
    world.declare(2, spec(&targets));
    let homes = [world.home(1, &targets), world.home(2, &targets)];
    assert_ne!(homes[0], homes[1]);
    let exit = world.browser_ends(world.tabs[&homes[1]].0);
    world.tell(exit);
    assert_eq!(world.home(2, &targets), homes[0], "better together than not at all");
    world.wait(Duration::from_secs(5));
    let apart = [world.home(1, &targets), world.home(2, &targets)];
    assert_ne!(apart[0], apart[1]);
}

#[test]
fn stages_are_where_they_are_preferred_until_they_cannot_be_loaded_there() {
    let targets = [CHROME_WASM, FIREFOX_WASM];
    let mut world = World::new(&targets, one_tab());
    let on = |target| StageSpec { preferred: [target].into_iter().collect(), ..spec(&targets) };
    world.declare(1, on(FIREFOX_WASM));
    world.declare(2, on(FIREFOX_WASM));
    assert_eq!(world.home(1, &targets), world.home(2, &targets));
    let job = world.submit_spec(&targets, |spec| (spec.model, spec.attempts) = (ModelId(1), 3));
    assert_eq!(world.target_of(job), Some(FIREFOX_WASM));
    world.answer(job, Some(Failure::new(Cause::ModelRun, "no such kernel")));
    assert_eq!(world.target_of(job), Some(CHROME_WASM));
    world.answer(job, None);
    let (first, second) = (world.home(1, &targets), world.home(2, &targets));
    assert_eq!((world.tabs[&first].1, world.tabs[&second].1), (CHROME_WASM, FIREFOX_WASM));
}

#[test]
fn what_does_not_fit_beside_the_others_ends_with_the_reason() {
    let targets = [CHROME_WASM];
    let mut world = World::new(&targets, one_tab());
    world.declare(1, StageSpec { tab_limit: Some(150), ..spec(&targets) });
    world.declare(2, StageSpec { tab_limit: Some(150), ..spec(&targets) });
    let fits = world.submit_stage(1, &targets);
    assert!(world.tab_of(fits).is_some());
    let job = world.submit_stage(2, &targets);
    assert_eq!(world.ended[&job].0, Err(Cause::NoTarget));
}

#[test]
fn a_spare_gives_way_to_a_home() {
    let targets = [CHROME_WASM, FIREFOX_WASM];
    let mut world = World::new(&targets, one_tab());
    let limited = StageSpec { tab_limit: Some(150), ..spec(&targets) };
    world.declare(1, StageSpec { spares: 1, ..limited.clone() });
    world.declare(2, limited);
    let homes = [world.home(1, &targets), world.home(2, &targets)];
    assert_ne!(homes[0], homes[1]);
}

#[test]
fn a_forgotten_stage_leaves_nothing() {
    let targets = [CHROME_WASM];
    let mut world = World::new(&targets, Policy { in_flight_per_tab: 1, ..one_tab() });
    world.declare(1, spec(&targets));
    let jobs: Vec<JobId> = (0..3).map(|_| world.submit_stage(1, &targets)).collect();
    world.tell(Input::ForgetModel { model: ModelId(1) });
    assert!(jobs[1..].iter().all(|job| world.ended[job].0 == Err(Cause::Cancelled)));
    world.answer(jobs[0], None);
    assert_eq!((world.scheduler.queued(), world.scheduler.unfinished()), (0, 0));
}

proptest! {
    /// Whatever dies, every job of every stage ends exactly once, and well while a browser is left to come back.
    #[test]
    fn jobs_of_stages_outlive_their_homes(deaths in proptest::collection::vec(0..3_usize, 0..12), spares in 0..2_usize) {
        let targets = [CHROME_WASM, FIREFOX_WASM, EDGE_WASM];
        let mut world = World::new(&targets, one_tab());
        (1..=3).for_each(|model| world.declare(model, StageSpec { spares, ..spec(&targets) }));
        let mut jobs = Vec::new();
        for (round, death) in deaths.into_iter().enumerate() {
            jobs.push(world.submit_spec(&targets, |spec| {
                spec.model = ModelId(round as u64 % 3 + 1);
                spec.attempts = 20;
            }));
            if let Some(browser) = world.browsers.keys().nth(death).copied() {
                let exit = world.browser_ends(browser);
                world.tell(exit);
            }
            world.wait(Duration::from_millis(700));
        }
        for _ in 0..40 {
            world.wait(Duration::from_millis(500));
            let at_work: Vec<JobId> = jobs.iter().copied().filter(|job| world.tab_of(*job).is_some()).collect();
            at_work.into_iter().for_each(|job| world.answer(job, None));
        }
        for job in &jobs {
            // A job that two browsers died of is quarantined, as any other; and a browser that dies again and again
            // without having answered is given up.
            let ended = world.ended.get(job).map(|(result, _)| *result);
            let lost = ended == Some(Err(Cause::NoTarget)) || ended == Some(Err(Cause::BrowserExited));
            let excused = lost && world.given_up.len() == targets.len();
            prop_assert!(excused || matches!(ended, Some(Ok(()) | Err(Cause::Quarantined))), "{job}: {ended:?}");
        }
        prop_assert_eq!(world.scheduler.unfinished(), 0);
    }
}
