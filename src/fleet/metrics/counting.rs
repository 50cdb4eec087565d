//! Counting what the fleet's events tell.

use super::{MetricName, Metrics};
use crate::types::{BatchShare, Event, EventKind, Target, Timings};
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
    alone: Alone,
    /// The run whose results are being told, where several jobs share it.
    together: Option<Together>,
}

/// How long a job takes alone, by its model, where, and its rows, of those that may run together.
#[derive(Debug, Default)]
struct Alone(BTreeMap<(String, Target, Option<u32>), f64>);

/// How many of them are remembered. When there are more, all are learnt anew: models come and go.
const MOST_ALONE: usize = 1000;

impl Alone {
    fn take_in(&mut self, of: (String, Target, Option<u32>), run_ms: f64) {
        if self.0.len() >= MOST_ALONE && !self.0.contains_key(&of) {
            self.0.clear();
        }
        let alone = self.0.entry(of).or_insert(run_ms);
        *alone += SMOOTHING * (run_ms - *alone);
    }
}

/// A run of several jobs, of which some have been told. They are told one after the other, in one go.
#[derive(Debug)]
struct Together {
    missing: u32,
    /// How long those that were told would have taken one by one; `None` when it is not known of one.
    alone_ms: Option<f64>,
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
            EventKind::AttemptSucceeded { target, model, timings, cpu_fallback, batch, share, .. } => {
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
                if let Some(share) = share {
                    if share.number == 0 {
                        self.metrics.observe(Name::BatchJobs, &[target], f64::from(share.jobs));
                    }
                    // The first run of a session compiles.
                    if timings.create_ms.is_none() {
                        self.take_in_batch((model.sha256.clone(), *target, *batch), *share, timings.run_ms);
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

    /// How much was gained by running jobs together, by what each takes there alone.
    fn take_in_batch(&mut self, of: (String, Target, Option<u32>), share: BatchShare, run_ms: f64) {
        if share.jobs == 1 {
            return self.alone.take_in(of, run_ms);
        }
        let begun = Together { missing: share.jobs, alone_ms: Some(0.0) };
        let before = self.together.take().filter(|_| share.number > 0);
        let Together { missing, alone_ms } = before.unwrap_or(begun);
        let alone_ms = alone_ms.zip(self.alone.0.get(&of)).map(|(others, own)| others + own);
        match (missing - 1, alone_ms) {
            (0, Some(alone_ms)) if run_ms > 0.0 => {
                self.smooth(MetricName::BatchEfficiency, &[&of.1], alone_ms / run_ms);
            }
            (0, _) => {}
            (missing, alone_ms) => self.together = Some(Together { missing, alone_ms }),
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
    use crate::types::{Backend, Browser};

    const TARGET: Target = Target::new(Browser::Chrome, Backend::Wasm);

    #[test]
    fn what_ran_together_is_compared_with_what_each_job_takes_alone() {
        let mut counting = Counting::default();
        let model = |rows| ("model".to_owned(), TARGET, Some(rows));
        let efficiency = |counting: &Counting| counting.metrics.get(MetricName::BatchEfficiency, &["chrome/wasm"]);
        let mut run = |rows: &[u32], jobs, run_ms| {
            for (number, rows) in (0..).zip(rows) {
                counting.take_in_batch(model(*rows), BatchShare { jobs, number }, run_ms);
            }
            efficiency(&counting)
        };
        assert_eq!(run(&[1, 8], 2, 10.0), None, "nothing is known of either");
        run(&[1], 1, 4.0);
        assert_eq!(run(&[1, 8], 2, 10.0), None, "nothing is known of the larger");
        run(&[8], 1, 20.0);
        assert_eq!(run(&[1], 2, 10.0), None, "the other one was cancelled");
        assert_eq!(run(&[1, 8], 2, 12.0), Some(2.0));
    }

    #[test]
    fn models_that_come_and_go_do_not_pile_up() {
        let mut alone = Alone::default();
        (0..3 * MOST_ALONE).for_each(|n| alone.take_in((n.to_string(), TARGET, None), 1.0));
        assert!(alone.0.len() <= MOST_ALONE);
    }

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
