//! How many tabs a target is to have: more while its tabs are busy and jobs wait, as long as a further one is measured
//! to bring something; fewer when they idle.
//!
//! What a tab brings is not known beforehand. A model that takes every core leaves nothing to a second tab, one thread
//! on eight cores leaves seven, and a GPU has its own opinion. So a tab is tried: the work that was done in a second
//! before and after is compared, while jobs were waiting all the time, and one that brought too little goes again.

use crate::types::ModelId;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::RangeInclusive,
    time::{Duration, Instant},
};

/// How the number of a target's tabs follows its load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// Cores that the WASM threads of all tabs share; `None` is not known, and a fleet takes what the system tells.
    pub cores: Option<usize>,
    /// Most tabs of each target. Not more than [`Policy::tabs_per_target`](super::Policy::tabs_per_target), which are
    /// always kept, and the number is fixed.
    pub max_tabs: usize,
    /// One more is tried when tabs were busy for more than this part of the last two seconds, and jobs wait.
    pub up_above: f64,
    /// One goes when tabs were busy for less than this part of it…
    pub down_below: f64,
    /// … for so long.
    pub down_after: Duration,
    /// How much more work a further tab has to get done to be kept, as a part of what was done without it. Less is
    /// noise on a busy machine, and not worth a tab's memory.
    pub least_gain: f64,
    /// After a tab brought too little, the next is tried after this pause, which doubles each time in a row. So long jobs
    /// have to wait, too, before one is tried whose threads the cores do not suffice for: most bring nothing then, but
    /// those of models that wait for something else.
    pub retry_after: Duration,
    /// The longest such pause.
    pub retry_after_cap: Duration,
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            cores: None,
            max_tabs: 1,
            up_above: 0.95,
            down_below: 0.30,
            down_after: Duration::from_secs(30),
            least_gain: 0.10,
            retry_after: Duration::from_secs(30),
            retry_after_cap: Duration::from_secs(900),
        }
    }
}

/// How often tabs are looked at.
pub(super) const LOOKS: Duration = Duration::from_millis(100);
/// Looks that utilization is the mean of.
const WINDOW: usize = 20;
/// Stretches of time of which the median speed counts, so that one in which the machine did something else does not.
const STRETCHES: usize = 8;
/// Jobs in a stretch, at the least.
const STRETCH_JOBS: u32 = 5;
/// How long a stretch is, at the least.
const STRETCH_TIME: Duration = Duration::from_millis(250);
/// Which part of the jobs before and after must be of the same models for the two to be compared.
const SAME_MODELS: f64 = 0.9;

/// What is seen of a target's tabs at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Tabs that take jobs.
    pub ready: usize,
    /// Those of them that have one.
    pub busy: usize,
    /// Those of them that have answered one.
    pub seasoned: usize,
    /// Whether jobs wait for the target.
    pub waiting: bool,
    /// Whether the browser has memory left for another tab.
    pub has_memory: bool,
    /// Whether the cores suffice for the threads of another tab besides all that are busy.
    pub has_cores: bool,
}

/// A change of the number of tabs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub from: usize,
    pub to: usize,
    pub reason: String,
}

/// The scaling of one target.
#[derive(Debug)]
pub(super) struct Scale {
    bounds: RangeInclusive<usize>,
    wanted: usize,
    /// The busy part of the tabs, at the last looks.
    busy: VecDeque<f64>,
    low_since: Option<Instant>,
    stretch: Option<Stretch>,
    /// The last ones with as many tabs as now, all of the time with jobs waiting.
    stretches: VecDeque<Stretch>,
    /// Those with one tab fewer, while the newest is tried.
    before: Option<VecDeque<Stretch>>,
    pause: Duration,
    not_before: Option<Instant>,
    /// Since when another tab is wanted for which the cores do not suffice.
    short_of_cores: Option<Instant>,
}

/// What was done from the end of one job to the end of another.
#[derive(Clone, Debug)]
struct Stretch {
    since: Instant,
    took: Duration,
    jobs: BTreeMap<ModelId, u32>,
}

impl Stretch {
    fn count(&self) -> u32 {
        self.jobs.values().sum()
    }
}

impl Scale {
    pub fn new(bounds: RangeInclusive<usize>, policy: &Scaling) -> Self {
        Self {
            wanted: *bounds.start(),
            bounds,
            busy: VecDeque::new(),
            low_since: None,
            stretch: None,
            stretches: VecDeque::new(),
            before: None,
            pause: policy.retry_after,
            not_before: None,
            short_of_cores: None,
        }
    }

    /// How many tabs there are to be.
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// A job of the model was answered.
    pub fn answered(&mut self, model: ModelId, now: Instant) {
        let begin = Stretch { since: now, took: Duration::ZERO, jobs: BTreeMap::new() };
        let Some(stretch) = &mut self.stretch else {
            self.stretch = Some(begin);
            return;
        };
        *stretch.jobs.entry(model).or_default() += 1;
        stretch.took = now.saturating_duration_since(stretch.since);
        if stretch.count() >= STRETCH_JOBS && stretch.took >= STRETCH_TIME {
            self.stretches.extend(self.stretch.replace(begin));
            if self.stretches.len() > STRETCHES {
                self.stretches.pop_front();
            }
        }
    }

    /// Looks at the tabs and decides whether their number changes. `work` is how long a job of a model takes.
    pub fn look(
        &mut self,
        look: Look,
        policy: &Scaling,
        work: impl Fn(ModelId) -> Duration,
        now: Instant,
    ) -> Option<Change> {
        if look.ready == 0 {
            self.begin_anew();
            return None;
        }
        self.busy.push_back(look.busy as f64 / look.ready as f64);
        if self.busy.len() > WINDOW {
            self.busy.pop_front();
        }
        if !look.waiting || look.busy < look.ready {
            // What was done while there was too little to do tells nothing of what could be.
            self.stretch = None;
        }
        if self.before.is_some() && (look.ready < self.wanted || look.seasoned < look.ready) {
            // The new one is not there yet, or loads its first model.
            self.stretch = None;
            self.stretches.clear();
        }
        self.judge(policy, work, now).or_else(|| self.follow(look, policy, now))
    }

    /// The busy part of the time, once enough was seen.
    fn utilization(&self) -> Option<f64> {
        (self.busy.len() == WINDOW).then(|| self.busy.iter().sum::<f64>() / WINDOW as f64)
    }

    /// What the newest tab has brought, when enough was seen of it.
    fn judge(&mut self, policy: &Scaling, work: impl Fn(ModelId) -> Duration, now: Instant) -> Option<Change> {
        let before = self.before.as_ref().filter(|_| self.stretches.len() == STRETCHES)?;
        let Some(gain) = gain(before, &self.stretches, work) else {
            // Other models run now: it takes longer to tell.
            self.stretches.clear();
            return None;
        };
        self.before = None;
        if gain >= 1.0 + policy.least_gain {
            self.pause = policy.retry_after;
            return None;
        }
        let percent = 100.0 * (gain - 1.0);
        Some(self.take_back(format!("the last tab changed what is done in a second by {percent:+.0}%"), policy, now))
    }

    /// A tab did not start: the one that is tried, if one is.
    pub fn not_started(&mut self, why: &str, policy: &Scaling, now: Instant) -> Option<Change> {
        self.before.as_ref()?;
        Some(self.take_back(format!("a further tab did not start: {why}"), policy, now))
    }

    /// At least so many tabs are kept from now on, as far as there may be so many.
    pub fn keep(&mut self, least: usize) -> Option<Change> {
        let most = *self.bounds.end();
        let least = least.min(most);
        self.bounds = least..=most;
        if self.wanted < least {
            return Some(self.change(least, "so many are to have a model loaded".to_owned()));
        }
        // One that is needed anyway is not judged by what it brings.
        self.before = self.before.take().filter(|_| self.wanted > least);
        None
    }

    /// The tab that was tried goes, and the next is tried later.
    fn take_back(&mut self, reason: String, policy: &Scaling, now: Instant) -> Change {
        self.not_before = Some(now + self.pause);
        self.pause = (2 * self.pause).min(policy.retry_after_cap);
        self.change(self.wanted - 1, reason)
    }

    /// Up or down with the load.
    fn follow(&mut self, look: Look, policy: &Scaling, now: Instant) -> Option<Change> {
        let utilization = self.utilization()?;
        if utilization >= policy.down_below {
            self.low_since = None;
        }
        let percent = 100.0 * utilization;
        let is_wanted = utilization > policy.up_above && look.waiting && self.wanted < *self.bounds.end();
        if is_wanted && !look.has_cores {
            self.short_of_cores.get_or_insert(now);
        } else if utilization < policy.down_below {
            self.short_of_cores = None;
        }
        let has_waited = |since: Instant| now.saturating_duration_since(since) >= policy.retry_after;
        let may_try = self.before.is_none()
            && look.has_memory
            && self.not_before.is_none_or(|at| at <= now)
            && (look.has_cores || self.short_of_cores.is_some_and(has_waited));
        if is_wanted && may_try {
            if self.stretches.len() < STRETCHES || look.ready < self.wanted {
                return None;
            }
            let before = std::mem::take(&mut self.stretches);
            let change =
                self.change(self.wanted + 1, format!("tabs were busy {percent:.0}% of the time, and jobs wait"));
            self.before = Some(before);
            return Some(change);
        }
        let low = utilization < policy.down_below && self.wanted > *self.bounds.start();
        let since = *self.low_since.get_or_insert(now);
        if !low || now.saturating_duration_since(since) < policy.down_after {
            return None;
        }
        Some(self.change(self.wanted - 1, format!("tabs were busy {percent:.0}% of the time")))
    }

    fn change(&mut self, to: usize, reason: String) -> Change {
        let from = std::mem::replace(&mut self.wanted, to);
        self.before = None;
        self.begin_anew();
        Change { from, to, reason }
    }

    /// What was seen is of another number of tabs.
    fn begin_anew(&mut self) {
        self.busy.clear();
        self.low_since = None;
        self.short_of_cores = None;
        self.stretch = None;
        self.stretches.clear();
    }
}

/// How many times as much was done in a second after as before. A job counts as much as one of its model takes, the same
/// in both, so that it does not matter which came when. `None` when other models ran.
fn gain(before: &VecDeque<Stretch>, after: &VecDeque<Stretch>, work: impl Fn(ModelId) -> Duration) -> Option<f64> {
    let models = |stretches: &VecDeque<Stretch>| -> BTreeSet<ModelId> {
        stretches.iter().flat_map(|stretch| stretch.jobs.keys().copied()).collect()
    };
    let both: BTreeSet<ModelId> = models(before).intersection(&models(after)).copied().collect();
    let is_comparable = |stretches: &VecDeque<Stretch>| {
        let all: u32 = stretches.iter().map(Stretch::count).sum();
        let common = stretches.iter().flat_map(|stretch| &stretch.jobs).filter(|(model, _)| both.contains(model));
        let common: u32 = common.map(|(_, jobs)| *jobs).sum();
        f64::from(common) >= SAME_MODELS * f64::from(all)
    };
    let speed = |stretches: &VecDeque<Stretch>| {
        let mut speeds: Vec<f64> = stretches
            .iter()
            .map(|stretch| {
                let done = stretch.jobs.iter().map(|(model, jobs)| work(*model).as_secs_f64() * f64::from(*jobs));
                done.sum::<f64>() / stretch.took.as_secs_f64()
            })
            .collect();
        speeds.sort_by(f64::total_cmp);
        let middle = speeds.len() / 2;
        (speeds[middle - 1] + speeds[middle]) / 2.0
    };
    let comparable = is_comparable(before) && is_comparable(after);
    comparable.then(|| speed(after) / speed(before)).filter(|gain| gain.is_finite())
}
