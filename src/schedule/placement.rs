//! Which tab runs a job, and why.
//!
//! Tabs that have room are scored by the product of their terms, each from 0 to 1 (see [`Placement`]):
//!
//! | term | is 1 | else |
//! |---|---|---|
//! | prior | where the model was measured; else where it ran best in earlier runs, or without those in the family's preferred browser, while the tab holds fewer than [`Policy::preferred_depth`] jobs | 0.4; half of it for a software adapter, and a little less for WebNN and WASM than for WebGPU |
//! | speed | where the model runs fastest | the time it takes there over the time here; 0.8 where only others are measured |
//! | health | | the lower of the tab's score and its target's, of 100 |
//! | load | for an idle tab | 1 / (1 + the work it holds, in runs of this model) |
//! | loaded | where the model is | 0.7 |
//!
//! What a job is to keep away from after a failure comes last whatever its score, and for a critical job a tab that
//! failed last time. A preference leaves no other browser idle behind a queue: beyond its depth it counts no more.

use super::{
    Policy, TargetSet,
    jobs::{Avoid, Job},
    per_target::PerTarget,
    sessions::Sessions,
    speeds::{Speed, Speeds},
    tabs::{Tab, Tabs},
    vitals::Vitals,
};
use crate::types::{Backend, Basis, Browser, Family, Placement, Priority, TabId, Target};
use std::time::Instant;

/// The prior of what is not preferred.
const NOT_PREFERRED: f64 = 0.4;
/// What a software adapter is worth beside what computes on the CPU by design.
const SOFTWARE: f64 = 0.5;
/// The speed of a target where the model was not measured, while it was on others.
const UNKNOWN_SPEED: f64 = 0.8;
/// What a tab is worth that has to load the model first.
const NOT_LOADED: f64 = 0.7;
/// Health below which it makes no further difference.
const LEAST_HEALTH: f64 = 0.05;
/// Tabs of one target that are looked at, the least loaded first: all of a usual fleet's, and a bound for a large one's. If
/// none of them has the model, one more is that was handed it lately.
const LOOKED_AT: usize = 4;

/// How many runs of jobs that may run together a tab may hold: the one it is at, and one so that it is never idle. What
/// waits meanwhile goes together, which it could not once it stood in the line.
const LINE_OF_RUNS: usize = 2;

/// The browser a family of models is sent to until measurements say otherwise.
pub const fn preferred_browser(family: Family) -> Option<Browser> {
    match family {
        Family::Text => Some(Browser::Edge),
        Family::Vision => Some(Browser::Chrome),
        Family::Audio => Some(Browser::Firefox),
        Family::Multimodal | Family::Other => None,
    }
}

/// What placement looks at.
pub(super) struct Placing<'a> {
    pub tabs: &'a Tabs,
    pub policy: &'a Policy,
    pub speeds: &'a Speeds,
    pub vitals: &'a PerTarget<Vitals>,
    pub sessions: &'a Sessions,
    pub software: TargetSet,
    pub now: Instant,
}

/// What is known of a job's targets together.
struct Prospects<'a> {
    speed: Option<&'a Speed>,
    recommended: TargetSet,
    preferred: Option<Browser>,
    fastest_ms: Option<f64>,
    explore: TargetSet,
}

impl Prospects<'_> {
    /// The tabs of the target with room that were handed the model last, each with what it holds: the one first that was
    /// handed it longest ago, which holds the least of it.
    fn recent<'a>(&self, target: Target, tabs: &'a Tabs) -> impl Iterator<Item = (usize, TabId, &'a Tab)> {
        let recent = self.speed.into_iter().flat_map(move |speed| speed.recent(target));
        recent.filter_map(|id| tabs.get_with_room(id).map(|tab| (tab.in_flight.len(), id, tab)))
    }
}

/// A tab that could be taken.
#[derive(Clone, Copy)]
struct Candidate {
    tab: TabId,
    target: Target,
    /// Whether the job need not keep away from it, and whether it is good enough for one that matters so much.
    welcome: (bool, bool),
    placement: Placement,
}

impl Candidate {
    fn is_better_than(&self, other: &Self) -> bool {
        let key = |one: &Self| (one.welcome, one.placement.explored);
        key(self).cmp(&key(other)).then(self.placement.score().total_cmp(&other.placement.score())).is_gt()
    }
}

impl Placing<'_> {
    /// The tab for `job` among those of `admitted` targets and why, or `None` when every one is full.
    pub fn choose(&self, job: &Job, admitted: TargetSet) -> Option<(TabId, Placement)> {
        let prospects = self.prospects(job, admitted);
        let (mut best, mut next, mut candidates) = (None::<Candidate>, None::<Candidate>, 0);
        for target in admitted.iter() {
            let (looked_at, of_target) = self.best_of(job, target, &prospects);
            candidates += looked_at;
            let Some(candidate) = of_target else { continue };
            if best.is_none_or(|best| candidate.is_better_than(&best)) {
                next = best.replace(candidate);
            } else if next.is_none_or(|next| candidate.is_better_than(&next)) {
                next = Some(candidate);
            }
        }
        let next_best = next.map(|next| (next.target, next.placement.score()));
        best.map(|best| (best.tab, Placement { candidates, next_best, ..best.placement }))
    }

    /// The best tab of a target, and how many were looked at.
    fn best_of(&self, job: &Job, target: Target, prospects: &Prospects<'_>) -> (u32, Option<Candidate>) {
        let placement = self.placement(job, target, prospects);
        let (mut looked_at, mut best) = (0, None::<Candidate>);
        let mut look_at = |(load, id, tab): (usize, TabId, &Tab)| {
            looked_at += 1;
            let (welcome, placement) = (welcome(job, target, id, tab), placement(load, tab));
            let candidate = Candidate { tab: id, target, welcome, placement };
            if best.is_none_or(|best| candidate.is_better_than(&best)) {
                best = Some(candidate);
            }
        };
        let has_model = |tab: &Tab| tab.loaded.contains(&job.spec.model);
        let (mut is_loaded, mut farthest) = (false, None);
        let with_room = self.tabs.with_room(target).filter_map(|(load, id)| Some((load, id, self.tabs.get(id)?)));
        for (load, id, tab) in with_room.filter(|found| self.fits(job, *found)).take(LOOKED_AT) {
            (is_loaded, farthest) = (is_loaded || has_model(tab), Some((load, id)));
            look_at((load, id, tab));
        }
        if !is_loaded {
            // Where there are many tabs, another may have the model.
            let mut recent = prospects.recent(target, self.tabs).filter(|(load, id, _)| Some((*load, *id)) > farthest);
            recent.find(|found| has_model(found.2) && self.fits(job, *found)).into_iter().for_each(look_at);
        }
        (looked_at, best)
    }

    fn prospects(&self, job: &Job, admitted: TargetSet) -> Prospects<'_> {
        let (speed, spec) = (self.speeds.of(job.spec.model), &job.spec);
        let recommended = spec.recommended.intersection(admitted);
        let known = admitted.iter().filter_map(|target| speed?.known_ms(target));
        // What may fail is not tried with what matters much, nor with a last attempt.
        let may_explore = spec.priority <= Priority::Normal && job.attempts.len() + 1 < spec.attempts as usize;
        let every = if may_explore { self.policy.explore_every } else { 0 };
        Prospects {
            speed,
            recommended,
            preferred: preferred_browser(spec.family).filter(|_| recommended.is_empty()),
            fastest_ms: known.min_by(f64::total_cmp),
            explore: speed.map_or(TargetSet::EMPTY, |speed| speed.to_explore(admitted, every)),
        }
    }

    /// Whether others may go before a job that no tab takes: when what keeps it from each is not how much that holds, it
    /// would be no nearer to its turn if nothing went before it.
    pub fn may_be_passed(&self, job: &Job, admitted: TargetSet) -> bool {
        let tabs = |target| self.tabs.with_room(target).take(LOOKED_AT);
        let taken = |id| self.tabs.get(id).is_some_and(|tab| self.is_taken_by_its_like(job, id, tab));
        admitted.iter().flat_map(tabs).all(|(_, id)| taken(id))
    }

    /// Whether a tab holds what such a job has to wait for, however little it is: enough runs of several, or, since its
    /// worker is ended before and after a job that wants it to itself, the state of a session.
    fn is_taken_by_its_like(&self, job: &Job, id: TabId, tab: &Tab) -> bool {
        (job.spec.batch.is_some() && tab.runs_of_rows() >= LINE_OF_RUNS)
            || (job.wants_solitude() && self.sessions.live_in(id))
    }

    /// Whether a tab that has room for a job has it for this one.
    fn fits(&self, job: &Job, (load, id, tab): (usize, TabId, &Tab)) -> bool {
        let fits_beside = || !job.wants_solitude() && tab.bytes + job.spec.bytes <= self.policy.in_flight_bytes_per_tab;
        (load == 0 || fits_beside()) && !self.is_taken_by_its_like(job, id, tab)
    }

    /// The terms of a tab of `target` that holds so many jobs.
    fn placement(&self, job: &Job, target: Target, prospects: &Prospects<'_>) -> impl Fn(usize, &Tab) -> Placement {
        let (model, now, depth) = (job.spec.model, self.now, self.policy.preferred_depth);
        let known_ms = prospects.speed.and_then(|speed| speed.known_ms(target));
        let run = prospects.speed.and_then(|speed| speed.expected(target));
        let is_preferred = prospects.recommended.contains(target) || prospects.preferred == Some(target.browser);
        let explored = prospects.explore.contains(target);
        let basis = match known_ms {
            Some(_) => Basis::Measured,
            None if !prospects.recommended.is_empty() => Basis::History,
            None if prospects.preferred.is_some() => Basis::Family,
            None => Basis::Nothing,
        };
        let of_its_kind = if self.software.contains(target) { SOFTWARE } else { 1.0 } * backend_prior(target.backend);
        let target_health = self.vitals[target].share(now);
        let speed = match (prospects.fastest_ms, known_ms) {
            (Some(fastest_ms), Some(known_ms)) => fastest_ms / known_ms,
            (Some(_), None) => UNKNOWN_SPEED,
            (None, _) => 1.0,
        };
        move |load, tab| {
            let prior = match known_ms {
                Some(_) => 1.0,
                None if is_preferred && load < depth => of_its_kind,
                None => NOT_PREFERRED * of_its_kind,
            };
            let ahead = match run {
                Some(run) if !tab.work.is_zero() && !run.is_zero() => tab.work.div_duration_f64(run),
                _ => load as f64,
            };
            Placement {
                prior,
                basis,
                speed,
                health: target_health.min(tab.vitals.share(now)).max(LEAST_HEALTH),
                load: 1.0 / (1.0 + ahead),
                loaded: if tab.loaded.contains(&model) { 1.0 } else { NOT_LOADED },
                expected_ms: run.map(|run| run.as_secs_f64() * 1e3),
                explored,
                candidates: 0,
                next_best: None,
            }
        }
    }
}

/// Whether the job need not keep away from the tab, and whether that is good enough for it.
fn welcome(job: &Job, target: Target, id: TabId, tab: &Tab) -> (bool, bool) {
    let keeps_away = job.avoid == Avoid::Target(target) || job.avoid == Avoid::Tab(id);
    (!keeps_away, !(job.spec.priority == Priority::Critical && tab.is_degraded()))
}

const fn backend_prior(backend: Backend) -> f64 {
    match backend {
        Backend::Webgpu => 1.0,
        Backend::Webnn => 0.99,
        Backend::Wasm => 0.98,
    }
}
