//! One tab: its life, and what it has been handed.

use super::Line;
use crate::{
    schedule::{batching::budget::Budget, breakers::Permits, vitals::Vitals},
    types::{BrowserId, JobId, ModelId, Placement, TabId, TabStage, Target},
};
use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// What stands in a tab's line for its health check: no job ever has this number.
pub(in crate::schedule) const CANARY: JobId = JobId(0);

/// What stands in a tab's line for a model that it loads before a job needs it: no job ever has this number.
pub(in crate::schedule) const WARM_UP: JobId = JobId(u64::MAX);

/// Where a tab is in its life. The instants are when it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum Stage {
    /// The page was asked for; its worker is not yet connected. `None` while the browser is at it: its driver may open
    /// one tab after the other, and tells when it cannot.
    Opening(Option<Instant>),
    /// The worker is connected; its backend is not yet ready.
    Starting(Instant),
    /// It takes jobs.
    Ready,
    /// Its socket is closed, and nobody has said why.
    Cut(Instant),
    /// Its worker is to be ended; the next one is not yet connected. `None` while the browser is at it, as above.
    Restarting(Option<Instant>),
    /// It finishes what it holds, and goes.
    Retiring,
}

impl Stage {
    /// Whether a tab may go from this stage to `next`. From each it may also end.
    const fn may_become(self, next: Self) -> bool {
        match next {
            Self::Opening(_) => false,
            Self::Starting(_) => !matches!(self, Self::Retiring),
            Self::Ready => matches!(self, Self::Starting(_)),
            Self::Cut(_) | Self::Retiring => matches!(self, Self::Ready),
            Self::Restarting(_) => matches!(self, Self::Ready | Self::Cut(_)),
        }
    }
}

impl From<Stage> for TabStage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Opening(_) => Self::Opening,
            Stage::Starting(_) => Self::Starting,
            Stage::Ready => Self::Ready,
            Stage::Cut(_) => Self::Cut,
            Stage::Restarting(_) => Self::Restarting,
            Stage::Retiring => Self::Retiring,
        }
    }
}

/// Whether a tab takes another job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::schedule) enum Room {
    Now,
    /// From then on, if nothing else happens.
    From(Instant),
    None,
}

/// A job that was handed to a tab and is not yet answered, or the canary.
#[derive(Debug)]
pub(in crate::schedule) struct InFlight {
    pub job: JobId,
    /// Who runs together with it.
    pub with: Companions,
    pub bytes: usize,
    /// How long the worker may be at it.
    pub timeout: Duration,
    /// How long it will take, by what was measured; zero where nothing was.
    pub work: Duration,
    /// Whether it wants the worker to itself.
    pub alone: bool,
    /// Whether it waited in the queue. Calls of sessions and jobs of stages come from elsewhere.
    pub queued: bool,
    /// Whether the tab loads the model for it: then it compiles, and its run says little of others.
    pub cold: bool,
    /// The breakers' leave to run it, given back when this is dropped.
    pub permits: Option<Permits>,
    /// The model to be loaded, where that is all.
    pub loads: Option<ModelId>,
}

/// Those who run together with a job.
#[derive(Debug, Default)]
pub(in crate::schedule) struct Companions {
    pub jobs: Vec<JobId>,
    /// Of how many rows the run is, the job's own included; 0 for a job that may only run alone.
    pub rows: usize,
}

impl InFlight {
    /// The canary.
    pub fn canary(timeout: Duration, permits: Option<Permits>) -> Self {
        Self { permits, ..Self::of_no_job(CANARY, timeout) }
    }

    /// A model that is loaded before a job needs it.
    pub fn load(model: ModelId, timeout: Duration) -> Self {
        Self { loads: Some(model), ..Self::of_no_job(WARM_UP, timeout) }
    }

    fn of_no_job(job: JobId, timeout: Duration) -> Self {
        Self {
            job,
            with: Companions::default(),
            bytes: 0,
            timeout,
            work: Duration::ZERO,
            alone: false,
            queued: false,
            cold: false,
            permits: None,
            loads: None,
        }
    }

    /// All whose run it is.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        std::iter::once(self.job).chain(self.with.jobs.iter().copied())
    }
}

/// The job that a tab worked on when its socket closed. It has moved on; what it is to be blamed for is not yet known.
#[derive(Debug)]
pub(in crate::schedule) struct Suspect {
    pub job: JobId,
    pub model: ModelId,
    /// The number of the attempt; `None` while the job itself still waits for the verdict, since this was its last one.
    pub number: Option<u32>,
    pub elapsed_ms: f64,
    pub permits: Option<Permits>,
    /// How many ran together. Several have moved on with no attempt spent.
    pub jobs: usize,
}

#[derive(Debug)]
pub(in crate::schedule) struct Tab {
    pub target: Target,
    pub browser: BrowserId,
    pub stage: Stage,
    /// In the order in which the worker serves them; the first is the one being worked on.
    pub in_flight: VecDeque<InFlight>,
    pub bytes: usize,
    /// How long all of `in_flight` takes, as far as that is known.
    pub work: Duration,
    /// Whether little of that is left, since the worker is nearly done with the first.
    pub is_short: bool,
    /// How much a run of several jobs may take.
    pub budget: Budget,
    /// The models whose sessions it holds.
    pub loaded: BTreeSet<ModelId>,
    /// When the worker turned to the first of `in_flight`.
    pub head_since: Instant,
    pub suspect: Option<Suspect>,
    pub vitals: Vitals,
    /// When it was asked whether it is there, and has not yet said so.
    pub pinged: Option<Instant>,
    pub missed_heartbeats: u32,
    /// When it was last told to be ready; `None` before the first time.
    pub ready_since: Option<Instant>,
    pub opened: Instant,
    /// Jobs that it was done with, well or not.
    pub jobs: u32,
    /// When it was last handed a job, or was done with one.
    pub last_job: Instant,
    /// How often it failed.
    pub failures: u32,
    /// Why it is to be replaced by a fresh one, if it is.
    pub worn: Option<String>,
    /// The tab that is to stand in for it.
    pub successor: Option<TabId>,
    /// Whether its worker has been handed a job, or a model to load.
    pub is_used: bool,
    /// Whether that was one which wants the worker to itself.
    pub is_alone: bool,
    /// The job that its next worker is for.
    pub reserved: Option<(JobId, Placement)>,
}

impl Tab {
    pub fn new(target: Target, browser: BrowserId, now: Instant) -> Self {
        Self {
            target,
            browser,
            stage: Stage::Opening(None),
            in_flight: VecDeque::new(),
            bytes: 0,
            work: Duration::ZERO,
            is_short: false,
            budget: Budget::new(now),
            loaded: BTreeSet::new(),
            head_since: now,
            suspect: None,
            vitals: Vitals::default(),
            pinged: None,
            missed_heartbeats: 0,
            ready_since: None,
            opened: now,
            jobs: 0,
            last_job: now,
            failures: 0,
            worn: None,
            successor: None,
            is_used: false,
            is_alone: false,
            reserved: None,
        }
    }

    /// Goes on to the next stage of its life, if there is a way there; tells whether there was.
    pub fn enter(&mut self, next: Stage) -> bool {
        let may = self.stage.may_become(next);
        if may {
            self.stage = next;
        }
        may
    }

    /// Hands it a job, or the canary.
    pub fn hand(&mut self, in_flight: InFlight, now: Instant) {
        if self.in_flight.is_empty() {
            self.head_since = now;
        }
        self.budget.busy(now);
        self.bytes += in_flight.bytes;
        self.work += in_flight.work;
        self.is_short = false;
        self.is_used |= in_flight.job != CANARY;
        if in_flight.job != CANARY && in_flight.job != WARM_UP {
            self.last_job = now;
        }
        self.is_alone |= in_flight.alone;
        self.in_flight.push_back(in_flight);
    }

    /// Takes what stands at `position` out of its line.
    pub fn take(&mut self, position: usize, now: Instant) -> Option<InFlight> {
        let in_flight = self.in_flight.remove(position)?;
        self.bytes -= in_flight.bytes;
        self.work -= in_flight.work;
        if in_flight.job != CANARY && in_flight.job != WARM_UP {
            self.jobs += in_flight.jobs().count() as u32;
            self.last_job = now;
        }
        (self.head_since, self.is_short) = (now, false);
        if self.in_flight.is_empty() {
            self.budget.idle(now);
        }
        self.budget.adapt(now);
        Some(in_flight)
    }

    /// Takes everything out of its line.
    pub fn clear(&mut self, now: Instant) -> VecDeque<InFlight> {
        self.budget.idle(now);
        (self.bytes, self.work, self.is_short) = (0, Duration::ZERO, false);
        std::mem::take(&mut self.in_flight)
    }

    /// How many runs of jobs that may run together it holds.
    pub fn runs_of_rows(&self) -> usize {
        self.in_flight.iter().filter(|in_flight| in_flight.with.rows > 0).count()
    }

    /// Whether it holds as much as a tab should: so many jobs, or so much work, and while it is not known how much that is,
    /// two.
    pub fn holds_enough(&self, line: Line) -> bool {
        let held = self.in_flight.len();
        let is_unknown = |in_flight: &InFlight| in_flight.work.is_zero();
        held >= line.jobs
            || (self.work > line.work && !self.is_short)
            || (held >= 2 && self.in_flight.iter().any(is_unknown))
    }

    /// Whether another job may be handed to it.
    pub fn room(&self, line: Line) -> Room {
        let held = self.in_flight.len();
        if self.stage != Stage::Ready || self.is_alone {
            Room::None
        } else if held == 0 || !self.holds_enough(line) {
            Room::Now
        } else if held == 1 && line.jobs > 1 {
            // Behind a long run the next job is there in time.
            Room::From(self.head_since + (self.work - line.work / 2))
        } else if held > 1 && !self.in_flight.iter().any(|in_flight| in_flight.queued) {
            // Those who come by other ways never let the line end: what waits in the queue has one place in it.
            Room::Now
        } else {
            Room::None
        }
    }

    /// Whether models stand in its line that it is to load.
    pub fn loads(&self) -> bool {
        self.in_flight.iter().any(|in_flight| in_flight.job == WARM_UP)
    }

    /// Whether the canary stands in its line.
    pub fn runs_canary(&self) -> bool {
        self.in_flight.iter().any(|in_flight| in_flight.job == CANARY)
    }

    /// Whether it failed and has not succeeded since.
    pub const fn is_degraded(&self) -> bool {
        self.vitals.failures_in_a_row() > 0
    }

    /// When the tab's present stage, or the job it works on, has taken too long.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Opening(at) | Stage::Restarting(at) => at,
            Stage::Starting(at) | Stage::Cut(at) => Some(at),
            Stage::Ready | Stage::Retiring => self.in_flight.front().map(|head| self.head_since + head.timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tab_goes_only_where_its_life_leads() {
        let at = Instant::now();
        let stages = [
            Stage::Opening(None),
            Stage::Starting(at),
            Stage::Ready,
            Stage::Cut(at),
            Stage::Restarting(None),
            Stage::Retiring,
        ];
        let ways: Vec<String> = stages
            .iter()
            .map(|from| {
                let to = stages.iter().filter(|to| from.may_become(**to)).map(|to| TabStage::from(*to).to_string());
                format!("{} → {}", TabStage::from(*from), to.collect::<Vec<_>>().join(", "))
            })
            .collect();
        assert_eq!(
            ways,
            [
                "opening → starting",
                "starting → starting, ready",
                "ready → starting, cut, restarting, retiring",
                "cut → starting, restarting",
                "restarting → starting",
                "retiring → ",
            ]
        );
    }
}
