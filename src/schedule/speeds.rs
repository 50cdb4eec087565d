//! How long runs of each model take on each target, by what was measured while the fleet runs.

use super::{TargetSet, by_id::ById, per_target::PerTarget};
use crate::types::{ModelId, TabId, Target};
use std::time::Duration;

/// Tabs of a target that are remembered to have been handed a model.
const RECENT: usize = 4;

/// Every model that has run, or was to run.
#[derive(Debug, Default)]
pub(super) struct Speeds(ById<ModelId, Speed>);

/// One model on every target.
#[derive(Debug, Default)]
pub(super) struct Speed {
    measured: PerTarget<Baseline>,
    /// The tabs of each target that were handed it last, the last one first.
    recent: PerTarget<Vec<TabId>>,
    /// How many jobs were placed that could have gone to several targets, since one was to find out how long it takes.
    since_explored: u32,
}

impl Speeds {
    /// What is known of a model; `None` when that is nothing.
    pub fn of(&self, model: ModelId) -> Option<&Speed> {
        self.0.get(&model)
    }

    /// Takes in a run and tells how many times what the model usually takes there it took, once that is known.
    pub fn take_in(&mut self, model: ModelId, target: Target, run: Duration) -> Option<f64> {
        self.0.entry(model).or_default().measured[target].take_in(run)
    }

    /// Takes in the first run in a tab, which compiles: it counts only while no other is known.
    pub fn take_in_cold(&mut self, model: ModelId, target: Target, run: Duration) -> Option<f64> {
        self.0.entry(model).or_default().measured[target].cold_ms = run.as_secs_f64() * 1e3;
        None
    }

    /// How long a run will take. The first run already says something of it.
    pub fn expected(&self, model: ModelId, target: Target) -> Option<Duration> {
        self.of(model)?.expected(target)
    }

    /// Counts a job that could have gone to several targets.
    pub fn count(&mut self, model: ModelId) {
        let speed = self.0.entry(model).or_default();
        speed.since_explored = speed.since_explored.saturating_add(1);
    }

    /// A tab was handed the model.
    pub fn handed(&mut self, model: ModelId, target: Target, tab: TabId) {
        let recent = &mut self.0.entry(model).or_default().recent[target];
        if recent.first() != Some(&tab) {
            recent.retain(|other| *other != tab);
            recent.truncate(RECENT - 1);
            recent.insert(0, tab);
        }
    }

    /// A job went to where it is found out how long it takes.
    pub fn explored(&mut self, model: ModelId) {
        self.0.entry(model).or_default().since_explored = 0;
    }

    /// Nobody has a handle to the model any more.
    pub fn forget(&mut self, model: ModelId) {
        self.0.remove(&model);
    }
}

impl Speed {
    /// How long a run will take on the target, if it ever ran there.
    pub fn expected(&self, target: Target) -> Option<Duration> {
        self.measured[target].mean()
    }

    /// The tabs of the target that were handed the model last, the last one last.
    pub fn recent(&self, target: Target) -> impl Iterator<Item = TabId> {
        self.recent[target].iter().rev().copied()
    }

    /// How long a run takes at the least, by what is known for certain; `None` until it is measured well enough.
    pub fn known_ms(&self, target: Target) -> Option<f64> {
        self.measured[target].least_ms()
    }

    /// What no run took less than lately, however much they differ, for a model's jobs may; `None` until it is measured
    /// well enough.
    pub fn shortest_ms(&self, target: Target) -> Option<f64> {
        let measured = &self.measured[target];
        (measured.runs >= Baseline::WARM_UP).then_some(measured.shortest_ms)
    }

    /// Where the next job that could go to several targets is to be tried, to learn how long it takes there: of every
    /// `every` jobs one goes to a target where the model was not measured well enough, while it is known how long it
    /// takes on another. When it is one's turn that may not, the next that may goes.
    pub fn to_explore(&self, among: TargetSet, every: u32) -> TargetSet {
        if every == 0 || self.since_explored < every - 1 {
            return TargetSet::EMPTY;
        }
        let unknown: TargetSet = among.iter().filter(|target| self.known_ms(*target).is_none()).collect();
        if unknown == among { TargetSet::EMPTY } else { unknown }
    }
}

/// How long runs of one model take on one target, by their own past.
#[derive(Clone, Copy, Debug, Default)]
struct Baseline {
    /// The last run that compiled; 0 before the first.
    cold_ms: f64,
    runs: u32,
    shortest_ms: f64,
    mean_ms: f64,
    /// The mean distance from the mean.
    deviation_ms: f64,
}

impl Baseline {
    /// Runs before it says anything, those not counted that compiled.
    const WARM_UP: u32 = 5;
    /// What a new run counts at the least, so that the past is forgotten.
    const WEIGHT: f64 = 0.02;

    /// Takes in a run and tells how many times the baseline it took; `None` while there is none.
    fn take_in(&mut self, run: Duration) -> Option<f64> {
        // Below the resolution of a browser's clock a ratio would be noise.
        let run_ms = (run.as_secs_f64() * 1e3).max(0.1);
        let slowdown = (self.runs >= Self::WARM_UP).then(|| run_ms / self.mean_ms);
        self.runs = self.runs.saturating_add(1);
        let forgotten = self.shortest_ms * (1.0 + Self::WEIGHT);
        self.shortest_ms = if self.runs == 1 { run_ms } else { run_ms.min(forgotten) };
        // A slow run moves the baseline little, so that a target that became slow is noticed before it is the norm.
        let bounded = if self.runs > Self::WARM_UP { run_ms.min(2.0 * self.mean_ms) } else { run_ms };
        let weight = (1.0 / f64::from(self.runs)).max(Self::WEIGHT);
        self.mean_ms += weight * (bounded - self.mean_ms);
        self.deviation_ms += weight * ((bounded - self.mean_ms).abs() - self.deviation_ms);
        slowdown
    }

    fn mean(&self) -> Option<Duration> {
        let ms = if self.runs > 0 { self.mean_ms } else { self.cold_ms };
        Duration::try_from_secs_f64(ms / 1e3).ok().filter(|mean| !mean.is_zero())
    }

    /// The mean less twice its standard error: what is not known for certain is held in favour of the target.
    fn least_ms(&self) -> Option<f64> {
        let runs = f64::from(self.runs).min(1.0 / Self::WEIGHT);
        let error_ms = self.deviation_ms / runs.sqrt();
        (self.runs >= Self::WARM_UP).then(|| (self.mean_ms - 2.0 * error_ms).max(self.mean_ms / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Backend, Browser};

    const MODEL: ModelId = ModelId(1);
    const CHROME: Target = Target::new(Browser::Chrome, Backend::Wasm);
    const FIREFOX: Target = Target::new(Browser::Firefox, Backend::Wasm);

    fn run(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_run_is_slow_by_the_models_own_past_and_the_past_does_not_follow_at_once() {
        let mut speeds = Speeds::default();
        (0..20).for_each(|_| _ = speeds.take_in(MODEL, CHROME, run(10)));
        let slowdowns: Vec<f64> = (0..5).filter_map(|_| speeds.take_in(MODEL, CHROME, run(100))).collect();
        assert!(slowdowns.iter().all(|times| *times > 7.0), "{slowdowns:?}");
    }

    #[test]
    fn a_run_that_compiles_counts_only_while_nothing_else_is_known() {
        let mut speeds = Speeds::default();
        assert_eq!(speeds.take_in_cold(MODEL, CHROME, run(3_000)), None);
        assert_eq!(speeds.expected(MODEL, CHROME), Some(run(3_000)));
        for _ in 0..5 {
            speeds.take_in(MODEL, CHROME, run(30));
            // In another tab.
            speeds.take_in_cold(MODEL, CHROME, run(3_000));
        }
        assert_eq!(speeds.expected(MODEL, CHROME), Some(run(30)));
        assert_eq!(speeds.of(MODEL).and_then(|speed| speed.known_ms(CHROME)), Some(30.0));
    }

    #[test]
    fn what_varies_is_known_less_well() {
        let mut speeds = Speeds::default();
        for n in 0..20 {
            speeds.take_in(MODEL, CHROME, run(10));
            speeds.take_in(MODEL, FIREFOX, run(if n % 2 == 0 { 5 } else { 15 }));
        }
        let known = |target| speeds.of(MODEL).and_then(|speed| speed.known_ms(target));
        let (even, varied) = (known(CHROME), known(FIREFOX));
        assert_eq!(even, Some(10.0));
        assert!(varied < Some(9.0) && varied > Some(5.0), "{varied:?}");
        assert!(speeds.of(ModelId(2)).is_none());
    }

    #[test]
    fn the_last_tabs_are_remembered_and_the_one_that_was_handed_the_model_longest_ago_comes_first() {
        let mut speeds = Speeds::default();
        for tab in [7, 1, 2, 3, 1, 4] {
            speeds.handed(MODEL, CHROME, TabId(tab));
        }
        let recent = |target| -> Vec<TabId> { speeds.of(MODEL).expect("handed").recent(target).collect() };
        assert_eq!(recent(CHROME), [2, 3, 1, 4].map(TabId));
        assert!(recent(FIREFOX).is_empty());
    }

    #[test]
    fn the_shortest_run_is_remembered_and_in_time_forgotten() {
        let mut speeds = Speeds::default();
        let shortest = |speeds: &Speeds| speeds.of(MODEL).and_then(|speed| speed.shortest_ms(CHROME));
        (0..4).for_each(|_| _ = speeds.take_in(MODEL, CHROME, run(10)));
        assert_eq!(shortest(&speeds), None);
        for _ in 0..10 {
            (0..9).for_each(|_| _ = speeds.take_in(MODEL, CHROME, run(1_000)));
            speeds.take_in(MODEL, CHROME, run(10));
        }
        assert_eq!(shortest(&speeds), Some(10.0), "some jobs take long, and others do not");
        (0..300).for_each(|_| _ = speeds.take_in(MODEL, CHROME, run(1_000)));
        assert_eq!(shortest(&speeds), Some(1_000.0));
    }

    #[test]
    fn one_of_so_many_jobs_goes_where_nothing_is_known_until_it_is() {
        let mut speeds = Speeds::default();
        let both = [CHROME, FIREFOX].into_iter().collect();
        let explored = |speeds: &mut Speeds| {
            (0..32)
                .filter(|_| {
                    let explores = speeds.of(MODEL).is_some_and(|speed| !speed.to_explore(both, 16).is_empty());
                    if explores {
                        speeds.explored(MODEL)
                    } else {
                        speeds.count(MODEL)
                    }
                    explores
                })
                .count()
        };
        assert_eq!(explored(&mut speeds), 0, "where nothing is known of any, the prior decides");
        (0..5).for_each(|_| _ = speeds.take_in(MODEL, CHROME, run(10)));
        assert_eq!(explored(&mut speeds), 2);
        (0..5).for_each(|_| _ = speeds.take_in(MODEL, FIREFOX, run(20)));
        assert_eq!(explored(&mut speeds), 0);
        speeds.forget(MODEL);
        assert_eq!(speeds.expected(MODEL, CHROME), None);
    }
}
