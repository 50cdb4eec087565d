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

/// The median of the values that are finite; `None` where there is none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    (!finite.is_empty()).then(|| robust::median_in_place(&mut finite))
}
