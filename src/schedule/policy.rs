//! The scheduler's numbers, each with its default and reason, and the ranges they must keep to.

mod breaker;
mod range;
mod retry;

#[cfg(test)]
mod tests;

pub use breaker::{BreakerPolicy, SlidingWindowType};
pub use range::PolicyError;
pub(super) use retry::Pauses;
pub use retry::RetryBackoff;

use super::{Retirement, Scaling};
use crate::types::Browser;
use range::{at_least, by, check, in_order, lasts, within};
use std::{collections::BTreeMap, time::Duration};

/// The longest that anything is waited for, ten years: as good as never, and far from where clocks end. A job with a longer
/// time gets this; a policy with one is refused.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What the scheduler decides by.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Tabs kept open for each target.
    pub tabs_per_target: usize,
    /// Whether there are more of them while there is more to do.
    pub scaling: Scaling,
    /// Most runs handed to one tab and not yet answered, each of one job or of several together; two while it is not known
    /// how long they take. Eight hide the way there and back of small models; more only wait in the tab, where they can no
    /// longer go elsewhere. Calls of sessions come on top, since they can go nowhere else, and what waits in the queue has
    /// one place in a line that they fill.
    pub in_flight_per_tab: usize,
    /// Most runs of jobs handed to all tabs of one browser and not yet answered; `None` sets no limit besides that of its
    /// tabs. Calls of sessions, health checks and models that are loaded ahead count, but are not held up by it; nor is a
    /// job that a fresh worker was started for.
    pub in_flight_per_browser: Option<usize>,
    /// A tab that needs longer than this for what it holds, by how long its jobs' models take there, is handed no further
    /// job; behind a single long one, when half of this is left of it. So once runs are measured what matters most stands
    /// behind no more than one and this; besides, where they are, behind two runs of stages, and a call of each session. It
    /// is several times the way there and back of small inputs, so tabs do not run dry; for those of a megabyte, which
    /// travel for some milliseconds, a tab may wait that long between two runs.
    pub line_work: Duration,
    /// Most input bytes handed to one tab and not yet answered; one job may always go.
    pub in_flight_bytes_per_tab: usize,
    /// Jobs a tab of the preferred browser may hold before others are considered: one running, and one behind it so
    /// that the tab is never idle.
    pub preferred_depth: usize,
    /// Of so many jobs of a model that may go to several targets, one goes to a target where the model was not yet
    /// measured, while it was on others; 0 tries none. It ends when five runs there are measured, besides the first in each
    /// tab, which compiles.
    pub explore_every: u32,
    /// How long a job waits until it may go before what matters more or came later. Long enough for a burst to pass by.
    pub aged_after: Duration,
    /// Of so many runs handed out, one is that of the longest waiting that is aged. With 4, what matters most still gets
    /// three of four; with 1, age comes before everything.
    pub aged_share: u32,
    /// From a page's having loaded until its worker is connected. A browser that opens one tab after the other may take
    /// longer than this for all; how long it may be at each is its command time-out.
    pub open_timeout: Duration,
    /// From the worker's connection until its backend is ready. Compiling a 28 MB WASM runtime takes seconds on a busy
    /// machine.
    pub start_timeout: Duration,
    /// From a socket's end until it is taken for the whole of what happened. A tab or browser that dies takes its sockets
    /// along, and they are often heard of first: a crash is told 25 ms later by an idle machine.
    pub cut_grace: Duration,
    /// How long a worker may go on with a job that was cancelled. Ending it costs loading its models again, so what is
    /// done soon is let be done.
    pub cancel_grace: Duration,
    /// How long a worker may go on with a run whose jobs' deadlines have all passed, if by what was measured it is done by
    /// then; and with one that it has not yet begun. What was never measured, or takes twice what was, is stopped at the
    /// deadline: it may have no end.
    pub deadline_grace: Duration,
    /// From the page's having ended a worker until its successor is connected.
    pub restart_timeout: Duration,
    /// Failed launches, or tabs lost before they were ready, in a row, after which a browser or target is given up.
    pub give_up_after: u32,
    /// The first pause before a browser is launched again; it doubles with each failure in a row.
    pub relaunch_pause: Duration,
    /// The longest such pause.
    pub relaunch_pause_cap: Duration,
    /// Failures in a row after which a tab is no longer given a fresh worker but replaced.
    pub replace_tab_after: u32,
    /// Tabs of a browser that die in a row within [`tab_deaths_within`](Self::tab_deaths_within) until it is restarted.
    pub restart_browser_after: u32,
    /// See [`restart_browser_after`](Self::restart_browser_after).
    pub tab_deaths_within: Duration,
    /// Times a job may end what runs it before it is quarantined: it ends then, and the fleet goes on.
    pub quarantine_after: u32,
    /// How the pauses grow of a job that is tried again after a pause.
    pub retry_backoff: RetryBackoff,
    /// The first pause of a job that is tried again after a pause.
    pub retry_pause: Duration,
    /// The longest such pause; the job's own deadline bounds it, too.
    pub retry_pause_cap: Duration,
    /// The breakers' numbers where they differ from [`BreakerPolicy::of`].
    pub breakers: BTreeMap<Browser, BreakerPolicy>,
    /// Targets that can run a job and are never taken from it, whatever their breakers say. With 0, a job for which
    /// every breaker is open fails at once with `circuit-open`.
    pub keep_targets: usize,
    /// A call is slow when it takes this many times its own baseline, besides more than the slow-call duration: a model
    /// that always takes long is not a target that became slow.
    pub slow_call_factor: f64,
    /// How often tabs and browsers are asked whether they are there.
    pub heartbeat_interval: Duration,
    /// How long they may take to answer.
    pub heartbeat_timeout: Duration,
    /// Unanswered heartbeats in a row after which a tab is replaced or a browser restarted.
    pub missed_heartbeats: u32,
    /// How often each tab runs the canary and memory is read.
    pub health_check_interval: Duration,
    /// Whether the fleet has a canary; without one, jobs are the first probes of a half-open breaker.
    pub canary: bool,
    /// How long the canary may take, from when the tab turns to it: on a busy machine, SwiftShader compiles its shaders for
    /// seconds the first time.
    pub canary_timeout: Duration,
    /// The WASM memory of a tab's worker: above the first it is replaced when idle, above the second now. WASM memory
    /// never shrinks and ends at 4 GiB.
    pub tab_memory: MemoryLimits,
    /// When a tab is replaced by a fresh one though nothing is wrong with it.
    pub retirement: Retirement,
    /// The memory of a browser's processes: above the first it is restarted when idle, above the second now.
    pub browser_memory: MemoryLimits,
    /// The seed of jitter.
    pub seed: u64,
}

/// Two limits of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Above it, what holds the memory is recycled as soon as it is idle, in bytes.
    pub soft: u64,
    /// Above it, it is replaced now, in bytes.
    pub hard: u64,
}

impl MemoryLimits {
    /// The limit that something which holds `bytes` must be replaced for, and its name.
    pub(super) const fn exceeded(self, bytes: u64, idle: bool) -> Option<(&'static str, u64)> {
        if bytes > self.hard {
            Some(("hard", self.hard))
        } else if bytes > self.soft && idle {
            Some(("soft", self.soft))
        } else {
            None
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tabs_per_target: 1,
            scaling: Scaling::default(),
            in_flight_per_tab: 8,
            in_flight_per_browser: None,
            line_work: Duration::from_millis(3),
            in_flight_bytes_per_tab: 64 << 20,
            preferred_depth: 2,
            explore_every: 16,
            aged_after: Duration::from_secs(10),
            aged_share: 4,
            open_timeout: Duration::from_secs(20),
            start_timeout: Duration::from_secs(30),
            cut_grace: Duration::from_millis(500),
            cancel_grace: Duration::from_secs(1),
            deadline_grace: Duration::from_millis(250),
            restart_timeout: Duration::from_secs(5),
            give_up_after: 3,
            relaunch_pause: Duration::from_millis(100),
            relaunch_pause_cap: Duration::from_secs(10),
            replace_tab_after: 3,
            restart_browser_after: 3,
            tab_deaths_within: Duration::from_secs(60),
            quarantine_after: 2,
            retry_backoff: RetryBackoff::Exponential,
            retry_pause: Duration::from_millis(50),
            retry_pause_cap: Duration::from_secs(2),
            breakers: BTreeMap::new(),
            keep_targets: 1,
            slow_call_factor: 4.0,
            heartbeat_interval: Duration::from_secs(2),
            heartbeat_timeout: Duration::from_secs(3),
            missed_heartbeats: 2,
            health_check_interval: Duration::from_secs(30),
            canary: true,
            canary_timeout: Duration::from_secs(30),
            tab_memory: MemoryLimits { soft: 2 << 30, hard: 3 << 30 },
            retirement: Retirement::default(),
            browser_memory: MemoryLimits { soft: 8 << 30, hard: 16 << 30 },
            seed: 0,
        }
    }
}

impl Policy {
    /// The numbers of a browser's breakers.
    pub fn breaker(&self, browser: Browser) -> BreakerPolicy {
        self.breakers.get(&browser).cloned().unwrap_or_else(|| BreakerPolicy::of(browser))
    }

    /// What is waited for, from some moment on; other times are only compared with what has passed.
    fn waits(&self) -> [(&'static str, Duration); 12] {
        [
            ("open_timeout", self.open_timeout),
            ("start_timeout", self.start_timeout),
            ("cut_grace", self.cut_grace),
            ("cancel_grace", self.cancel_grace),
            ("restart_timeout", self.restart_timeout),
            ("relaunch_pause_cap", self.relaunch_pause_cap),
            ("heartbeat_interval", self.heartbeat_interval),
            ("heartbeat_timeout", self.heartbeat_timeout),
            ("health_check_interval", self.health_check_interval),
            ("canary_timeout", self.canary_timeout),
            ("retirement.session_grace", self.retirement.session_grace),
            ("scaling.retry_after_cap", self.scaling.retry_after_cap),
        ]
    }

    /// Whether every number can be used.
    ///
    /// # Errors
    /// [`PolicyError`] with the first field that is out of range, or contradicts another.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
        for (field, wait) in self.waits() {
            check(wait <= LONGEST_WAIT, field, format!("{wait:?}"), || format!("at most {LONGEST_WAIT:?}"))?;
        }
        at_least("tabs_per_target", self.tabs_per_target, 1)?;
        at_least("in_flight_per_tab", self.in_flight_per_tab, 1)?;
        self.in_flight_per_browser.map_or(Ok(()), |most| at_least("in_flight_per_browser", most, 1))?;
        at_least("aged_share", self.aged_share, 1)?;
        at_least("give_up_after", self.give_up_after, 1)?;
        at_least("replace_tab_after", self.replace_tab_after, 1)?;
        at_least("restart_browser_after", self.restart_browser_after, 1)?;
        at_least("quarantine_after", self.quarantine_after, 1)?;
        at_least("missed_heartbeats", self.missed_heartbeats, 1)?;
        at_least("retirement.jobs", self.retirement.jobs, 1)?;
        at_least("retirement.failures", self.retirement.failures, 1)?;
        lasts("retirement.age", self.retirement.age, second)?;
        lasts("retirement.idle", self.retirement.idle, second)?;
        in_order("relaunch_pause", self.relaunch_pause, "relaunch_pause_cap", self.relaunch_pause_cap)?;
        in_order("retry_pause", self.retry_pause, "retry_pause_cap", self.retry_pause_cap)?;
        self.pauses(0).map_err(|error| {
            let field = if error.field == "first" { "retry_pause" } else { "retry_pause_cap" };
            PolicyError { field: field.to_owned(), value: error.value, range: error.range, bound: None }
        })?;
        lasts("heartbeat_interval", self.heartbeat_interval, millisecond)?;
        lasts("heartbeat_timeout", self.heartbeat_timeout, millisecond)?;
        in_order("heartbeat_interval", self.heartbeat_interval, "health_check_interval", self.health_check_interval)?;
        lasts("canary_timeout", self.canary_timeout, millisecond)?;
        within("scaling.up_above", self.scaling.up_above, 0.0, 1.0)?;
        within("scaling.down_below", self.scaling.down_below, 0.0, self.scaling.up_above)?;
        within("scaling.least_gain", self.scaling.least_gain, 0.0, 1e6)?;
        lasts("scaling.down_after", self.scaling.down_after, second)?;
        lasts("scaling.retry_after", self.scaling.retry_after, second)?;
        let (pause, cap) = (self.scaling.retry_after, self.scaling.retry_after_cap);
        in_order("scaling.retry_after", pause, "scaling.retry_after_cap", cap)?;
        within("slow_call_factor", self.slow_call_factor, 1.0, 1e6)?;
        for (name, limits) in [("tab_memory", self.tab_memory), ("browser_memory", self.browser_memory)] {
            let bound = format!("{name}.hard");
            let range = || format!("at most {bound}, {} bytes", limits.hard);
            check(limits.soft <= limits.hard, format!("{name}.soft"), limits.soft, range).map_err(by(&bound))?;
        }
        self.breakers.iter().try_for_each(|(browser, breaker)| breaker.validate(&format!("breakers.{browser}")))
    }
}
