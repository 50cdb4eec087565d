//! Statistics: numbers in, numbers out, without I/O, clock or database. Each method's source is named where it stands,
//! and its tests compare with values of R or SciPy.

pub mod anomalies;
mod autocorrelation;
pub mod change_points;
pub mod correlation;
mod dependence;
mod differences;
mod direction;
pub mod forecast;
mod mann_whitney;
pub mod multiple;
mod quadrature;
pub mod quantiles;
pub mod ranking;
mod ranks;
pub mod regression;
mod robust;
mod run_levels;
mod sample;
#[cfg(test)]
mod seeded;
pub mod shift;
pub mod trend;

pub use direction::Direction;
pub use sample::sorted;

/// The median of the values that are finite; `None` where there is none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    (!finite.is_empty()).then(|| robust::median_in_place(&mut finite))
}

/// The two-sided p-value of the Mann–Whitney U test of two samples, each of them independent: exact for 50 or fewer
/// without ties, else normal, corrected for ties and continuity. 1 when either is empty or nothing differs.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    let [a, b] = [a, b].map(|samples| sorted(samples.iter().copied()));
    if a.is_empty() || b.is_empty() { 1.0 } else { mann_whitney::MannWhitney::of(&a, &b).p() }
}
