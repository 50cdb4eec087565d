//! How fast jobs end while some are under way.

use std::time::{Duration, Instant};

/// What of the past counts: an end of half a minute ago a third of one just now.
const RECENT: Duration = Duration::from_secs(30);

/// The ends of late and the time that they took. Jobs may end one by one or many at once: what counts is how many did in
/// which time.
#[derive(Debug, Default)]
pub(super) struct Ends {
    jobs: f64,
    bytes: f64,
    seconds: f64,
    /// Since when time passes for the next end; `None` while nothing is under way, since that time is the callers'.
    since: Option<Instant>,
}

impl Ends {
    /// There is something to end.
    pub fn wait(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// There is nothing more to end.
    pub fn rest(&mut self) {
        self.since = None;
    }

    /// A job with so many bytes of inputs has ended.
    pub fn count(&mut self, bytes: u64, now: Instant) {
        let past = self.past(now);
        let left = (-past / RECENT.as_secs_f64()).exp();
        self.jobs = self.jobs * left + 1.0;
        self.bytes = self.bytes * left + bytes as f64;
        self.seconds = self.seconds * left + past;
        self.since = Some(now);
    }

    /// How long it takes until so many jobs have ended; `None` before any has.
    pub fn time_for_jobs(&self, jobs: usize, now: Instant) -> Option<Duration> {
        self.time_for(jobs as f64, self.jobs, now)
    }

    /// How long it takes until so many bytes of inputs are gone; `None` before any are.
    pub fn time_for_bytes(&self, bytes: u64, now: Instant) -> Option<Duration> {
        self.time_for(bytes as f64, self.bytes, now)
    }

    fn time_for(&self, wanted: f64, ended: f64, now: Instant) -> Option<Duration> {
        let seconds = self.seconds + self.past(now);
        (ended > 0.0).then(|| Duration::try_from_secs_f64(wanted * seconds / ended).unwrap_or(Duration::MAX))
    }

    fn past(&self, now: Instant) -> f64 {
        self.since.map_or(0.0, |since| now.saturating_duration_since(since).as_secs_f64())
    }
}
