//! Ranks, the mean rank for equal values.

/// The rank of each value from 1, in the order given; equal values share their mean rank.
pub(super) fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut ranks = vec![0.0; values.len()];
    let mut below = 0.0;
    for tied in order.chunk_by(|i, j| values[*i] == values[*j]) {
        let rank = below + (tied.len() as f64 + 1.0) / 2.0;
        for index in tied {
            ranks[*index] = rank;
        }
        below += tied.len() as f64;
    }
    ranks
}

/// The sizes of groups of equal values in sorted values, those of one left out.
pub(super) fn ties(sorted: &[f64]) -> impl Iterator<Item = f64> {
    sorted.chunk_by(|a, b| a == b).map(|tied| tied.len() as f64).filter(|tied| *tied > 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_scipy() {
        // scipy.stats.rankdata([3, 1, 4, 1, 5, 9, 2, 6, 5])
        assert_eq!(
            midranks(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0]),
            [4.0, 1.5, 5.0, 1.5, 6.5, 9.0, 3.0, 8.0, 6.5]
        );
        assert_eq!(midranks(&[0.0, -0.0]), [1.5, 1.5]);
        assert!(midranks(&[]).is_empty());
    }
}
