//! Which metrics move together, and which follows which.

use super::autocorrelation::autocorrelations;
use super::multiple::benjamini_hochberg;
use super::ranks::midranks;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// With fewer points two series that have nothing to do with each other are too often alike.
const NEEDED: usize = 10;

/// A fifth of the points, as Pyper and Peterman advise, but no more lags than this: beyond them, the metrics of a
/// machine have forgotten each other, and a million points would take hours.
const MOST_LAGS: usize = 100;

/// Why two series cannot be correlated.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CorrelationError {
    /// Values have to belong together.
    #[error("the series have {first} and {second} points, and have to have the same points")]
    Lengths {
        /// Points of the first.
        first: usize,
        /// Points of the second.
        second: usize,
    },
    /// Too little to say anything, at lag 0 or at the largest.
    #[error("{points} points are left at the largest lag, and a correlation needs {needed}")]
    TooFewPoints {
        /// How many points overlap at the largest lag.
        points: usize,
        /// How many it needs.
        needed: usize,
    },
    /// NaN or an infinity.
    #[error("point {index} is not finite")]
    NotFinite {
        /// Which, counted from 0.
        index: usize,
    },
    /// A constant moves with nothing.
    #[error("a series is constant over the points that overlap")]
    Constant,
}

/// How two series correlate when the second is taken some points later.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lagged {
    /// By how many points the second series follows the first; negative: the first follows.
    pub lag: i64,
    /// Spearman's rank correlation, -1 to 1.
    pub rho: f64,
    /// How many points overlap.
    pub points: usize,
    /// As many independent points would say as much (Bartlett, 1935; Pyper and Peterman, 1998).
    pub effective_points: f64,
    /// Two-sided, by Student's t with the effective points.
    pub p: f64,
    /// Adjusted for all lags, and in a scan for all pairs (Benjamini and Hochberg, 1995).
    pub adjusted_p: f64,
}

/// Spearman's correlation at each lag from `-most_lag` to `most_lag`.
///
/// # Errors
/// [`CorrelationError`] for series that do not belong together, are too short, constant or not finite.
pub fn correlate(first: &[f64], second: &[f64], most_lag: usize) -> Result<Vec<Lagged>, CorrelationError> {
    let mut lags = unadjusted(first, second, most_lag)?;
    adjust(lags.iter_mut());
    Ok(lags)
}

/// Two series that may have to do with each other.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a, K> {
    /// What the caller calls them.
    pub name: K,
    /// The first series.
    pub first: &'a [f64],
    /// The second, point by point at the same times.
    pub second: &'a [f64],
}

/// What a scan found.
#[derive(Clone, Debug)]
pub struct Scan<K> {
    /// The surest lag of each pair that could be correlated, in the order given.
    pub correlations: Vec<(K, Lagged)>,
    /// The pairs that could not, and why.
    pub refused: Vec<(K, CorrelationError)>,
}

/// The surest lag of each pair, adjusted for all lags of all pairs.
pub fn scan<'a, K: 'a>(pairs: impl IntoIterator<Item = Pair<'a, K>>, most_lag: usize) -> Scan<K> {
    let (mut correlated, mut refused) = (Vec::new(), Vec::new());
    for pair in pairs {
        match unadjusted(pair.first, pair.second, most_lag) {
            Ok(lags) => correlated.push((pair.name, lags)),
            Err(error) => refused.push((pair.name, error)),
        }
    }
    adjust(correlated.iter_mut().flat_map(|(_, lags)| lags));
    let surest = |lags: Vec<Lagged>| {
        // Of lags equally sure, the one nearest to none.
        lags.into_iter().min_by(|a, b| a.p.total_cmp(&b.p).then_with(|| a.lag.abs().cmp(&b.lag.abs())))
    };
    let correlations = correlated.into_iter().filter_map(|(name, lags)| Some((name, surest(lags)?))).collect();
    Scan { correlations, refused }
}

fn adjust<'a>(lags: impl Iterator<Item = &'a mut Lagged>) {
    let lags: Vec<&mut Lagged> = lags.collect();
    let p_values: Vec<f64> = lags.iter().map(|lag| lag.p).collect();
    for (lag, adjusted) in lags.into_iter().zip(benjamini_hochberg(&p_values)) {
        lag.adjusted_p = adjusted;
    }
}

fn unadjusted(first: &[f64], second: &[f64], most_lag: usize) -> Result<Vec<Lagged>, CorrelationError> {
    if first.len() != second.len() {
        return Err(CorrelationError::Lengths { first: first.len(), second: second.len() });
    }
    let points = first.len().saturating_sub(most_lag);
    if points < NEEDED {
        return Err(CorrelationError::TooFewPoints { points, needed: NEEDED });
    }
    if let Some(index) = first.iter().zip(second).position(|(a, b)| !a.is_finite() || !b.is_finite()) {
        return Err(CorrelationError::NotFinite { index });
    }
    let later = (0..=most_lag).map(|lag| (lag as i64, &first[..first.len() - lag], &second[lag..]));
    let earlier = (1..=most_lag).map(|lag| (-(lag as i64), &first[lag..], &second[..second.len() - lag]));
    let mut lags = earlier.chain(later).map(|(lag, a, b)| at_lag(lag, a, b)).collect::<Result<Vec<_>, _>>()?;
    lags.sort_by_key(|lagged| lagged.lag);
    Ok(lags)
}

fn at_lag(lag: i64, first: &[f64], second: &[f64]) -> Result<Lagged, CorrelationError> {
    let ranks = [midranks(first), midranks(second)];
    let rho = pearson(&ranks[0], &ranks[1]).ok_or(CorrelationError::Constant)?;
    let effective_points = effective(&ranks);
    let p = p_value(rho, effective_points);
    Ok(Lagged { lag, rho, points: first.len(), effective_points, p, adjusted_p: p })
}

/// `None` when one of them is constant.
fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    // Both are ranks, so their mean is known.
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let scale = (sum(a, a) * sum(b, b)).sqrt();
    (scale > 0.0).then(|| (sum(a, b) / scale).clamp(-1.0, 1.0))
}

/// The variance of the correlation of two autocorrelated series, as the number of independent points that have it.
fn effective(ranks: &[Vec<f64>; 2]) -> f64 {
    let n = ranks[0].len() as f64;
    let lags = (ranks[0].len() / 5).min(MOST_LAGS);
    let [a, b] = [0, 1].map(|side| autocorrelations(&ranks[side], lags));
    let shared: f64 = a.iter().zip(&b).zip(1..).map(|((a, b), lag)| (n - f64::from(lag)) / n * a * b).sum();
    n / (1.0 + 2.0 * shared).max(1.0)
}

fn p_value(rho: f64, points: f64) -> f64 {
    let freedom = points - 2.0;
    match StudentsT::new(0.0, 1.0, freedom) {
        Ok(student) if rho.abs() < 1.0 => (2.0 * student.sf(rho.abs() * (freedom / (1.0 - rho * rho)).sqrt())).min(1.0),
        Ok(_) => 0.0,
        // Not even three independent points.
        Err(_) => 1.0,
    }
}

#[cfg(test)]
#[path = "correlation_tests.rs"]
mod tests;
