//! How much two neighbouring segments differ.

use super::Detector;

/// Autocorrelation beyond this is not believed: the correction would grow without bound.
const STRONGEST_AUTOCORRELATION: f64 = 0.9;

/// What differences of a series are measured with.
pub(super) struct Scale {
    near: usize,
    far: usize,
    least_variance: f64,
    usual_autocorrelation: f64,
}

impl Scale {
    /// `spread` is the standard deviation of the series.
    pub(super) fn new(detector: &Detector, spread: f64) -> Self {
        Self {
            near: detector.near,
            far: detector.far,
            least_variance: (detector.spread_share * spread).powi(2),
            usual_autocorrelation: detector.usual_autocorrelation,
        }
    }

    /// The t statistic of the segments `start..point` and `point..end`, the lesser of the one between the close windows
    /// and the one between the wide windows around `point`.
    pub(super) fn strength(&self, values: &[f64], [start, point, end]: [usize; 3]) -> f64 {
        let within = |reach: usize| {
            let before = &values[point.saturating_sub(reach).max(start)..point];
            let after = &values[point..end.min(point + reach)];
            self.t(before, after)
        };
        within(self.near).min(within(self.far))
    }

    /// Student's two-sample t with pooled variance, the variance enlarged by (1 + ρ) / (1 − ρ) for the autocorrelation
    /// ρ (the effective sample size of an AR(1) process) and by the least variance.
    fn t(&self, before: &[f64], after: &[f64]) -> f64 {
        let (left, right) = (before.len() as f64, after.len() as f64);
        let (mean_before, mean_after) = (before.iter().sum::<f64>() / left, after.iter().sum::<f64>() / right);
        let residuals = before.iter().map(|v| v - mean_before).chain(after.iter().map(|v| v - mean_after));
        let (mut squares, mut products, mut last) = (0.0, 0.0, 0.0);
        for residual in residuals {
            squares += residual * residual;
            products += residual * last;
            last = residual;
        }
        let rho = if squares > 0.0 { products / squares } else { 0.0 };
        let unusual = ((rho - self.usual_autocorrelation) / (1.0 - self.usual_autocorrelation))
            .clamp(0.0, STRONGEST_AUTOCORRELATION);
        let pooled = squares / (left + right - 2.0).max(1.0) * (1.0 + unusual) / (1.0 - unusual);
        let error = ((pooled + self.least_variance) * (1.0 / left + 1.0 / right)).sqrt();
        if error > 0.0 { (mean_after - mean_before).abs() / error } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(near: usize, far: usize) -> Scale {
        Scale { near, far, least_variance: 0.0, usual_autocorrelation: 0.99 }
    }

    #[test]
    fn without_corrections_it_is_students_t() {
        // scipy.stats.ttest_ind([5.1, 4.8, 5.3, 5.0, 4.9], [5.6, 5.9, 5.4, 5.8]).statistic
        let values = [5.1, 4.8, 5.3, 5.0, 4.9, 5.6, 5.9, 5.4, 5.8];
        let t = plain(9, 9).strength(&values, [0, 5, 9]);
        assert!((t - 4.752316105462076).abs() < 1e-9, "{t}");
    }

    #[test]
    fn a_step_that_does_not_last_is_weaker_than_one_that_does() {
        let noise = |i: usize| [0.1, -0.2, 0.15, -0.05][i % 4];
        let lasts: Vec<f64> = (0..40).map(|i| noise(i) + f64::from(u8::from(i >= 20))).collect();
        let returns: Vec<f64> = (0..40).map(|i| noise(i) + f64::from(u8::from((20..28).contains(&i)))).collect();
        let scale = plain(8, 20);
        assert!(scale.strength(&returns, [0, 20, 40]) < scale.strength(&lasts, [0, 20, 40]) / 2.0);
    }

    #[test]
    fn autocorrelation_weakens() {
        let drifting: Vec<f64> = (0..40).map(|i| f64::from(i) / 10.0).collect();
        let usual = Scale { usual_autocorrelation: 0.0, ..plain(20, 20) };
        assert!(usual.strength(&drifting, [0, 20, 40]) < plain(20, 20).strength(&drifting, [0, 20, 40]) / 2.0);
    }
}
