//! What is known of how well a tab, a browser or a target is, and the score made of it.
//!
//! The score is 100 less what each of six terms costs:
//!
//! | term | looked at | costs |
//! |---|---|---|
//! | failure rate | the last 20 calls | 40 when all failed |
//! | latency | how many times its own baseline a run takes, smoothed | 15 when four times |
//! | failures in a row | | 5 each, at most 15 |
//! | connection drops | sockets lost in the last five minutes | 5 each, at most 10 |
//! | memory | against its hard limit | from half of it on, 10 at the limit |
//! | heartbeat | how long the last one took; a missed one as long as it may take | 10 for a second |
//!
//! The worst of them add up to 100. Behind an open breaker a score is at most 10, behind a half-open one at most 50.

use crate::types::{BreakerState, HealthLevel, HealthScore, HealthTerm, HealthTrend};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Calls that the failure rate looks at.
const CALLS: u32 = 20;
/// How long a dropped connection counts.
const DROPS_COUNT_FOR: Duration = Duration::from_secs(300);
/// How much a new measurement counts in the smoothed latency.
const SMOOTHING: f64 = 0.2;
/// Scores in each of the two windows that make the trend.
const TREND_WINDOW: usize = 5;
/// The difference of their means from which it is one.
const TREND_STEP: f64 = 5.0;

const FAILURE_RATE: f64 = 40.0;
const LATENCY: f64 = 15.0;
const IN_A_ROW: f64 = 15.0;
const DROPS: f64 = 10.0;
const MEMORY: f64 = 10.0;
const HEARTBEAT: f64 = 10.0;

/// One thing that is looked at.
struct Term {
    name: &'static str,
    value: Option<f64>,
    most: f64,
    /// The part of the most that a value costs.
    part: fn(f64) -> f64,
}

impl Term {
    fn cost(&self) -> f64 {
        self.most * self.value.map_or(0.0, |value| (self.part)(value).clamp(0.0, 1.0))
    }
}

#[derive(Debug, Default)]
pub(super) struct Vitals {
    /// The last calls, the newest in the lowest bit; set means failed.
    calls: u32,
    counted: u32,
    failures_in_a_row: u32,
    /// How many times its own baseline a run takes, smoothed.
    slowdown: Option<f64>,
    drops: VecDeque<Instant>,
    /// Bytes in use, and the limit.
    memory: Option<(u64, u64)>,
    heartbeat: Option<Duration>,
    /// The latest scores, for the trend.
    scores: VecDeque<f64>,
}

impl Vitals {
    pub const fn failures_in_a_row(&self) -> u32 {
        self.failures_in_a_row
    }

    pub fn memory(&self) -> Option<u64> {
        self.memory.map(|(bytes, _)| bytes)
    }

    pub const fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat
    }

    /// A call succeeded, in `slowdown` times what it takes by its own baseline, where there is one.
    pub fn succeeded(&mut self, slowdown: Option<f64>) {
        self.count(false);
        self.failures_in_a_row = 0;
        if let Some(now) = slowdown {
            let before = self.slowdown.unwrap_or(1.0);
            self.slowdown = Some(before + SMOOTHING * (now - before));
        }
    }

    pub fn failed(&mut self) {
        self.count(true);
        self.failures_in_a_row += 1;
    }

    pub fn dropped(&mut self, now: Instant) {
        self.drops.retain(|at| now.saturating_duration_since(*at) < DROPS_COUNT_FOR);
        self.drops.push_back(now);
    }

    pub fn measured_memory(&mut self, bytes: u64, limit: u64) {
        self.memory = Some((bytes, limit));
    }

    pub fn beat(&mut self, took: Duration) {
        self.heartbeat = Some(took);
    }

    /// Remembers the score for the trend; to be called at even intervals.
    pub fn remember(&mut self, breaker: BreakerState, now: Instant) {
        let score = capped(&self.terms(now), breaker);
        if self.scores.len() == 2 * TREND_WINDOW {
            self.scores.pop_front();
        }
        self.scores.push_back(score);
    }

    pub fn score(&self, breaker: BreakerState, now: Instant) -> HealthScore {
        let terms = self.terms(now);
        let score = capped(&terms, breaker);
        let terms = terms.iter().map(|term| HealthTerm {
            name: term.name.to_owned(),
            value: term.value,
            cost: term.cost(),
            most: term.most,
        });
        HealthScore { score, level: HealthLevel::of(score), trend: self.trend(), terms: terms.collect() }
    }

    /// The score from 0 to 1 without the breaker's part, for those who ask for it with every job.
    pub fn share(&self, now: Instant) -> f64 {
        (1.0 - self.terms(now).iter().map(Term::cost).sum::<f64>() / 100.0).max(0.0)
    }

    fn terms(&self, now: Instant) -> [Term; 6] {
        let rate = (self.counted > 0).then(|| f64::from(self.calls.count_ones()) / f64::from(self.counted));
        // They are in order, and there may be many: this is asked with every job.
        let forgotten = self.drops.partition_point(|at| now.saturating_duration_since(*at) >= DROPS_COUNT_FOR);
        let drops = (self.drops.len() - forgotten) as f64;
        let memory = self.memory.map(|(bytes, limit)| bytes as f64 / limit.max(1) as f64);
        let heartbeat = self.heartbeat.map(|took| took.as_secs_f64());
        let term = |name, value, most, part| Term { name, value, most, part };
        [
            term("failure rate", rate, FAILURE_RATE, |rate| rate),
            term("latency", self.slowdown, LATENCY, |times| (times - 1.0) / 3.0),
            term("failures in a row", Some(self.failures_in_a_row.into()), IN_A_ROW, |failures| failures / 3.0),
            term("connection drops", Some(drops), DROPS, |drops| drops / 2.0),
            term("memory", memory, MEMORY, |share| (share - 0.5) / 0.5),
            term("heartbeat", heartbeat, HEARTBEAT, |seconds| seconds),
        ]
    }

    fn trend(&self) -> HealthTrend {
        if self.scores.len() < 2 * TREND_WINDOW {
            return HealthTrend::Stable;
        }
        let mean = |scores: &mut dyn Iterator<Item = &f64>| scores.sum::<f64>() / TREND_WINDOW as f64;
        let before = mean(&mut self.scores.iter().take(TREND_WINDOW));
        match mean(&mut self.scores.iter().skip(TREND_WINDOW)) - before {
            TREND_STEP.. => HealthTrend::Improving,
            step if step <= -TREND_STEP => HealthTrend::Degrading,
            _ => HealthTrend::Stable,
        }
    }

    fn count(&mut self, failed: bool) {
        self.calls = (self.calls << 1 | u32::from(failed)) & ((1 << CALLS) - 1);
        self.counted = (self.counted + 1).min(CALLS);
    }
}

/// The score that the terms leave, behind a breaker.
fn capped(terms: &[Term], breaker: BreakerState) -> f64 {
    let cap = match breaker {
        BreakerState::Closed => 100.0,
        BreakerState::HalfOpen => 50.0,
        BreakerState::Open => 10.0,
    };
    (100.0 - terms.iter().map(Term::cost).sum::<f64>()).clamp(0.0, cap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost(score: &HealthScore, name: &str) -> f64 {
        score.terms.iter().find(|term| term.name == name).expect("every term is told").cost
    }

    #[test]
    fn nothing_known_is_healthy_and_the_breaker_caps_it() {
        let (vitals, now) = (Vitals::default(), Instant::now());
        let scores = [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open]
            .map(|state| vitals.score(state, now))
            .map(|score| (score.score, score.level));
        assert_eq!(
            scores,
            [(100.0, HealthLevel::Healthy), (50.0, HealthLevel::Degraded), (10.0, HealthLevel::Critical)]
        );
    }

    #[test]
    fn each_term_costs_what_the_table_says() {
        let (mut vitals, now) = (Vitals::default(), Instant::now());
        (0..10).for_each(|_| vitals.succeeded(Some(1.0)));
        (0..10).for_each(|_| vitals.failed());
        (0..2).for_each(|_| vitals.dropped(now));
        vitals.measured_memory(3 << 30, 4 << 30);
        vitals.beat(Duration::from_millis(500));
        let score = vitals.score(BreakerState::Closed, now);
        let costs = ["failure rate", "latency", "failures in a row", "connection drops", "memory", "heartbeat"]
            .map(|name| cost(&score, name));
        assert_eq!(costs, [20.0, 0.0, 15.0, 10.0, 5.0, 5.0]);
        assert_eq!(score.score, 45.0);
        let later = vitals.score(BreakerState::Closed, now + DROPS_COUNT_FOR);
        assert_eq!(cost(&later, "connection drops"), 0.0);
    }

    #[test]
    fn the_trend_follows_the_scores() {
        let (mut vitals, now) = (Vitals::default(), Instant::now());
        (0..5).for_each(|_| vitals.remember(BreakerState::Closed, now));
        assert_eq!(vitals.score(BreakerState::Closed, now).trend, HealthTrend::Stable);
        (0..5).for_each(|_| vitals.failed());
        (0..5).for_each(|_| vitals.remember(BreakerState::Closed, now));
        assert_eq!(vitals.score(BreakerState::Closed, now).trend, HealthTrend::Degrading);
        (0..20).for_each(|_| vitals.succeeded(None));
        (0..5).for_each(|_| vitals.remember(BreakerState::Closed, now));
        assert_eq!(vitals.score(BreakerState::Closed, now).trend, HealthTrend::Improving);
    }

    proptest! {
        #[test]
        fn a_score_is_what_its_terms_leave(failures in prop::collection::vec(any::<bool>(), 0..40), seconds in 0.0..9.0) {
            let (mut vitals, now) = (Vitals::default(), Instant::now());
            for failed in failures {
                if failed { vitals.failed() } else { vitals.succeeded(Some(seconds)) }
            }
            vitals.beat(Duration::from_secs_f64(seconds));
            let score = vitals.score(BreakerState::Closed, now);
            prop_assert!(score.terms.iter().all(|term| (0.0..=term.most).contains(&term.cost)));
            prop_assert!((score.score / 100.0 - vitals.share(now)).abs() < 1e-9);
            prop_assert_eq!(score.score, (100.0 - score.terms.iter().map(|term| term.cost).sum::<f64>()).max(0.0));
        }
    }
}
