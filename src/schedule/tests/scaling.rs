//! The number of tabs follows the load, on a machine of so many cores.

use super::*;

const STEP: Duration = Duration::from_millis(50);

/// A target whose tabs share the cores of one machine; each job keeps one core busy for a while.
struct Machine {
    world: World,
    cores: f64,
    /// What each tab has done of its first job.
    done: BTreeMap<TabId, Duration>,
    /// How long a job of each model takes on a core of its own.
    works: Vec<Duration>,
    /// Most tabs there were that did not retire.
    most: usize,
    least: usize,
}

impl Machine {
    fn new(tabs: (usize, usize), cores: f64) -> Self {
        Self::with(tabs, cores, |_| {})
    }

    fn with((least, most): (usize, usize), cores: f64, change: impl FnOnce(&mut Policy)) -> Self {
        let scaling = Scaling { max_tabs: most, ..Scaling::default() };
        let for_ever = minutes(10_000);
        let (jobs, failures) = (u32::MAX, u32::MAX);
        let retirement = Retirement { jobs, failures, age: for_ever, idle: for_ever, ..Retirement::default() };
        let mut policy = Policy { scaling, retirement, tabs_per_target: least, canary: false, ..Policy::default() };
        change(&mut policy);
        let world = World::new(&[CHROME_WASM], policy);
        Self { world, cores, done: BTreeMap::new(), works: vec![Duration::from_millis(200)], most: 0, least }
    }

    fn tabs(&self) -> usize {
        let changed = self.world.scaled.last().map(|(_, _, to)| *to);
        changed.unwrap_or(self.least)
    }

    /// Time passes while so many jobs are kept under way.
    fn goes_on(&mut self, time: Duration, jobs: usize) {
        let until = self.world.now + time;
        while self.world.now < until {
            while self.world.scheduler.unfinished() < jobs {
                let (model, now) = (self.world.next_job % self.works.len() as u64, self.world.now);
                self.world.submit_spec(&[CHROME_WASM], |spec| {
                    spec.model = ModelId(model);
                    (spec.expires, spec.attempt_timeout) = (now + 1000 * time, 1000 * time);
                });
            }
            self.world.wait(STEP);
            self.most = self.most.max(self.world.tabs.len());
            let busy: Vec<(TabId, JobId)> =
                self.world.handed.iter().filter_map(|(tab, jobs)| Some((*tab, *jobs.first()?))).collect();
            let share = (self.cores / busy.len().max(1) as f64).min(1.0);
            for (tab, job) in busy {
                let work = self.works[(job.0 % self.works.len() as u64) as usize];
                let done = self.done.entry(tab).or_default();
                *done += STEP.mul_f64(share);
                if *done >= work {
                    *done = Duration::ZERO;
                    self.world.answer_after(job, work.mul_f64(1.0 / share).as_millis() as u64);
                }
            }
        }
    }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

#[test]
fn there_are_as_many_tabs_as_the_cores_have_a_use_for() {
    for (cores, tabs) in [(1.0, 1), (2.0, 2), (3.0, 3), (8.0, 4)] {
        let mut machine = Machine::new((1, 4), cores);
        machine.goes_on(minutes(5), 20);
        assert_eq!(machine.tabs(), tabs, "{cores} cores: {:?}", machine.world.scaled);
        assert!(machine.world.ended.values().all(|(how, attempts)| how.is_ok() && attempts.is_empty()));
    }
}

#[test]
fn a_tab_that_brought_nothing_is_tried_again_ever_more_rarely_but_is() {
    let mut machine = Machine::new((1, 4), 1.0);
    machine.goes_on(minutes(60), 20);
    let tries = machine.world.scaled.iter().filter(|(_, from, to)| to > from).count();
    // 30 s, doubled up to 15 minutes: five pauses in the first quarter of an hour, and then one in each.
    assert!((6..=10).contains(&tries), "{tries}");
    assert_eq!(machine.most, 2, "one at a time");
    machine.cores = 4.0;
    machine.goes_on(minutes(20), 20);
    assert_eq!(machine.tabs(), 4, "there are more cores now");
}

#[test]
fn a_further_tab_that_does_not_start_is_given_up_for_a_while_and_costs_the_first_nothing() {
    let mut machine = Machine::new((1, 4), 4.0);
    let (browsers, tabs) = (machine.world.browsers.clone(), machine.world.tabs.clone());
    machine.world.opens_nothing = true;
    machine.goes_on(minutes(3), 20);
    let back = machine.world.scaled.iter().filter(|(_, from, to)| to < from).count();
    assert!((2..=4).contains(&back), "after half a minute, a minute, two: {:?}", machine.world.scaled);
    assert_eq!((&machine.world.browsers, &machine.world.tabs), (&browsers, &tabs));
    assert_eq!(machine.world.given_up, []);
    assert!(machine.world.ended.values().all(|(how, attempts)| how.is_ok() && attempts.is_empty()));
    machine.world.opens_nothing = false;
    machine.goes_on(minutes(20), 20);
    assert_eq!(machine.tabs(), 4);
}

#[test]
fn idle_tabs_go_one_by_one_but_not_the_last_that_are_kept() {
    let mut machine = Machine::new((2, 4), 8.0);
    machine.goes_on(minutes(5), 20);
    assert_eq!(machine.tabs(), 4);
    let before = machine.world.scaled.len();
    machine.goes_on(Duration::from_secs(25), 0);
    assert_eq!(machine.tabs(), 4, "not at once");
    machine.goes_on(minutes(10), 0);
    assert_eq!(machine.tabs(), 2);
    assert_eq!(machine.world.scaled[before..], [(CHROME_WASM, 4, 3), (CHROME_WASM, 3, 2)]);
    assert_eq!((machine.world.retired.len(), machine.world.tabs.len()), (2, 2));
}

#[test]
fn a_number_that_may_not_change_does_not_and_a_moderate_load_needs_no_more_tabs() {
    let mut machine = Machine::new((2, 2), 8.0);
    machine.goes_on(minutes(5), 20);
    assert_eq!((machine.tabs(), machine.world.scaled.len()), (2, 0));
    let mut machine = Machine::new((2, 4), 8.0);
    machine.goes_on(minutes(5), 1);
    assert_eq!((machine.tabs(), machine.world.scaled.len()), (2, 0));
}

#[test]
fn no_tab_is_opened_for_which_the_browser_has_no_memory() {
    // The world's browser holds 1 GiB, so that another tab of the size of the two there are is above it.
    let limits = MemoryLimits { soft: 5 << 28, hard: 2 << 30 };
    let mut machine = Machine::with((2, 4), 8.0, |policy| {
        (policy.browser_memory, policy.health_check_interval) = (limits, Duration::from_secs(2));
    });
    machine.goes_on(minutes(5), 20);
    assert_eq!(machine.tabs(), 2, "{:?}", machine.world.scaled);
}

#[test]
fn what_is_compared_is_work_and_not_jobs() {
    let mut machine = Machine::new((1, 4), 2.0);
    machine.works = [400, 100, 150, 1000, 50].map(Duration::from_millis).to_vec();
    machine.goes_on(minutes(20), 20);
    assert_eq!(machine.tabs(), 2, "{:?}", machine.world.scaled);
}

/// As [`Machine::new`], of which the scheduler knows how many cores there are.
fn known(tabs: (usize, usize), cores: usize, threads: usize) -> Machine {
    let mut machine = Machine::with(tabs, cores as f64, |policy| policy.scaling.cores = Some(cores));
    machine.world.tell(Input::TargetThreads { target: CHROME_WASM, threads });
    machine
}

#[test]
fn no_tab_is_tried_at_once_for_which_the_cores_do_not_suffice() {
    let mut machine = known((1, 4), 2, 1);
    machine.goes_on(Duration::from_secs(25), 20);
    assert_eq!((machine.tabs(), machine.most), (2, 2), "{:?}", machine.world.scaled);
    machine.goes_on(minutes(5), 20);
    assert_eq!((machine.tabs(), machine.most), (2, 3), "it was tried later, and brought nothing");
    // Each tab says that it takes all cores, and does not.
    let mut machine = known((1, 4), 4, 4);
    machine.goes_on(Duration::from_secs(25), 20);
    assert_eq!(machine.most, 1);
    machine.goes_on(minutes(5), 20);
    assert_eq!(machine.tabs(), 4, "what is measured counts: {:?}", machine.world.scaled);
}

#[test]
fn cores_are_shared_by_all_browsers_that_are_at_work() {
    let scaling = Scaling { max_tabs: 4, cores: Some(2), ..Scaling::default() };
    let mut world = World::new(&[CHROME_WASM, FIREFOX_WASM], Policy { scaling, canary: false, ..one_tab() });
    for target in [CHROME_WASM, FIREFOX_WASM] {
        world.tell(Input::TargetThreads { target, threads: 1 });
    }
    for _ in 0..250 {
        while world.scheduler.unfinished() < 20 {
            let now = world.now;
            for target in [CHROME_WASM, FIREFOX_WASM] {
                world.submit_spec(&[target], |spec| spec.expires = now + minutes(10));
            }
        }
        world.wait(Duration::from_millis(100));
        let first: Vec<JobId> = world.handed.values().filter_map(|jobs| jobs.first().copied()).collect();
        first.into_iter().for_each(|job| world.answer(job, None));
    }
    assert_eq!(world.scaled, [], "each of the two keeps one core busy");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_the_load_the_number_stays_within_its_bounds_and_no_job_is_lost(
        least in 1..3_usize,
        more in 0..4_usize,
        cores in 1..6_u32,
        loads in prop::collection::vec((0..30_usize, 5..120_u64), 1..6),
    ) {
        let mut machine = Machine::new((least, least + more), f64::from(cores));
        for (jobs, seconds) in loads {
            machine.goes_on(Duration::from_secs(seconds), jobs);
        }
        machine.goes_on(Duration::from_secs(40 * (more as u64 + 2)), 0);
        prop_assert_eq!(machine.tabs(), least, "idle at last");
        prop_assert!(machine.most <= least + more);
        let mut now = least;
        for (_, from, to) in &machine.world.scaled {
            prop_assert_eq!(now, *from);
            prop_assert!(from.abs_diff(*to) == 1 && (least..=least + more).contains(to));
            now = *to;
        }
        prop_assert_eq!(machine.world.scheduler.unfinished(), 0);
        prop_assert!(machine.world.ended.values().all(|(how, attempts)| how.is_ok() && attempts.is_empty()));
    }
    /// For as long as nothing was measured, no more threads are at work than there are cores, but for those of the tabs
    /// that are always kept; in the end there are as many tabs as without the knowledge.
    #[test]
    fn cores_bound_what_is_tried_at_first_and_not_what_is_measured(
        least in 1..3_usize,
        more in 0..4_usize,
        cores in 1..6_usize,
        threads in 1..4_usize,
    ) {
        let bounds = (least, least + more);
        let mut machine = known(bounds, cores, threads);
        machine.goes_on(Duration::from_secs(28), 30);
        prop_assert!(machine.most * threads <= cores.max(least * threads), "{:?}", machine.world.scaled);
        machine.goes_on(minutes(10), 30);
        let mut unknown = Machine::new(bounds, cores as f64);
        unknown.goes_on(minutes(10), 30);
        prop_assert!(machine.tabs().abs_diff(unknown.tabs()) <= 1, "{} {}", machine.tabs(), unknown.tabs());
        prop_assert!(machine.world.ended.values().all(|(how, attempts)| how.is_ok() && attempts.is_empty()));
    }
}
