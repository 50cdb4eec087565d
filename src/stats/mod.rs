//! Statistics: numbers in, numbers out, without I/O, clock or database. Each method's source is named where it stands,
//! and its tests compare with values of R or SciPy.

pub mod anomalies;
pub mod change_points;
pub mod forecast;
mod robust;
#[cfg(test)]
mod seeded;
