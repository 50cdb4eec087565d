//! Counting what the fleet's events tell.

use super::{MetricName, Metrics};
use crate::types::{Event, EventKind, Target, Timings};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::{
    broadcast::{Receiver, error::TryRecvError},
    mpsc, oneshot,
};

/// Somebody who wants to know what was counted.
pub(in crate::fleet) type MetricsQuestion = oneshot::Sender<Metrics>;

/// How much a new value counts in a moving average.
const SMOOTHING: f64 = 0.02;
/// Over how long throughput is averaged.
const RECENT: Duration = Duration::from_secs(30);

/// How often events are looked for. Being woken by each would take a core from the browsers four times a job.
const LOOKS: Duration = Duration::from_millis(50);

/// Whether the fleet has said its last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Reached,
    Ahead,
}

/// What was counted so far.
#[derive(Debug, Default)]
pub(in crate::fleet) struct Counting {
    metrics: Metrics,
    throughput: BTreeMap<Target, Rate>,
    /// How long a job takes alone, by its model and where, of those that may run together.
    alone_ms: BTreeMap<(String, Target), f64>,
}

/// Events a second, where each counts less the longer it is past.
#[derive(Debug)]
struct Rate {
    events: f64,
    since: SystemTime,
}

impl Rate {
    /// What is left of what was counted before.
    fn faded(&self, now: SystemTime) -> f64 {
        let past = now.duration_since(self.since).unwrap_or_default();
        self.events * (-past.as_secs_f64() / RECENT.as_secs_f64()).exp()
    }

    fn count(&mut self, now: SystemTime) {
        (self.events, self.since) = (self.faded(now) + 1.0, now);
    }

    fn per_second(&self, now: SystemTime) -> f64 {
        self.faded(now) / RECENT.as_secs_f64()
    }
}

impl Counting {
    /// Counts until the fleet is closed; questions are answered in between.
    pub async fn run(
        mut self,
        mut events: Receiver<Arc<Event>>,
        mut questions: mpsc::UnboundedReceiver<MetricsQuestion>,
    ) {
        let mut looks = tokio::time::interval(LOOKS);
        loop {
            let question = tokio::select! {
                Some(question) = questions.recv() => Some(question),
                _ = looks.tick() => None,
            };
            // What has happened before a question belongs into its answer.
            if self.take_in_all(&mut events) == End::Reached {
                return;
            }
            if let Some(question) = question {
                // Whoever no longer waits for the answer does not need it.
                drop(question.send(self.counted(SystemTime::now())));
            }
        }
    }

    /// Takes in what has happened since the last look.
    fn take_in_all(&mut self, events: &mut Receiver<Arc<Event>>) -> End {
        loop {
            match events.try_recv() {
                Ok(event) if matches!(event.kind, EventKind::FleetClosed) => return End::Reached,
                Ok(event) => self.take_in(&event),
                Err(TryRecvError::Lagged(missed)) => {
                    self.metrics.add(MetricName::EventsMissed, &[], missed as f64);
                }
                Err(TryRecvError::Closed) => return End::Reached,
                Err(TryRecvError::Empty) => return End::Ahead,
            }
        }
    }

    fn counted(&self, now: SystemTime) -> Metrics {
        let mut metrics = self.metrics.clone();
        for (target, rate) in &self.throughput {
            metrics.set(MetricName::Throughput, &[target], rate.per_second(now));
        }
        metrics
    }

    fn take_in(&mut self, Event { at, kind }: &Event) {
        use MetricName as Name;
        let metrics = &mut self.metrics;
        let mut count = |name, labels: &[&dyn ToString]| metrics.add(name, labels, 1.0);
        match kind {
            EventKind::JobQueued { .. } => count(Name::JobsSubmitted, &[]),
            EventKind::JobEnded { failure: None, .. } => count(Name::JobsEnded, &[&"result"]),
            EventKind::JobEnded { failure: Some(failure), .. } => count(Name::JobsEnded, &[&failure.category()]),
            EventKind::AttemptStarted { target, .. } => count(Name::AttemptsStarted, &[target]),
            EventKind::AttemptFailed { target, failure, .. } => count(Name::AttemptsFailed, &[target, &failure.cause]),
            EventKind::BatchSplit { target, failure, .. } => count(Name::BatchSplits, &[target, &failure.cause]),
            EventKind::AttemptSucceeded { target, model, timings, cpu_fallback, share, .. } => {
                count(Name::AttemptsSucceeded, &[target]);
                if *cpu_fallback == Some(true) {
                    count(Name::CpuFallbacks, &[target]);
                }
                self.throughput.entry(*target).or_insert(Rate { events: 0.0, since: *at }).count(*at);
                self.take_in_waits(timings);
                // The run and what came with it are told with every result of those that ran together.
                if share.is_none_or(|share| share.number == 0) {
                    self.take_in_run(*target, timings);
                }
                if let Some(share) = share.filter(|share| share.number == 0) {
                    self.metrics.observe(Name::BatchJobs, &[target], f64::from(share.jobs));
                    // The first run of a session compiles.
                    if timings.create_ms.is_none() {
                        self.take_in_batch(&model.sha256, *target, share.jobs, timings.run_ms);
                    }
                }
            }
            EventKind::RanNatively { failure: None, .. } => count(Name::NativeRuns, &[&"result"]),
            EventKind::RanNatively { failure: Some(failure), .. } => count(Name::NativeRuns, &[&failure.category()]),
            EventKind::BrowserStarted { identity, .. } => count(Name::BrowsersStarted, &[&identity.browser]),
            EventKind::BrowserFailed { browser, .. } => count(Name::BrowsersFailed, &[browser]),
            EventKind::BrowserEnded { failure, .. } => {
                count(Name::BrowsersEnded, &[if failure.is_some() { &"unexpected" } else { &"told" }]);
            }
            EventKind::TabReady { info, .. } => count(Name::TabsReady, &[&info.target]),
            EventKind::TabLost { target, failure, .. } => count(Name::TabsLost, &[target, &failure.cause]),
            EventKind::Scaled { target, from, to, .. } => {
                count(Name::Scalings, &[target, if to > from { &"up" } else { &"down" }]);
                metrics.set(Name::TabsWanted, &[target], *to as f64);
            }
            EventKind::TabDisconnected { target, .. } => count(Name::TabsDisconnected, &[target]),
            EventKind::BatchingRefused { target, .. } => count(Name::BatchingRefused, &[target]),
            EventKind::SessionBegun { target, .. } => count(Name::SessionsBegun, &[target]),
            EventKind::SessionEnded { target, why, .. } => count(Name::SessionsEnded, &[target, why]),
            EventKind::SessionRebuilt { .. } => count(Name::SessionsRebuilt, &[]),
            EventKind::TargetUnavailable { info } => count(Name::TargetsUnavailable, &[&info.target]),
            EventKind::BreakerChanged { target, to, .. } => count(Name::BreakerChanges, &[target, to]),
            EventKind::HealthChecked { target, failure, .. } => {
                count(Name::HealthChecks, &[target, if failure.is_some() { &"failed" } else { &"passed" }]);
            }
            EventKind::Recovery { strategy, succeeded, elapsed_ms, .. } => {
                count(Name::Recoveries, &[strategy, if *succeeded { &"helped" } else { &"failed" }]);
                if *succeeded {
                    metrics.observe(Name::RecoveryTime, &[strategy], elapsed_ms / 1e3);
                }
            }
            EventKind::TabClosed { .. } | EventKind::FleetClosed => {}
        }
    }

    fn take_in_waits(&mut self, timings: &Timings) {
        use MetricName as Name;
        self.metrics.observe(Name::QueueWait, &[], timings.queue_ms / 1e3);
        self.metrics.observe(Name::JobTime, &[], timings.total_ms / 1e3);
        self.smooth(Name::QueueWaitAverage, &[], timings.queue_ms / 1e3);
    }

    fn take_in_run(&mut self, target: Target, timings: &Timings) {
        use MetricName as Name;
        let metrics = &mut self.metrics;
        let times = [
            (Name::Run, Some(timings.run_ms)),
            (Name::Wire, Some(timings.wire_ms)),
            (Name::Download, timings.download_ms),
            (Name::Create, timings.create_ms),
        ];
        for (name, ms) in times {
            ms.into_iter().for_each(|ms| metrics.observe(name, &[&target], ms / 1e3));
        }
        if timings.create_ms.is_some() {
            metrics.add(Name::ModelsLoaded, &[&target], 1.0);
        }
        let busy_ms = [timings.download_ms, timings.create_ms, Some(timings.run_ms), timings.readback_ms];
        metrics.add(Name::Busy, &[&target], busy_ms.iter().flatten().sum::<f64>() / 1e3);
        self.smooth(Name::RunAverage, &[&target], timings.run_ms / 1e3);
    }

    /// How much was gained by running jobs together, by what one alone takes there.
    fn take_in_batch(&mut self, sha256: &str, target: Target, jobs: u32, run_ms: f64) {
        if jobs == 1 {
            let alone = self.alone_ms.entry((sha256.to_owned(), target)).or_insert(run_ms);
            *alone += SMOOTHING * (run_ms - *alone);
        } else if let Some(alone) = self.alone_ms.get(&(sha256.to_owned(), target)).filter(|_| run_ms > 0.0) {
            let gain = alone * f64::from(jobs) / run_ms;
            self.smooth(MetricName::BatchEfficiency, &[&target], gain);
        }
    }

    fn smooth(&mut self, name: MetricName, labels: &[&dyn ToString], measured: f64) {
        let is_first = !self.metrics.0.contains_key(&(name, super::texts(labels)));
        let average = self.metrics.number(name, labels);
        *average += if is_first { measured } else { SMOOTHING * (measured - *average) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throughput_follows_what_happens_and_fades() {
        let start = SystemTime::UNIX_EPOCH;
        let mut rate = Rate { events: 0.0, since: start };
        (0..3000_u64).for_each(|n| rate.count(start + Duration::from_millis(100 * n)));
        let now = start + Duration::from_secs(300);
        assert!((rate.per_second(now) - 10.0).abs() < 0.1, "{}", rate.per_second(now));
        assert!(rate.per_second(now + Duration::from_secs(300)) < 0.001);
    }
}
