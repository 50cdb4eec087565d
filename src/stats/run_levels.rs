//! The t test between the levels of runs, for windows of so few runs that ranks cannot tell.
//!
//! Of ten runs and one, all samples of the one being higher is an event of probability 1/11 for ranks, however far they
//! lie apart. How far, compared with what runs differ by, is what is left to look at: Student's t between the medians of
//! runs, on a logarithmic scale where all are positive, for times vary by shares of themselves. The variance of a side
//! with smaller runs is enlarged by what a median of so few samples varies more (π/2 of a mean's, Kenney and Keeping,
//! 1962).

use super::sample::{median, sorted};
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::f64::consts::FRAC_PI_2;

/// With so many runs on both sides ranks can tell.
const ENOUGH: usize = 4;

/// The two-sided p-value; `None` where both sides have runs enough for ranks, or neither has enough to tell what runs
/// differ by.
pub(super) fn p(windows: [&[&[f64]]; 2]) -> Option<f64> {
    let counts = windows.map(<[_]>::len);
    if counts.iter().all(|runs| *runs >= ENOUGH) || counts.iter().all(|runs| *runs < ENOUGH) {
        return None;
    }
    let positive = windows.iter().flat_map(|window| window.iter()).flat_map(|run| run.iter()).all(|value| *value > 0.0);
    let sides = windows.map(|window| Levels::of(window, |value| if positive { value.ln() } else { value }));
    let [baseline, candidate] = &sides;
    let freedom = (counts[0] + counts[1] - 2) as f64;
    let between = (baseline.squares + candidate.squares) / freedom;
    let within = (baseline.within_squares + candidate.within_squares)
        / (baseline.within_freedom + candidate.within_freedom).max(1.0);
    // What the runs differ by already holds what the medians of the side with more runs vary by.
    let (many, few) = if counts[0] >= counts[1] { (baseline, candidate) } else { (candidate, baseline) };
    let smaller = (FRAC_PI_2 * within * (few.inverse_size - many.inverse_size)).max(0.0);
    let variance = between / many.runs + (between + smaller) / few.runs;
    let difference = (candidate.mean - baseline.mean).abs();
    let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some(if variance > 0.0 {
        (2.0 * student.sf(difference / variance.sqrt())).min(1.0)
    } else if difference > 0.0 {
        0.0
    } else {
        1.0
    })
}

/// The medians of a window's runs, and how they and their samples are spread.
struct Levels {
    runs: f64,
    mean: f64,
    squares: f64,
    within_squares: f64,
    within_freedom: f64,
    /// The mean of one by the number of samples.
    inverse_size: f64,
}

impl Levels {
    fn of(window: &[&[f64]], scale: impl Fn(f64) -> f64) -> Self {
        let runs = window.len() as f64;
        let scaled: Vec<Vec<f64>> = window.iter().map(|run| sorted(run.iter().map(|value| scale(*value)))).collect();
        let medians: Vec<f64> = scaled.iter().map(|run| median(run)).collect();
        let mean = medians.iter().sum::<f64>() / runs;
        let squares = |values: &[f64], mean: f64| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let mean_of = |run: &[f64]| run.iter().sum::<f64>() / run.len() as f64;
        Self {
            runs,
            mean,
            squares: squares(&medians, mean),
            within_squares: scaled.iter().map(|run| squares(run, mean_of(run))).sum(),
            within_freedom: scaled.iter().map(|run| run.len() as f64 - 1.0).sum(),
            inverse_size: scaled.iter().map(|run| 1.0 / run.len() as f64).sum::<f64>() / runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each value a run of its own.
    fn runs(values: &[f64]) -> Vec<&[f64]> {
        values.chunks(1).collect()
    }

    fn p_of(baseline: &[f64], candidate: &[f64]) -> Option<f64> {
        p([&runs(baseline), &runs(candidate)])
    }

    #[test]
    fn it_is_students_test_of_logarithms() {
        let baseline = [10.0, 11.0, 9.5, 10.2, 10.4, 9.9];
        // scipy.stats.ttest_ind(numpy.log(baseline), numpy.log(candidate)).pvalue
        assert!((p_of(&baseline, &[12.0]).unwrap() - 0.026451479247898018).abs() < 1e-9);
        assert!((p_of(&[12.0, 11.5], &baseline).unwrap() - 0.008980319544314363).abs() < 1e-9);
        // scipy.stats.ttest_ind(baseline, [-1.0]).pvalue
        assert!((p_of(&baseline, &[-1.0]).unwrap() - 5.329769332203672e-06).abs() < 1e-9);
    }

    #[test]
    fn it_is_only_for_few_runs_beside_many() {
        let many = [1.0, 2.0, 3.0, 4.0];
        assert_eq!((p_of(&many, &many), p_of(&many[..3], &many[..1])), (None, None));
        assert_eq!((p_of(&[2.0; 5], &[2.0]), p_of(&[2.0; 5], &[3.0])), (Some(1.0), Some(0.0)));
    }
}
