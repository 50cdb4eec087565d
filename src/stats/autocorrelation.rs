//! How alike the neighbours in a series are.

/// The autocorrelations at lags 1 to `lags`, with the series' length as divisor at every lag (as R's `acf`). Zeros for
/// a constant series.
pub(super) fn autocorrelations(values: &[f64], lags: usize) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let deviations: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let variance: f64 = deviations.iter().map(|deviation| deviation * deviation).sum();
    (1..=lags)
        .map(|lag| {
            let products = deviations.iter().zip(deviations.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>();
            if variance > 0.0 { products / variance } else { 0.0 }
        })
        .collect()
}

/// The lags that R's `acf` looks at: beyond them the estimates are of too few products.
pub(super) fn usual_lags(length: usize) -> usize {
    ((10.0 * (length as f64).log10()) as usize).min(length.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autocorrelations_are_those_of_r() {
        // acf(c(2, 4, 3, 7, 6, 9, 8), lag.max = 2): by hand, mean 39/7
        let found = autocorrelations(&[2.0, 4.0, 3.0, 7.0, 6.0, 9.0, 8.0], 2);
        assert!((found[0] - 0.392_857_142_857_142_85).abs() < 1e-12, "{found:?}");
        assert!((found[1] - 0.282_289_628_180_039_16).abs() < 1e-12, "{found:?}");
        assert_eq!(autocorrelations(&[1.0; 5], 2), [0.0, 0.0]);
        assert_eq!(autocorrelations(&[], 1), [0.0]);
        assert_eq!((usual_lags(0), usual_lags(1), usual_lags(5), usual_lags(100)), (0, 0, 4, 20));
    }
}
