//! What is broken, and when: pure, from a seed.

use crate::types::{Browser, FailureMode};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::collections::{BTreeMap, BTreeSet};

/// Decides in the course of which job something is broken, and what. The seed fixes the coin tosses and the order of
/// the modes; which browser is free at a toss, the machine decides.
#[derive(Debug)]
pub(super) struct Plan {
    random: ChaCha8Rng,
    rate: f64,
    modes: Vec<FailureMode>,
    /// How often each mode is still to be injected; without it, there is no end.
    left: Option<BTreeMap<FailureMode, u32>>,
    /// The modes of this turn that have not been injected yet: each comes once a turn.
    turn: Vec<FailureMode>,
    /// What cannot be injected, and why.
    refused: BTreeMap<(FailureMode, Browser), String>,
}

/// A decision to break something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strike {
    pub mode: FailureMode,
    pub browser: Browser,
    /// Which of several alike: a number to be taken modulo how many there are.
    pub dice: u64,
}

impl Plan {
    pub fn new(seed: u64, rate: f64, modes: &BTreeSet<FailureMode>, each: Option<u32>) -> Self {
        let modes: Vec<FailureMode> = modes.iter().copied().collect();
        let left = each.map(|count| modes.iter().map(|mode| (*mode, count)).collect());
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { random, rate, modes, left, turn: Vec::new(), refused: BTreeMap::new() }
    }

    /// Any number, for whatever else is to depend on the seed.
    pub fn number(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// A job is submitted: whether something is broken in its course, and what. A toss that finds no browser free breaks
    /// nothing.
    pub fn toss(&mut self, free: &[Browser]) -> Option<Strike> {
        let coin = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        if coin >= self.rate {
            return None;
        }
        let dice = self.random.next_u64();
        self.begin_turn();
        let position = self.turn.iter().position(|mode| free.iter().any(|browser| self.may(*mode, *browser)))?;
        let mode = self.turn[position];
        let suited: Vec<Browser> = free.iter().copied().filter(|browser| self.may(mode, *browser)).collect();
        let browser = suited[(dice % suited.len() as u64) as usize];
        Some(Strike { mode, browser, dice: dice >> 8 })
    }

    /// It was done: the mode has had its turn.
    pub fn done(&mut self, strike: Strike) {
        self.turn.retain(|mode| *mode != strike.mode);
        if let Some(left) = self.left.as_mut().and_then(|left| left.get_mut(&strike.mode)) {
            *left = left.saturating_sub(1);
        }
    }

    /// It cannot be done there, now or later.
    pub fn refuse(&mut self, mode: FailureMode, browser: Browser, reason: String) {
        self.refused.insert((mode, browser), reason);
    }

    /// Why the mode was refused, by browser.
    pub fn refusals(&self, mode: FailureMode) -> impl Iterator<Item = (Browser, &str)> {
        let of_mode = self.refused.iter().filter(move |((refused, _), _)| *refused == mode);
        of_mode.map(|((_, browser), reason)| (*browser, reason.as_str()))
    }

    /// Whether nothing is left to be broken in these browsers.
    pub fn is_over(&self, browsers: &[Browser]) -> bool {
        !self.modes.iter().any(|mode| self.wants(*mode) && browsers.iter().any(|browser| self.may(*mode, *browser)))
    }

    fn wants(&self, mode: FailureMode) -> bool {
        self.left.as_ref().is_none_or(|left| left.get(&mode).is_some_and(|left| *left > 0))
    }

    fn may(&self, mode: FailureMode, browser: Browser) -> bool {
        !self.refused.contains_key(&(mode, browser))
    }

    /// When every mode that could has had its turn, a new one begins in another order (Fisher and Yates).
    fn begin_turn(&mut self) {
        let wanted = |mode: &FailureMode| self.wants(*mode) && Browser::ALL.iter().any(|b| self.may(*mode, *b));
        let kept: Vec<FailureMode> = self.turn.iter().copied().filter(wanted).collect();
        if !kept.is_empty() {
            self.turn = kept;
            return;
        }
        self.turn = self.modes.iter().copied().filter(wanted).collect();
        for last in (1..self.turn.len()).rev() {
            let other = (self.random.next_u64() % (last as u64 + 1)) as usize;
            self.turn.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureMode::{BrowserKill, DriverKill, SocketCut, TabCrash};

    const BOTH: [Browser; 2] = [Browser::Chrome, Browser::Firefox];

    fn plan(rate: f64, modes: &[FailureMode], each: Option<u32>) -> Plan {
        Plan::new(7, rate, &modes.iter().copied().collect(), each)
    }

    #[test]
    fn the_rate_is_that_of_the_jobs() {
        let mut plan = plan(0.05, &[TabCrash], None);
        let strikes = (0..20_000).filter(|_| plan.toss(&BOTH).is_some()).count();
        assert!((900..1100).contains(&strikes), "{strikes} of 20,000");
    }

    #[test]
    fn the_seed_decides() {
        let strikes = |seed| {
            let mut plan = Plan::new(seed, 0.5, &[TabCrash, SocketCut, BrowserKill].into(), None);
            (0..100).map(|_| plan.toss(&BOTH).inspect(|strike| plan.done(*strike))).collect::<Vec<_>>()
        };
        assert_eq!(strikes(1), strikes(1));
        assert_ne!(strikes(1), strikes(2));
    }

    #[test]
    fn every_mode_has_its_turn_before_any_has_two() {
        let mut plan = plan(1.0, &[TabCrash, SocketCut, BrowserKill], None);
        for _ in 0..20 {
            let turn: BTreeSet<FailureMode> = (0..3)
                .map(|_| {
                    let strike = plan.toss(&BOTH).unwrap();
                    plan.done(strike);
                    strike.mode
                })
                .collect();
            assert_eq!(turn.len(), 3);
        }
    }

    #[test]
    fn a_strike_that_did_not_come_off_is_tried_again() {
        let mut plan = plan(1.0, &[TabCrash], Some(1));
        assert_eq!(plan.toss(&BOTH).unwrap().mode, TabCrash);
        assert!(!plan.is_over(&BOTH));
        let strike = plan.toss(&BOTH).unwrap();
        plan.done(strike);
        assert_eq!(plan.toss(&BOTH), None);
        assert!(plan.is_over(&BOTH));
    }

    #[test]
    fn what_is_refused_is_not_tried_again_there() {
        let mut plan = plan(1.0, &[DriverKill], None);
        plan.refuse(DriverKill, Browser::Chrome, "it has none".to_owned());
        assert!((0..50).all(|_| plan.toss(&BOTH).unwrap().browser == Browser::Firefox));
        assert_eq!(plan.toss(&[Browser::Chrome]), None);
        assert!(plan.is_over(&[Browser::Chrome]) && !plan.is_over(&BOTH));
        assert_eq!(plan.refusals(DriverKill).collect::<Vec<_>>(), [(Browser::Chrome, "it has none")]);
    }

    #[test]
    fn a_mode_that_finds_no_browser_free_lets_another_go_first() {
        let mut plan = plan(1.0, &[DriverKill, SocketCut], None);
        plan.refuse(DriverKill, Browser::Chrome, "it has none".to_owned());
        assert!((0..20).all(|_| {
            let strike = plan.toss(&[Browser::Chrome]);
            strike.is_none_or(|strike| strike.mode == SocketCut)
        }));
        assert_eq!(plan.toss(&[]), None);
    }
}
