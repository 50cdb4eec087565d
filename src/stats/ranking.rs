//! Which of several targets serves a model best, and how sure that is.
//!
//! A target costs what a successful answer takes: its median latency divided by the share of attempts that succeed, as
//! if each failure were tried again. A target whose failures are certainly more than [`RankingSettings::most_failures`]
//! is not recommended, however fast it is: by the lower end of Wilson's interval, so that one mishap among few attempts
//! does not rule it out.
//!
//! The confidence in the first is the product of three terms, each 0 to 1: the sample's, n / (n + 10) with n the
//! smaller effective sample size of the first and of the second; the effect's, how much more often (Cliff's delta) the
//! first is faster than the second; and recency's, which halves every 14 days of the older one's newest sample.

use super::multiple::benjamini_hochberg;
use super::sample::{median, sorted};
use super::shift::{Shift, ShiftSettings, compare};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

/// What a ranking takes for granted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankingSettings {
    /// A target that certainly fails more often than this share of attempts is not recommended. 0.05.
    pub most_failures: f64,
    /// Targets whose costs differ by a smaller share are tied. 0.03: less is not worth another browser.
    pub tie_below: f64,
    /// The adjusted p-value from which on a target cannot be told from the first. 0.05.
    pub significance: f64,
    /// The effective samples that give half of the sample's term. 10.
    pub half_confident_samples: f64,
    /// The days after which a measurement is worth half. 14: browsers come out every four weeks.
    pub half_life_days: f64,
}

impl Default for RankingSettings {
    fn default() -> Self {
        Self {
            most_failures: 0.05,
            tie_below: 0.03,
            significance: 0.05,
            half_confident_samples: 10.0,
            half_life_days: 14.0,
        }
    }
}

/// What is known of one target.
#[derive(Clone, Debug)]
pub struct Measured<K> {
    /// What the caller calls it.
    pub target: K,
    /// Latencies of successful attempts, by run, runs in the order of time.
    pub latencies: Vec<Vec<f64>>,
    /// How many attempts there were.
    pub attempts: u64,
    /// How many of them failed.
    pub failures: u64,
    /// The age of the newest sample.
    pub age_days: f64,
}

/// Why a target is not recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unfit {
    /// It fails too often.
    Fails,
    /// It has no latency that is a finite, positive number, or has one that is none.
    Unmeasured,
}

/// Where a target stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranked<K> {
    /// The caller's name for it.
    pub target: K,
    /// What a successful answer takes, in the latencies' unit; `None` without one.
    pub cost: Option<f64>,
    /// The share of attempts that failed.
    pub failure_share: f64,
    /// Why it is not recommended, if it is not.
    pub unfit: Option<Unfit>,
    /// Whether it cannot be told from the first, or is as good for all practical purposes. The first is tied when
    /// another one is.
    pub tied_with_first: bool,
    /// How its costs compare with the first's; `None` for the first, and where they could not be compared.
    pub against_first: Option<Shift>,
    /// The p-value of that, adjusted for all that were compared with the first.
    pub adjusted_p: Option<f64>,
}

/// How sure it is that the first is the best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Confidence {
    /// The product of the terms.
    pub confidence: f64,
    /// From how many samples.
    pub sample_size: f64,
    /// From how clearly it is faster than the second; 1 when there is no second.
    pub effect_size: f64,
    /// From how old the measurements are.
    pub recency: f64,
}

/// Targets in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking<K> {
    /// The cheapest first; those that are not recommended come last.
    pub targets: Vec<Ranked<K>>,
    /// In the first; `None` when no target is recommended.
    pub confidence: Option<Confidence>,
}

impl<K> Ranking<K> {
    /// The target to take; `None` when none can be recommended.
    #[must_use]
    pub fn best(&self) -> Option<&Ranked<K>> {
        self.targets.first().filter(|first| first.unfit.is_none())
    }
}

/// Ranks targets by what a successful answer costs.
pub fn rank<K>(targets: Vec<Measured<K>>, settings: &RankingSettings) -> Ranking<K> {
    let mut entries: Vec<Entry<K>> = targets.into_iter().map(|measured| Entry::new(measured, settings)).collect();
    entries.sort_by(|a, b| {
        let key = |entry: &Entry<K>| (entry.unfit.is_some(), entry.cost.unwrap_or(f64::INFINITY));
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then_with(|| a.1.total_cmp(&b.1))
    });
    let comparisons: Vec<Option<Shift>> = entries.iter().map(|entry| entry.against(entries.first())).collect();
    let fit = |index: usize| entries[index].unfit.is_none();
    let shifts: Vec<(usize, &Shift)> = comparisons
        .iter()
        .enumerate()
        .filter(|(i, _)| fit(*i))
        .filter_map(|(i, shift)| Some((i, shift.as_ref()?)))
        .collect();
    let adjusted = benjamini_hochberg(&shifts.iter().map(|(_, shift)| shift.p).collect::<Vec<_>>());
    let mut p_values = vec![None; entries.len()];
    for ((index, _), p) in shifts.iter().zip(adjusted) {
        p_values[*index] = Some(p);
    }
    let confidence = confidence(&entries, &comparisons, settings);
    let first_cost = entries.first().and_then(|first| first.cost);
    let mut targets: Vec<Ranked<K>> = entries
        .into_iter()
        .zip(comparisons.into_iter().zip(p_values))
        .map(|(entry, (against_first, adjusted_p))| entry.ranked(first_cost, against_first, adjusted_p, settings))
        .collect();
    let shared = targets.iter().skip(1).any(|target| target.tied_with_first);
    if let Some(first) = targets.first_mut() {
        (first.tied_with_first, first.against_first, first.adjusted_p) = (shared, None, None);
    }
    Ranking { targets, confidence }
}

/// A target on its way into the order.
struct Entry<K> {
    measured: Measured<K>,
    /// What each successful answer cost, by run.
    costs: Vec<Vec<f64>>,
    cost: Option<f64>,
    failure_share: f64,
    unfit: Option<Unfit>,
}

impl<K> Entry<K> {
    fn new(measured: Measured<K>, settings: &RankingSettings) -> Self {
        let (attempts, failures) = (measured.attempts as f64, measured.failures.min(measured.attempts) as f64);
        let failure_share = if attempts > 0.0 { failures / attempts } else { 0.0 };
        let costs: Vec<Vec<f64>> = measured
            .latencies
            .iter()
            .map(|run| run.iter().map(|latency| latency / (1.0 - failure_share)).collect())
            .collect();
        let sound = costs.iter().flatten().all(|cost| cost.is_finite() && *cost > 0.0);
        let cost = Some(median(&sorted(costs.iter().flatten().copied()))).filter(|cost| sound && cost.is_finite());
        let unfit = if wilson_lower(failures, attempts) > settings.most_failures {
            Some(Unfit::Fails)
        } else if cost.is_none() {
            Some(Unfit::Unmeasured)
        } else {
            None
        };
        Self { measured, costs, cost, failure_share, unfit }
    }

    /// Its costs compared with the first's.
    fn against(&self, first: Option<&Self>) -> Option<Shift> {
        let first = first.filter(|first| !std::ptr::eq(*first, self) && first.unfit.is_none())?;
        compare(&first.costs, &self.costs, &ShiftSettings::default()).ok()
    }

    fn ranked(
        self,
        first_cost: Option<f64>,
        against_first: Option<Shift>,
        adjusted_p: Option<f64>,
        settings: &RankingSettings,
    ) -> Ranked<K> {
        let near = match (self.cost, first_cost) {
            (Some(cost), Some(first)) => cost < first * (1.0 + settings.tie_below),
            _ => false,
        };
        // What could not be compared cannot be told apart either.
        let told = adjusted_p.is_some_and(|p| p < settings.significance);
        Ranked {
            tied_with_first: self.unfit.is_none() && (near || !told),
            target: self.measured.target,
            cost: self.cost,
            failure_share: self.failure_share,
            unfit: self.unfit,
            against_first,
            adjusted_p,
        }
    }
}

/// The lower end of the 95% interval of a share (Wilson, 1927).
fn wilson_lower(hits: f64, of: f64) -> f64 {
    if of == 0.0 {
        return 0.0;
    }
    let z = Normal::standard().inverse_cdf(0.975);
    let share = hits / of;
    let spread = z * (share * (1.0 - share) / of + z * z / (4.0 * of * of)).sqrt();
    (share + z * z / (2.0 * of) - spread) / (1.0 + z * z / of)
}

/// The larger age; NaN when either is.
fn older(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// Of entries in order, with their comparisons with the first.
fn confidence<K>(
    entries: &[Entry<K>],
    comparisons: &[Option<Shift>],
    settings: &RankingSettings,
) -> Option<Confidence> {
    let first = entries.first().filter(|first| first.unfit.is_none())?;
    let second = entries.get(1).filter(|second| second.unfit.is_none());
    let samples = |entry: &Entry<K>| entry.costs.iter().map(Vec::len).sum::<usize>() as f64;
    let (effective, effect_size) = match (second, comparisons.get(1).and_then(Option::as_ref)) {
        (Some(_), Some(shift)) => (
            shift.baseline.effective_samples.min(shift.candidate.effective_samples),
            shift.cliffs_delta.clamp(0.0, 1.0),
        ),
        // Too few samples to compare: nothing says that the first is faster.
        (Some(second), None) => (samples(first).min(samples(second)), 0.0),
        (None, _) => (samples(first), 1.0),
    };
    let age = older(first.measured.age_days, second.map_or(first.measured.age_days, |second| second.measured.age_days));
    let sample_size = effective / (effective + settings.half_confident_samples);
    // A clock that went backwards makes samples of the future; they are new. No age is no recency.
    let recency = if age.is_nan() { 0.0 } else { 0.5_f64.powf(age.max(0.0) / settings.half_life_days) };
    Some(Confidence { confidence: sample_size * effect_size * recency, sample_size, effect_size, recency })
}

#[cfg(test)]
#[path = "ranking_tests.rs"]
mod tests;
