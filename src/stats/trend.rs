//! Whether a series rises or falls over time, how fast, and how sure that is.

use super::Direction;
use super::autocorrelation::{autocorrelations, usual_lags};
use super::quadrature::NORMAL;
use super::ranks::{midranks, ties};
use super::sample::{median, relative, sorted};
use crate::types::names;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

/// A longer series is first made into at most this many medians of neighbours: half a million slopes take 4 MB, and
/// every point still counts.
const MOST_POINTS: usize = 1000;

/// Beyond this, a series of any usual length is one long wave.
const MOST_AUTOCORRELATED: f64 = 0.95;

/// What a trend takes for granted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrendSettings {
    /// The p-value below which a trend is one. 0.05.
    pub significance: f64,
    /// Of the slope's interval, 0 to 1. 0.95.
    pub confidence: f64,
    /// A trend whose change over the whole series is a smaller share of the median is called stable. 0.01: a long series
    /// shows trends that are sure, and too small for anybody to act on.
    pub least_change: f64,
}

impl Default for TrendSettings {
    fn default() -> Self {
        Self { significance: 0.05, confidence: 0.95, least_change: 0.01 }
    }
}

/// Where a series is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It gets better.
    Improving,
    /// No trend is sure and large enough.
    Stable,
    /// It gets worse.
    Degrading,
}

names!(Course { Improving = "improving", Stable = "stable", Degrading = "degrading" });

/// Why a series has no trend to speak of.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum TrendError {
    /// Too little to say anything.
    #[error("the series has {points} points, and a trend needs {needed}")]
    TooFewPoints {
        /// How many it has.
        points: usize,
        /// How many it needs.
        needed: usize,
    },
    /// NaN or an infinity.
    #[error("point {index} is not finite: {value} at {time}")]
    NotFinite {
        /// Which point, counted from 0.
        index: usize,
        /// Its time.
        time: f64,
        /// Its value.
        value: f64,
    },
    /// Slopes need two times at least.
    #[error("all points of the series have the same time")]
    OneTime,
    /// Values or times whose difference is no `f64`.
    #[error("the points are too far apart to subtract them")]
    TooFarApart,
}

/// The trend of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// Where it is going.
    pub course: Course,
    /// By how much it changes in one unit of time: the median of the slopes between all pairs (Theil, 1950; Sen, 1968).
    pub slope: f64,
    /// The slope's confidence interval (Sen, 1968), widened for the autocorrelation.
    pub slope_interval: [f64; 2],
    /// The line's value at time 0: the median value less the slope times the median time.
    pub intercept: f64,
    /// The line's change from the first to the last time, as a share of the median; `None` when that is 0.
    pub relative_change: Option<f64>,
    /// Two-sided, of Mann and Kendall's test (Mann, 1945; Kendall, 1975), corrected for ties and, after Hamed and Rao
    /// (1998), for autocorrelation: the mean over what that may be.
    pub p: f64,
    /// What it would be without the correction for autocorrelation.
    pub p_if_independent: f64,
    /// The factor by which autocorrelation makes the test's statistic vary more, from 1: the mean of what it may be.
    pub variance_factor: f64,
    /// How many points the series has.
    pub points: usize,
    /// How many medians of neighbours stood for them; the same when the series is short enough to take as it is.
    pub points_used: usize,
}

/// The trend of points, (time, value), in any order. Values of the same time do not follow each other, so no slope is
/// taken between them.
///
/// # Errors
/// [`TrendError`] for series that are too short, not finite, or all of one time.
pub fn trend(points: &[(f64, f64)], direction: Direction, settings: &TrendSettings) -> Result<Trend, TrendError> {
    check(points)?;
    let used = condensed(points);
    let mut pairs = Pairs::of(&used);
    if pairs.slopes.is_empty() {
        return Err(TrendError::OneTime);
    }
    let times = sorted(used.iter().map(|point| point.0));
    let values = sorted(used.iter().map(|point| point.1));
    let slope = pairs.median_slope();
    let factors = variance_factors(&used, slope);
    let mean_over = |of: &dyn Fn(f64) -> f64| factors.iter().map(|(weight, factor)| weight * of(*factor)).sum::<f64>();
    let variance_factor = mean_over(&|factor| factor);
    let independent = score_variance(&times, &values);
    let variance = independent * variance_factor;
    let p = mean_over(&|factor| p_value(pairs.score, independent * factor)).min(1.0);
    let p_if_independent = p_value(pairs.score, independent);
    let (middle_time, middle) = (median(&times), median(&values));
    let relative_change = relative(slope * (times[times.len() - 1] - times[0]), middle);
    let trend = Trend {
        course: Course::Stable,
        slope,
        slope_interval: pairs.slope_interval(variance, settings.confidence),
        intercept: middle - slope * middle_time,
        relative_change,
        p,
        p_if_independent,
        variance_factor,
        points: points.len(),
        points_used: used.len(),
    };
    Ok(Trend { course: trend.course_by(p, direction, settings), ..trend })
}

impl Trend {
    /// Where it is going by another p-value than its own: one that was adjusted for many series looked at together.
    #[must_use]
    pub fn course_by(&self, p: f64, direction: Direction, settings: &TrendSettings) -> Course {
        let large = self.relative_change.is_none_or(|change| change.abs() >= settings.least_change);
        match (p < settings.significance && large && self.slope != 0.0, direction.is_worse(self.slope)) {
            (false, _) => Course::Stable,
            (true, true) => Course::Degrading,
            (true, false) => Course::Improving,
        }
    }
}

fn check(points: &[(f64, f64)]) -> Result<(), TrendError> {
    // With four points no p-value is below 0.08.
    const NEEDED: usize = 5;
    let odd = points.iter().enumerate().find(|(_, point)| !point.0.is_finite() || !point.1.is_finite());
    if let Some((index, &(time, value))) = odd {
        return Err(TrendError::NotFinite { index, time, value });
    }
    if points.len() < NEEDED {
        return Err(TrendError::TooFewPoints { points: points.len(), needed: NEEDED });
    }
    let range = |of: fn(&(f64, f64)) -> f64| {
        let values = || points.iter().map(of);
        values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min)
    };
    let (times, values) = (range(|point| point.0), range(|point| point.1));
    if times.is_finite() && values.is_finite() { Ok(()) } else { Err(TrendError::TooFarApart) }
}

/// The points in the order of time; many of them as medians of neighbours.
fn condensed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    if points.len() <= MOST_POINTS {
        return points;
    }
    points
        .chunks(points.len().div_ceil(MOST_POINTS))
        .map(|block| {
            (median(&sorted(block.iter().map(|point| point.0))), median(&sorted(block.iter().map(|point| point.1))))
        })
        .collect()
}

/// All pairs of points.
struct Pairs {
    /// Between points of different times.
    slopes: Vec<f64>,
    /// Kendall's: how many pairs rise less how many fall.
    score: f64,
}

impl Pairs {
    /// Of points in the order of time.
    fn of(points: &[(f64, f64)]) -> Self {
        let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
        let mut score = 0_i64;
        for (index, later) in points.iter().enumerate() {
            for earlier in points[..index].iter().filter(|earlier| earlier.0 < later.0) {
                let rise = later.1 - earlier.1;
                slopes.push(rise / (later.0 - earlier.0));
                score += i64::from(rise > 0.0) - i64::from(rise < 0.0);
            }
        }
        Self { slopes, score: score as f64 }
    }

    /// The `index`th smallest slope.
    fn nth(&mut self, index: usize) -> f64 {
        let index = index.min(self.slopes.len() - 1);
        *self.slopes.select_nth_unstable_by(index, f64::total_cmp).1
    }

    fn median_slope(&mut self) -> f64 {
        let count = self.slopes.len();
        f64::midpoint(self.nth((count - 1) / 2), self.nth(count / 2))
    }

    /// As SciPy's `theilslopes`, with this variance of the score.
    fn slope_interval(&mut self, variance: f64, confidence: f64) -> [f64; 2] {
        let count = self.slopes.len() as f64;
        let reach = Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence.clamp(0.0, 1.0 - 1e-9)));
        let reach = reach * variance.sqrt();
        let low = (((count - reach) / 2.0).round_ties_even() - 1.0).max(0.0) as usize;
        let high = ((count + reach) / 2.0).round_ties_even() as usize;
        [self.nth(low), self.nth(high)]
    }
}

/// The score's variance for independent values, with ties among times and among values (Kendall, Rank Correlation
/// Methods, 1970, 4.2); both sorted.
fn score_variance(times: &[f64], values: &[f64]) -> f64 {
    let n = times.len() as f64;
    let sum = |sorted: &[f64], of: fn(f64) -> f64| ties(sorted).map(of).sum::<f64>();
    let full = |t: f64| t * (t - 1.0) * (2.0 * t + 5.0);
    let pairs = |t: f64| t * (t - 1.0);
    let triples = |t: f64| t * (t - 1.0) * (t - 2.0);
    (full(n) - sum(times, full) - sum(values, full)) / 18.0
        + sum(times, pairs) * sum(values, pairs) / (2.0 * pairs(n))
        + sum(times, triples) * sum(values, triples) / (9.0 * triples(n))
}

/// Two-sided, normal with a correction for continuity.
fn p_value(score: f64, variance: f64) -> f64 {
    if variance <= 0.0 {
        return 1.0;
    }
    (2.0 * Normal::standard().sf((score.abs() - 1.0).max(0.0) / variance.sqrt())).min(1.0)
}

/// The factors by which the score's variance may grow, and how likely each is. A factor is from the autocorrelations of
/// the ranks of what the line leaves over (Hamed and Rao, 1998): at least from those that are significant, and from
/// those of a first-order process (as Yue and Wang, 2004, take it for), whether they are significant or not. What the
/// line follows of that process is given back (van Giersbergen, 2005), and how roughly it is known counts as it does in
/// [`dependence`](super::dependence).
fn variance_factors(points: &[(f64, f64)], slope: f64) -> [(f64, f64); NORMAL.len()] {
    let n = points.len() as f64;
    let left: Vec<f64> = points.iter().map(|(time, value)| value - slope * time).collect();
    let found = autocorrelations(&midranks(&left), usual_lags(points.len()));
    let significant = Normal::standard().inverse_cdf(0.975) / n.sqrt();
    let at_least = hamed_rao(n, found.iter().map(|lag| if lag.abs() > significant { *lag } else { 0.0 }));
    let first = found.first().copied().unwrap_or_default();
    let first = first + (2.0 + 4.0 * first) / n;
    let known = first.clamp(-MOST_AUTOCORRELATED, MOST_AUTOCORRELATED);
    let standard_error = ((1.0 - known * known) / n).sqrt();
    NORMAL.map(|(node, weight)| {
        let first = (first + node * standard_error).clamp(0.0, MOST_AUTOCORRELATED);
        let process = std::iter::successors(Some(first), |lag| Some(lag * first)).take(points.len() - 1);
        (weight, hamed_rao(n, process).max(at_least))
    })
}

/// The factor of autocorrelations at lags 1, 2, …. Not below 1: less noise than independent points have would make a
/// trend surer than the points can.
fn hamed_rao(n: f64, autocorrelations: impl Iterator<Item = f64>) -> f64 {
    let sum: f64 = autocorrelations
        .zip(1..)
        .map(|(correlation, lag)| {
            let rest = n - f64::from(lag);
            rest * (rest - 1.0) * (rest - 2.0) * correlation
        })
        .sum();
    (1.0 + 2.0 / (n * (n - 1.0) * (n - 2.0)) * sum).max(1.0)
}

#[cfg(test)]
#[path = "trend_tests.rs"]
mod tests;
