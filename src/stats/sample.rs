//! Sorted samples and their medians.

/// The values in order.
pub fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The median of sorted values; NaN when there are none.
pub(super) fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// `change` as a share of `base`; `None` where the base is zero, or so near it that the share is no number.
pub(super) fn relative(change: f64, base: f64) -> Option<f64> {
    let share = change / base.abs();
    share.is_finite().then_some(share)
}
