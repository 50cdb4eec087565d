//! Order statistics of all differences between two samples, without making the differences.

/// All `candidate[j] - baseline[i]`, of two sorted samples.
pub(super) struct Differences<'a> {
    baseline: &'a [f64],
    candidate: &'a [f64],
}

impl<'a> Differences<'a> {
    /// Both sorted, none empty, their differences finite.
    pub const fn new(baseline: &'a [f64], candidate: &'a [f64]) -> Self {
        Self { baseline, candidate }
    }

    pub const fn count(&self) -> u64 {
        self.baseline.len() as u64 * self.candidate.len() as u64
    }

    /// The `k`th smallest, counted from 1. Halves the range of floating-point numbers until one is left: at most 64
    /// times a walk over both samples, however many pairs they make, and exact. (Sorting the pairs' matrix by rows and
    /// columns, as Monahan's Algorithm 616 does, is of the same order but needs random pivots.)
    pub fn nth(&self, k: u64) -> f64 {
        let (Some(first), Some(last)) = (self.baseline.first(), self.baseline.last()) else { return f64::NAN };
        let (Some(least), Some(most)) = (self.candidate.first(), self.candidate.last()) else { return f64::NAN };
        let (mut low, mut high) = (ordered_bits(least - last), ordered_bits(most - first));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at_most(from_ordered_bits(middle)) >= k {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        from_ordered_bits(low)
    }

    /// The Hodges–Lehmann estimate of the shift: the median of the differences.
    pub fn median(&self) -> f64 {
        let count = self.count();
        let low = self.nth(count.div_ceil(2));
        if count % 2 == 1 { low } else { f64::midpoint(low, self.nth(count / 2 + 1)) }
    }

    /// How many are at most `bound`. A difference is monotone in both values even after rounding, so the boundary in
    /// the matrix of pairs is a staircase.
    fn at_most(&self, bound: f64) -> u64 {
        let (mut count, mut start) = (0, 0);
        for value in self.candidate {
            while start < self.baseline.len() && value - self.baseline[start] > bound {
                start += 1;
            }
            count += (self.baseline.len() - start) as u64;
        }
        count
    }
}

/// Integers in the order of the numbers they stand for.
const fn ordered_bits(value: f64) -> u64 {
    // Minus zero would lie below zero; adding zero makes them one.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

const fn from_ordered_bits(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

#[cfg(test)]
mod tests {
    use super::super::sample::sorted;
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![-1e3..1e3_f64, (-3..4_i32).prop_map(f64::from), -1e-300..1e-300_f64];
        proptest::collection::vec(value, 1..20).prop_map(sorted)
    }

    proptest! {
        #[test]
        fn each_order_statistic_is_that_of_the_differences_made_and_sorted(a in values(), b in values()) {
            let made = sorted(b.iter().flat_map(|y| a.iter().map(move |x| y - x)));
            let differences = Differences::new(&a, &b);
            prop_assert_eq!(differences.count(), made.len() as u64);
            for (index, expected) in made.iter().enumerate() {
                prop_assert_eq!(differences.nth(index as u64 + 1), *expected);
            }
            prop_assert_eq!(differences.median(), super::super::sample::median(&made));
        }
    }
}
