//! The first step: the cheapest way to cut a series into segments of one level each.

/// No segment is longer than this, so that a series takes time in proportion to its length. A longer level is cut in
/// two here and merged again after. A series no longer than this is partitioned exactly.
pub(super) const LONGEST: usize = 1024;

/// The starts of all segments but the first, of the partition with the least sum over segments of squared deviations
/// from the segment's mean plus `penalty`; each segment has `shortest..=longest` points. None where the series is too
/// short for two segments.
///
/// Jackson et al. (2005); the pruning of PELT (Killick et al., 2012) gains nothing on a series without changes, which
/// is the usual one, so the length of a segment is bounded instead.
pub(super) fn optimal(values: &[f64], penalty: f64, shortest: usize, longest: usize) -> Vec<usize> {
    let n = values.len();
    if n < shortest.saturating_mul(2) {
        return Vec::new();
    }
    let longest = longest.max(2 * shortest);
    let sums = running_sums(values);
    let per_length: Vec<f64> = (0..=longest).map(|length| 1.0 / length as f64).collect();
    // cost[t] is the least cost of the first t points, less the squares, which are the same for each partition.
    let mut cost = vec![f64::INFINITY; n + 1];
    let mut start = vec![0; n + 1];
    cost[0] = 0.0;
    for t in shortest..=n {
        let first = t.saturating_sub(longest);
        for s in first..=t - shortest {
            let level = sums[t] - sums[s];
            let total = cost[s] - level * level * per_length[t - s];
            if total < cost[t] {
                cost[t] = total;
                start[t] = s;
            }
        }
        cost[t] += penalty;
    }
    let mut points = Vec::new();
    let mut t = start[n];
    while t > 0 {
        points.push(t);
        t = start[t];
    }
    points.reverse();
    points
}

/// `sums[t]` is the sum of the first `t` values.
fn running_sums(values: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let after = values.iter().map(|value| {
        sum += value;
        sum
    });
    std::iter::once(0.0).chain(after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost(values: &[f64], points: &[usize], penalty: f64) -> f64 {
        let edges: Vec<usize> = [&[0], points, &[values.len()]].concat();
        edges
            .windows(2)
            .map(|edge| {
                let segment = &values[edge[0]..edge[1]];
                let mean = segment.iter().sum::<f64>() / segment.len() as f64;
                segment.iter().map(|value| (value - mean).powi(2)).sum::<f64>() + penalty
            })
            .sum()
    }

    /// The least cost over all 2^(n-1) partitions that keep the shortest length.
    fn least_cost(values: &[f64], penalty: f64, shortest: usize) -> f64 {
        let n = values.len();
        (0..1_u32 << (n - 1))
            .map(|cuts| (1..n).filter(|point| cuts >> (point - 1) & 1 == 1).collect::<Vec<_>>())
            .filter(|points| {
                let edges: Vec<usize> = [&[0], points.as_slice(), &[n]].concat();
                edges.windows(2).all(|edge| edge[1] - edge[0] >= shortest)
            })
            .map(|points| cost(values, &points, penalty))
            .fold(f64::INFINITY, f64::min)
    }

    proptest! {
        #[test]
        fn no_other_partition_is_cheaper(
            values in prop::collection::vec(-10.0..10.0, 4..12),
            penalty in 0.0..60.0,
            shortest in 1_usize..4,
        ) {
            let points = optimal(&values, penalty, shortest, LONGEST);
            let found = cost(&values, &points, penalty);
            prop_assert!((found - least_cost(&values, penalty, shortest)).abs() < 1e-9, "{points:?} costs {found}");
        }

        #[test]
        fn every_segment_has_a_length_within_bounds(
            values in prop::collection::vec(-10.0..10.0, 0..200),
            penalty in 0.0..600.0,
            shortest in 1_usize..7,
            longest in 14_usize..40,
        ) {
            let points = optimal(&values, penalty, shortest, longest);
            let edges: Vec<usize> = [&[0], points.as_slice(), &[values.len()]].concat();
            if values.len() >= 2 * shortest {
                prop_assert!(edges.windows(2).all(|edge| (shortest..=longest).contains(&(edge[1] - edge[0]))));
            } else {
                prop_assert!(points.is_empty());
            }
        }
    }
}
