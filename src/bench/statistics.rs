//! What samples of time say, without assuming how they are distributed.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

/// The samples in order.
pub(super) fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The quantile `q` of sorted samples, interpolated linearly between order statistics (Hyndman and Fan's type 7, the
/// default of R and NumPy). NaN when there are none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = q * last as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (position - low as f64)
}

/// The 95% confidence interval of the median by order statistics: the narrowest symmetric pair whose coverage under
/// Binomial(n, 1/2) is at least 95% (Conover, Practical Nonparametric Statistics, 3.2). `None` below 6 samples, where
/// no pair is that sure.
pub(super) fn median_interval(sorted: &[f64]) -> Option<[f64; 2]> {
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

/// The two-sided p-value of the Mann–Whitney U test (Mann and Whitney, 1947) by the normal approximation, corrected
/// for ties and continuity. 1 when either side is empty or nothing differs.
pub(super) fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    let (n, m) = (a.len() as f64, b.len() as f64);
    let mut all: Vec<(f64, bool)> = a.iter().map(|x| (*x, true)).chain(b.iter().map(|x| (*x, false))).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut rank_sum, mut ties, mut start) = (0.0, 0.0, 0);
    while start < all.len() {
        let end = all[start..].iter().take_while(|(value, _)| *value == all[start].0).count() + start;
        let (tied, mean_rank) = ((end - start) as f64, (start + end + 1) as f64 / 2.0);
        rank_sum += mean_rank * all[start..end].iter().filter(|(_, of_a)| *of_a).count() as f64;
        ties += tied.powi(3) - tied;
        start = end;
    }
    let u = rank_sum - n * (n + 1.0) / 2.0;
    let total = n + m;
    let variance = n * m / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)));
    let Ok(normal) = Normal::new(0.0, 1.0) else { return 1.0 };
    if variance.is_nan() || variance <= 0.0 {
        return 1.0;
    }
    let z = ((u - n * m / 2.0).abs() - 0.5).max(0.0) / variance.sqrt();
    (2.0 * normal.sf(z)).min(1.0)
}

/// P-values adjusted for how many they are, in the order given (Holm, 1979).
pub(super) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|i, j| p_values[*i].total_cmp(&p_values[*j]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
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

    #[test]
    fn mann_whitney_agrees_with_scipy() {
        // scipy.stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=True).pvalue
        let a = [1.1, 2.3, 2.9, 3.4, 4.8, 5.0];
        let b = [2.3, 4.4, 5.5, 6.1, 7.7, 8.2, 9.0];
        assert!((mann_whitney(&a, &b) - 0.045_203_814_8).abs() < 1e-9, "{}", mann_whitney(&a, &b));
        assert_eq!(mann_whitney(&a, &a), 1.0);
        assert_eq!(mann_whitney(&[], &b), 1.0);
        assert_eq!(mann_whitney(&[2.0, 2.0], &[2.0, 2.0]), 1.0);
    }

    #[test]
    fn holm_agrees_with_r() {
        // p.adjust(c(0.01, 0.04, 0.03, 0.005), method = "holm")
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (value, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((value - expected).abs() < 1e-12);
        }
    }
}
