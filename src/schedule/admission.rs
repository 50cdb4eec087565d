//! Who may enter the queue: it is bounded in jobs and in bytes, and what matters less may fill only a part of it.

use crate::types::Priority;
use std::time::{Duration, Instant};

/// How much may be under way at once, waiting or running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Jobs.
    pub jobs: usize,
    /// Bytes of their inputs; one job may always go.
    pub bytes: u64,
}

/// Why a job was not taken in, and when it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    /// Jobs that are under way, waiting or running.
    pub jobs: usize,
    /// The bytes of their inputs.
    pub bytes: u64,
    /// How long a job that is taken in now would wait, by how fast they have ended of late; `None` before any has.
    pub expected_wait: Option<Duration>,
    /// When there will be room for it, by the same; a second where nothing is known.
    pub retry_after: Duration,
}

/// What is under way, and how fast it ends.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: QueueLimits,
    jobs: usize,
    bytes: u64,
    /// When a job last ended and others were left.
    last_end: Option<Instant>,
    /// Between two ends, smoothed.
    interval: Option<Duration>,
}

/// How much a new measurement counts in the smoothed interval.
const SMOOTHING: f64 = 0.05;
/// When to come again if nothing is known.
const A_WHILE: Duration = Duration::from_secs(1);

/// The part of the queue that jobs of a priority may fill, in percent. What is left is for those that matter more.
const fn share(priority: Priority) -> usize {
    match priority {
        Priority::Low => 80,
        Priority::Normal => 90,
        Priority::High => 95,
        Priority::Critical => 100,
    }
}

impl Admission {
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, jobs: 0, bytes: 0, last_end: None, interval: None }
    }

    /// Takes a job in, or says why not.
    pub fn enter(&mut self, priority: Priority, bytes: u64) -> Result<(), Overload> {
        let most_jobs = self.most_jobs(priority);
        let most_bytes = self.limits.bytes / 100 * share(priority) as u64;
        let fits = self.bytes == 0 || self.bytes.saturating_add(bytes) <= most_bytes;
        if self.jobs >= most_jobs || !fits {
            return Err(self.overload(priority));
        }
        self.jobs += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// A job that was taken in has ended.
    pub fn leave(&mut self, bytes: u64, now: Instant) {
        self.jobs -= 1;
        self.bytes -= bytes;
        if let Some(last) = self.last_end {
            let took = now.saturating_duration_since(last);
            let before = self.interval.unwrap_or(took);
            self.interval = Some(before.mul_f64(1.0 - SMOOTHING) + took.mul_f64(SMOOTHING));
        }
        // Once nothing is left, the time until the next end is the caller's.
        self.last_end = (self.jobs > 0).then_some(now);
    }

    /// What somebody is told who finds no room.
    pub fn overload(&self, priority: Priority) -> Overload {
        let over = self.jobs.saturating_sub(self.most_jobs(priority)) + 1;
        let times = |count: usize| self.interval.map(|interval| interval.saturating_mul(count as u32));
        Overload {
            jobs: self.jobs,
            bytes: self.bytes,
            expected_wait: times(self.jobs),
            retry_after: times(over).unwrap_or(A_WHILE).max(Duration::from_millis(1)),
        }
    }

    /// At least one, however small the queue.
    fn most_jobs(&self, priority: Priority) -> usize {
        (self.limits.jobs.saturating_mul(share(priority))).div_ceil(100).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: QueueLimits = QueueLimits { jobs: 100, bytes: 1000 };

    #[test]
    fn what_matters_less_is_refused_first_and_told_when_to_come_again() {
        let mut admission = Admission::new(LIMITS);
        let start = Instant::now();
        let refused: Vec<usize> = Priority::ALL
            .iter()
            .map(|priority| {
                while admission.enter(*priority, 1).is_ok() {}
                admission.jobs
            })
            .collect();
        assert_eq!(refused, [80, 90, 95, 100]);
        let nothing_known = admission.enter(Priority::Low, 1).expect_err("it is full");
        assert_eq!((nothing_known.jobs, nothing_known.expected_wait), (100, None));
        (1..=3).for_each(|n| admission.leave(1, start + Duration::from_millis(10 * n)));
        let overload = admission.enter(Priority::Low, 1).expect_err("97 of 80");
        assert_eq!(overload.expected_wait, Some(Duration::from_millis(970)));
        assert_eq!(overload.retry_after, Duration::from_millis(180), "when 18 more have ended");
    }

    #[test]
    fn inputs_fill_it_too_but_one_job_may_always_go() {
        let mut admission = Admission::new(LIMITS);
        assert_eq!(admission.enter(Priority::Low, 5000), Ok(()));
        assert!(admission.enter(Priority::Critical, 1).is_err());
        admission.leave(5000, Instant::now());
        assert_eq!(admission.enter(Priority::Low, 800), Ok(()));
        assert!(admission.enter(Priority::Low, 1).is_err());
        assert_eq!(admission.enter(Priority::Critical, 200), Ok(()));
    }

    proptest! {
        #[test]
        fn it_never_holds_more_than_its_limits(steps in prop::collection::vec((0..4_usize, 1..100_u64, any::<bool>()), 0..300)) {
            let mut admission = Admission::new(LIMITS);
            let (mut inside, now) = (Vec::new(), Instant::now());
            for (priority, bytes, leaves) in steps {
                if leaves {
                    inside.pop().into_iter().for_each(|bytes| admission.leave(bytes, now));
                } else if admission.enter(Priority::ALL[priority], bytes).is_ok() {
                    inside.push(bytes);
                }
                prop_assert_eq!((admission.jobs, admission.bytes), (inside.len(), inside.iter().sum()));
                prop_assert!(admission.jobs <= LIMITS.jobs && admission.bytes <= LIMITS.bytes);
            }
        }
    }
}
