//! P-values of many tests at once.

/// P-values adjusted so that calling those below q findings makes a share of at most q of them false, in the order
/// given (Benjamini and Hochberg, 1995). NaN, a test that said nothing, counts as 1.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let p = |index: usize| if p_values[index].is_nan() { 1.0 } else { p_values[index] };
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|i, j| p(*i).total_cmp(&p(*j)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut smallest = 1.0_f64;
    for (below, index) in order.into_iter().enumerate().rev() {
        smallest = smallest.min(p(index) * p_values.len() as f64 / (below + 1) as f64);
        adjusted[index] = smallest;
    }
    adjusted
}

/// P-values adjusted for how many they are, in the order given (Holm, 1979).
pub fn holm(p_values: &[f64]) -> Vec<f64> {
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
    use proptest::prelude::*;

    #[test]
    fn adjusted_p_values_are_those_of_scipy() {
        // scipy.stats.false_discovery_control([0.01, 0.04, 0.03, 0.005, 0.9, 0.03], method="bh")
        let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005, 0.9, 0.03]);
        for (value, expected) in adjusted.iter().zip([0.03, 0.048, 0.045, 0.03, 0.9, 0.045]) {
            assert!((value - expected).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(benjamini_hochberg(&[]).is_empty());
        assert_eq!(benjamini_hochberg(&[f64::NAN, 0.01]), [1.0, 0.02]);
    }

    proptest! {
        #[test]
        fn an_adjusted_p_value_is_no_smaller_and_keeps_its_place(p in proptest::collection::vec(0.0..=1.0_f64, 1..40)) {
            let adjusted = benjamini_hochberg(&p);
            for (i, j) in (0..p.len()).flat_map(|i| (0..p.len()).map(move |j| (i, j))) {
                prop_assert!(adjusted[i] >= p[i] - 1e-12 && adjusted[i] <= 1.0);
                prop_assert!(p[i] > p[j] || adjusted[i] <= adjusted[j]);
            }
        }
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
