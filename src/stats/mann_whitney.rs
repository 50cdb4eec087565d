//! The Mann–Whitney U test (Mann and Whitney, 1947).

use super::ranks::ties;
use statrs::distribution::{ContinuousCDF, Normal};

/// Up to this many samples on both sides together, the distribution of U is counted out where there are no ties. Its
/// counts, up to C(50, 25), are exact in an f64; beyond that the normal approximation is good to three digits.
const COUNTED_OUT: usize = 50;

/// U of two sorted samples, and how it is distributed when they come from one distribution.
#[derive(Debug)]
pub(super) struct MannWhitney {
    /// In how many pairs the candidate's value is the larger; ties count half.
    pub u: f64,
    /// How many pairs there are.
    pub pairs: f64,
    /// Of U, corrected for ties; 0 when all values are equal.
    pub variance: f64,
    /// The probabilities that U is at most 0, 1, 2, …; for small samples without ties.
    cumulative: Option<Vec<f64>>,
}

impl MannWhitney {
    /// Of samples in order.
    pub fn of(baseline: &[f64], candidate: &[f64]) -> Self {
        let (n, m) = (baseline.len() as f64, candidate.len() as f64);
        let total = n + m;
        let pooled = super::sample::sorted(baseline.iter().chain(candidate).copied());
        let tied: f64 = ties(&pooled).map(|t| t.powi(3) - t).sum();
        let variance = n * m / 12.0 * (total + 1.0 - tied / (total * (total - 1.0)));
        let counted = tied == 0.0 && pooled.len() <= COUNTED_OUT;
        Self {
            u: larger(baseline, candidate),
            pairs: n * m,
            variance: if variance > 0.0 { variance } else { 0.0 },
            cumulative: counted.then(|| cumulative(baseline.len(), candidate.len())),
        }
    }

    /// Two-sided, for independent samples: exact, or normal with a correction for continuity.
    pub fn p(&self) -> f64 {
        match &self.cumulative {
            Some(cumulative) => (2.0 * cumulative[self.u.min(self.pairs - self.u) as usize]).min(1.0),
            None => (2.0 * Normal::standard().sf(self.z())).min(1.0),
        }
    }

    /// How many standard deviations U is from its mean, less the correction for continuity.
    pub fn z(&self) -> f64 {
        let distance = ((self.u - self.pairs / 2.0).abs() - 0.5).max(0.0);
        if self.variance > 0.0 { distance / self.variance.sqrt() } else { 0.0 }
    }

    /// The largest k so that U falls below k with a probability of `tail` at most; 0 when there is none.
    pub fn exact_quantile(&self, tail: f64) -> Option<u64> {
        let cumulative = self.cumulative.as_ref()?;
        Some(cumulative.iter().take_while(|below| **below <= tail).count() as u64)
    }
}

/// In how many pairs the candidate's value is larger, ties counted half; both sorted.
fn larger(baseline: &[f64], candidate: &[f64]) -> f64 {
    let (mut below, mut up_to, mut u) = (0, 0, 0.0);
    for value in candidate {
        while below < baseline.len() && baseline[below] < *value {
            below += 1;
        }
        up_to = up_to.max(below);
        while up_to < baseline.len() && baseline[up_to] <= *value {
            up_to += 1;
        }
        u += (below + up_to) as f64 / 2.0;
    }
    u
}

/// The probabilities that U is at most 0, 1, 2, … nm. The ways to reach each U are the coefficients of the Gaussian
/// binomial, the product of (1 - q^(m+i)) / (1 - q^i) over i = 1 … n (Andrews, The Theory of Partitions, 3.2).
fn cumulative(n: usize, m: usize) -> Vec<f64> {
    let mut ways = vec![0.0; n * m + 1];
    ways[0] = 1.0;
    for i in 1..=n {
        for u in (m + i..ways.len()).rev() {
            ways[u] -= ways[u - m - i];
        }
        for u in i..ways.len() {
            ways[u] += ways[u - i];
        }
    }
    let all: f64 = ways.iter().sum();
    let mut so_far = 0.0;
    ways.iter()
        .map(|ways| {
            so_far += ways;
            so_far / all
        })
        .collect()
}
