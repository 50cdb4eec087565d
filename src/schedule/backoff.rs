//! Pauses between tries, as the `backoff` crate's [`Backoff`].

use backoff::backoff::Backoff;
use std::time::Duration;

/// Pauses that double up to a cap, for ever. (The crate's own exponential backoff reads a clock.)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_cap_and_starts_over_when_reset() {
        let ms = Duration::from_millis;
        let mut pauses = Doubling::new(ms(100), ms(350));
        let taken: Vec<_> = (0..4).filter_map(|_| pauses.next_backoff()).collect();
        assert_eq!(taken, [ms(100), ms(200), ms(350), ms(350)]);
        pauses.reset();
        assert_eq!(pauses.next_backoff(), Some(ms(100)));
    }
}
