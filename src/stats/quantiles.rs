//! Quantiles, and how sure the median is, without assuming how samples are distributed.

use statrs::distribution::{Binomial, DiscreteCDF};

/// The quantile `q` of sorted samples, interpolated linearly between order statistics (Hyndman and Fan's type 7, the
/// default of R and NumPy). NaN when there are none.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = q * last as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (position - low as f64)
}

/// The 95% confidence interval of the median by order statistics: the narrowest symmetric pair whose coverage under
/// Binomial(n, 1/2) is at least 95% (Conover, Practical Nonparametric Statistics, 3.2). `None` below 6 samples, where
/// no pair is that sure.
pub fn median_interval(sorted: &[f64]) -> Option<[f64; 2]> {
    let n = sorted.len();
    let below = Binomial::new(0.5, n as u64).ok()?;
    // The interval from the (k+1)th to the (n-k)th covers the median unless k or fewer samples lie on one side of it.
    let missed = |k: usize| 2.0 * below.cdf(k as u64);
    let mut k = None;
    for candidate in 0..n / 2 {
        if missed(candidate) > 0.05 {
            break;
        }
        k = Some(candidate);
    }
    k.map(|k| [sorted[k], sorted[n - 1 - k]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        let samples = [1.0, 2.0, 4.0, 8.0, 16.0];
        assert_eq!(quantile(&samples, 0.5), 4.0);
        assert!((quantile(&samples, 0.95) - 14.4).abs() < 1e-12); // numpy.quantile(_, 0.95)
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_interval_of_the_median_is_the_textbook_one() {
        let samples: Vec<f64> = (1..=10).map(f64::from).collect();
        // For n = 10, from the 2nd to the 9th: coverage 97.9%; from the 3rd to the 8th would be 89.1%.
        assert_eq!(median_interval(&samples), Some([2.0, 9.0]));
        assert_eq!(median_interval(&samples[..5]), None);
        assert_eq!(median_interval(&samples[..6]), Some([1.0, 6.0]));
    }
}
