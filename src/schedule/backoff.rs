//! Pauses between tries, as the `backoff` crate's [`Backoff`]: four ways in which they grow, all up to a cap and for
//! ever. (The crate's own exponential backoff reads a clock.) What bounds the tries is the job's deadline, or a count.
//!
//! What is random is drawn from a seed: the same seed gives the same pauses.

/// What they all are; exported so that the crate is named in this module alone.
pub use backoff::backoff::Backoff;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{fmt, ops::RangeInclusive, time::Duration};

#[cfg(test)]
mod tests;

/// The shortest pause that can be asked for: none at all would be a loop that never rests.
const SHORTEST: Duration = Duration::from_millis(1);
/// The longest pause that can be asked for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// By what exponential pauses may grow at each step.
const FACTORS: RangeInclusive<f64> = 1.0..=10.0;

/// A pause that cannot be taken as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backoff's `{field}` cannot be {value}: it takes {range}")]
pub struct BackoffError {
    /// Which parameter.
    pub field: &'static str,
    /// What was given.
    pub value: String,
    /// What it takes.
    pub range: String,
}

/// A duration that is one of the parameters.
fn within(field: &'static str, value: Duration, range: RangeInclusive<Duration>) -> Result<Duration, BackoffError> {
    let refused = || BackoffError {
        field,
        value: format!("{value:?}"),
        range: format!("a duration from {:?} to {:?}", range.start(), range.end()),
    };
    if range.contains(&value) { Ok(value) } else { Err(refused()) }
}

/// The first pause and the cap, which every backoff has.
fn first_and_cap(first: Duration, cap: Duration) -> Result<(Duration, Duration), BackoffError> {
    let first = within("first", first, SHORTEST..=LONGEST)?;
    Ok((first, within("cap", cap, first..=LONGEST)?))
}

/// How much of a pause is left to chance, so that those who failed together do not all come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Nothing: the pause is as long as it has grown.
    #[default]
    None,
    /// Half of it: from half as long to as long as it has grown.
    Equal,
    /// All of it: from nothing to as long as it has grown.
    Full,
}

/// Makes pauses of different length of those that have grown alike.
#[derive(Clone)]
struct Spread {
    jitter: Jitter,
    random: ChaCha8Rng,
}

impl Spread {
    fn new(jitter: Jitter, seed: u64) -> Self {
        Self { jitter, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn of(&mut self, pause: Duration) -> Duration {
        match self.jitter {
            Jitter::None => pause,
            Jitter::Equal => between(&mut self.random, pause / 2, pause),
            Jitter::Full => between(&mut self.random, Duration::ZERO, pause),
        }
    }
}

impl fmt::Debug for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jitter.fmt(f)
    }
}

/// Any duration of the two or between them, each as likely. (A day has fewer nanoseconds than an `u64`.)
fn between(random: &mut ChaCha8Rng, least: Duration, most: Duration) -> Duration {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.random_range(nanos(least)..=nanos(most)))
}

/// Pauses that are multiplied at each step: `first`, `first × factor`, `first × factor²`, …
#[derive(Clone, Debug)]
pub struct Exponential {
    first: Duration,
    factor: f64,
    cap: Duration,
    next: Duration,
    spread: Spread,
}

impl Exponential {
    /// Pauses from `first` (1 ms to a day) to `cap` (`first` to a day), times `factor` (1 to 10) at each step.
    ///
    /// # Errors
    /// [`BackoffError`] for what is out of its range.
    pub fn new(first: Duration, factor: f64, cap: Duration, jitter: Jitter, seed: u64) -> Result<Self, BackoffError> {
        let (first, cap) = first_and_cap(first, cap)?;
        if !FACTORS.contains(&factor) {
            let range = format!("a number from {} to {}", FACTORS.start(), FACTORS.end());
            return Err(BackoffError { field: "factor", value: factor.to_string(), range });
        }
        Ok(Self { first, factor, cap, next: first, spread: Spread::new(jitter, seed) })
    }
}

impl Backoff for Exponential {
    fn next_backoff(&mut self) -> Option<Duration> {
        let pause = self.next;
        // Both are at most a day and ten, so the product is a duration.
        self.next = pause.mul_f64(self.factor).min(self.cap);
        Some(self.spread.of(pause))
    }

    fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Pauses that grow by as much at each step: `first`, `first + step`, `first + 2 × step`, …
#[derive(Clone, Debug)]
pub struct Linear {
    first: Duration,
    step: Duration,
    cap: Duration,
    next: Duration,
    spread: Spread,
}

impl Linear {
    /// Pauses from `first` (1 ms to a day) to `cap` (`first` to a day), and `step` (0 to a day) more at each step.
    ///
    /// # Errors
    /// [`BackoffError`] for what is out of its range.
    pub fn new(
        first: Duration,
        step: Duration,
        cap: Duration,
        jitter: Jitter,
        seed: u64,
    ) -> Result<Self, BackoffError> {
        let (first, cap) = first_and_cap(first, cap)?;
        let step = within("step", step, Duration::ZERO..=LONGEST)?;
        Ok(Self { first, step, cap, next: first, spread: Spread::new(jitter, seed) })
    }
}

impl Backoff for Linear {
    fn next_backoff(&mut self) -> Option<Duration> {
        let pause = self.next;
        self.next = (pause + self.step).min(self.cap);
        Some(self.spread.of(pause))
    }

    fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Pauses that are the sum of the two before: `first` times 1, 1, 2, 3, 5, 8, … Slower to grow than doubling.
#[derive(Clone, Debug)]
pub struct Fibonacci {
    first: Duration,
    cap: Duration,
    next: Duration,
    after: Duration,
    spread: Spread,
}

impl Fibonacci {
    /// Pauses from `first` (1 ms to a day) to `cap` (`first` to a day).
    ///
    /// # Errors
    /// [`BackoffError`] for what is out of its range.
    pub fn new(first: Duration, cap: Duration, jitter: Jitter, seed: u64) -> Result<Self, BackoffError> {
        let (first, cap) = first_and_cap(first, cap)?;
        Ok(Self { first, cap, next: first, after: first, spread: Spread::new(jitter, seed) })
    }
}

impl Backoff for Fibonacci {
    fn next_backoff(&mut self) -> Option<Duration> {
        let pause = self.next;
        (self.next, self.after) = (self.after, (pause + self.after).min(self.cap));
        Some(self.spread.of(pause))
    }

    fn reset(&mut self) {
        (self.next, self.after) = (self.first, self.first);
    }
}

/// Pauses that are each drawn between the first and three times the one before, so that they forget how many there
/// were: "decorrelated jitter" in Marc Brooker's *Exponential Backoff And Jitter* (AWS Architecture Blog, 2015).
#[derive(Clone)]
pub struct Decorrelated {
    first: Duration,
    cap: Duration,
    last: Duration,
    random: ChaCha8Rng,
}

impl Decorrelated {
    /// Pauses from `first` (1 ms to a day) to `cap` (`first` to a day).
    ///
    /// # Errors
    /// [`BackoffError`] for what is out of its range.
    pub fn new(first: Duration, cap: Duration, seed: u64) -> Result<Self, BackoffError> {
        let (first, cap) = first_and_cap(first, cap)?;
        Ok(Self { first, cap, last: first, random: ChaCha8Rng::seed_from_u64(seed) })
    }
}

impl Backoff for Decorrelated {
    fn next_backoff(&mut self) -> Option<Duration> {
        self.last = between(&mut self.random, self.first, self.last * 3).min(self.cap);
        Some(self.last)
    }

    fn reset(&mut self) {
        self.last = self.first;
    }
}

impl fmt::Debug for Decorrelated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, cap, last, .. } = self;
        f.debug_struct("Decorrelated")
            .field("first", first)
            .field("cap", cap)
            .field("last", last)
            .finish_non_exhaustive()
    }
}

/// Pauses that double, with nothing left to chance, for what only one side waits for.
#[derive(Clone, Debug)]
pub struct Doubling {
    first: Duration,
    next: Duration,
    cap: Duration,
}

impl Doubling {
    /// Pauses from `first` to `cap`.
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, next: first, cap }
    }
}

impl Backoff for Doubling {
    fn next_backoff(&mut self) -> Option<Duration> {
        let pause = self.next.min(self.cap);
        self.next = pause.saturating_mul(2);
        Some(pause)
    }

    fn reset(&mut self) {
        self.next = self.first;
    }
}
