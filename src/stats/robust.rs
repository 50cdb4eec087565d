//! Location and scale that a few wild values do not move.

/// Makes the median absolute deviation of a normal sample estimate its standard deviation (1 / Φ⁻¹(3/4)).
const NORMAL_MAD: f64 = 1.482_602_218_505_602;

/// The median; NaN of an empty slice. `values` are reordered.
pub(super) fn median_in_place(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    lower + (upper - lower) / 2.0
}

/// The median; NaN of an empty slice.
pub(super) fn median(values: &[f64]) -> f64 {
    median_in_place(&mut values.to_vec())
}

/// The median absolute deviation around `center`, scaled to estimate a normal standard deviation.
pub(super) fn scaled_mad(values: &[f64], center: f64) -> f64 {
    let mut deviations: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
    NORMAL_MAD * median_in_place(&mut deviations)
}

/// The mean; NaN of an empty slice.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The population standard deviation (divided by n); NaN of an empty slice.
pub(super) fn standard_deviation(values: &[f64]) -> f64 {
    let center = mean(values);
    (values.iter().map(|value| (value - center).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_numpy() {
        // numpy.median, scipy.stats.median_abs_deviation(x, scale="normal"), numpy.std of the same list
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        assert_eq!(median(&values), 3.5);
        assert!((scaled_mad(&values, 3.5) - 2.965_204_437_011_204).abs() < 1e-12);
        assert!((standard_deviation(&values) - 2.570_870_475_150_391_7).abs() < 1e-12);
        assert_eq!(median(&values[..7]), 3.0);
        assert!(median(&[]).is_nan());
    }
}
