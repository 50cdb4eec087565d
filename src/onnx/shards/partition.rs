//! Chains-on-chains partitioning: a line of nodes is divided into consecutive parts so that the dearest part, or the sum
//! of all, is cheapest.
//!
//! The dynamic programming is the classic one (Bokhari, "Partitioning problems in parallel, pipeline, and distributed
//! computing", 1988; Pinar and Aykanat, "Fast optimal load balancing algorithms for 1D partitioning", 2004), over the
//! possible cuts only. A part's cost is any function of where it begins and ends, since what crosses depends on both;
//! that gives up the faster algorithms, which need it to grow with the part.

/// What is to be least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Least {
    /// The cost of the dearest part.
    Dearest,
    /// The sum of all parts' costs.
    Sum,
}

impl Least {
    fn with(self, so_far: f64, part: f64) -> f64 {
        match self {
            Least::Dearest => so_far.max(part),
            Least::Sum => so_far + part,
        }
    }
}

/// Divides what lies between `points` bounds (the two ends included) into `parts` parts, and gives the chosen bounds with
/// both ends, or `None` when no division is allowed.
///
/// `ranges(from)` gives, for each bound after `from` in turn, what lies between both, and `cost(part, range)` what that
/// costs as the first, second, … part, counted from 0; infinite where it may not be.
pub(super) fn partition<Range, Ranges: IntoIterator<Item = Range>>(
    points: usize,
    parts: usize,
    least: Least,
    mut ranges: impl FnMut(usize) -> Ranges,
    cost: impl Fn(usize, &Range) -> f64,
) -> Option<Vec<usize>> {
    if parts == 0 || points < parts + 1 {
        return None;
    }
    let nothing = match least {
        Least::Dearest => f64::NEG_INFINITY,
        Least::Sum => 0.0,
    };
    // By number of parts and bound: the least cost up to there, and the bound before.
    let mut best = vec![vec![(f64::INFINITY, 0_usize); points]; parts + 1];
    best[0][0].0 = nothing;
    for from in 0..points - 1 {
        if (0..parts).all(|part| best[part][from].0 == f64::INFINITY) {
            continue;
        }
        for (to, range) in (from + 1..points).zip(ranges(from)) {
            for part in 0..parts {
                let so_far = best[part][from].0;
                if so_far == f64::INFINITY {
                    continue;
                }
                let total = least.with(so_far, cost(part, &range));
                if total < best[part + 1][to].0 {
                    best[part + 1][to] = (total, from);
                }
            }
        }
    }
    let mut bounds = vec![points - 1];
    for part in (1..=parts).rev() {
        let (total, from) = best[part][*bounds.last()?];
        if total == f64::INFINITY {
            return None;
        }
        bounds.push(from);
    }
    bounds.reverse();
    Some(bounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The cost of what lies between two bounds, by part: anything, and now and then impossible.
    fn costs() -> impl Strategy<Value = (usize, usize, Vec<f64>)> {
        (2_usize..9, 1_usize..5).prop_flat_map(|(points, parts)| {
            let cost = prop_oneof![9 => (0_u32..50).prop_map(f64::from), 1 => Just(f64::INFINITY)];
            (Just(points), Just(parts), prop::collection::vec(cost, points * points * parts))
        })
    }

    /// Every way to choose the inner bounds.
    fn choices(points: usize, parts: usize) -> Vec<Vec<usize>> {
        let inner: Vec<usize> = (1..points - 1).collect();
        (0_u32..1 << inner.len())
            .filter(|set| set.count_ones() as usize == parts - 1)
            .map(|set| {
                let chosen = inner.iter().enumerate().filter(|(bit, _)| set & (1 << bit) != 0).map(|(_, point)| *point);
                std::iter::once(0).chain(chosen).chain([points - 1]).collect()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn it_is_as_good_as_the_best_of_all_choices((points, parts, table) in costs(), sum: bool) {
            let least = if sum { Least::Sum } else { Least::Dearest };
            let cost = |part: usize, range: &(usize, usize)| table[(range.0 * points + range.1) * parts + part];
            let total = |bounds: &[usize]| {
                let costs = bounds.windows(2).enumerate().map(|(part, ends)| cost(part, &(ends[0], ends[1])));
                if sum { costs.sum::<f64>() } else { costs.fold(f64::NEG_INFINITY, f64::max) }
            };
            let best = choices(points, parts).iter().map(|bounds| total(bounds)).fold(f64::INFINITY, f64::min);
            let ranges = |from: usize| (from + 1..points).map(move |to| (from, to));
            match partition(points, parts, least, ranges, cost) {
                None => prop_assert_eq!(best, f64::INFINITY),
                Some(bounds) => {
                    prop_assert_eq!((bounds.len(), bounds[0], bounds[parts]), (parts + 1, 0, points - 1));
                    prop_assert!(bounds.windows(2).all(|ends| ends[0] < ends[1]));
                    prop_assert_eq!(total(&bounds), best);
                }
            }
        }
    }
}
