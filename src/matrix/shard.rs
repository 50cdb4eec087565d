//! One of several equal shares of the cases.

use super::{Past, Planned};
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// One of several equal shares of the cases, written `2/5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

/// A share that there cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share of the cases: write I/N with I from 1 to N, such as 2/5")]
pub struct ShardError(String);

impl FromStr for Shard {
    type Err = ShardError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if index >= 1 && index <= count => Ok(Self { index, count }),
            _ => Err(ShardError(text.to_owned())),
        }
    }
}

impl Shard {
    /// The share's cases, in their order. Shares are disjoint and together everything, for the same cases and the same
    /// past. Where earlier runs tell how long cases took, they take equally long: the longest case is given first, each to
    /// the share that has least; a case nobody knows counts as an average one. Else a case's name alone decides, so that
    /// a new case moves no other.
    pub fn of(self, cases: Vec<Planned>, past: &Past) -> Vec<Planned> {
        let spent: Vec<Option<f64>> = cases.iter().map(|planned| past.spent_ms(&planned.row)).collect();
        let known: Vec<f64> = spent.iter().copied().flatten().collect();
        let mine: Vec<bool> = if known.is_empty() {
            cases.iter().map(|planned| self.by_name(planned)).collect()
        } else {
            let average = known.iter().sum::<f64>() / known.len() as f64;
            self.by_time(&cases, |number| spent[number].unwrap_or(average))
        };
        cases.into_iter().zip(mine).filter_map(|(planned, mine)| mine.then_some(planned)).collect()
    }

    fn by_name(self, planned: &Planned) -> bool {
        let digest = Sha256::digest(format!("{}/{}", planned.row.suite, planned.row.case));
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % self.count as u64 == self.index as u64 - 1
    }

    fn by_time(self, cases: &[Planned], spent: impl Fn(usize) -> f64) -> Vec<bool> {
        let name = |number: usize| (&cases[number].row.suite, &cases[number].row.case);
        let mut order: Vec<usize> = (0..cases.len()).collect();
        order.sort_by(|a, b| spent(*b).total_cmp(&spent(*a)).then_with(|| name(*a).cmp(&name(*b))));
        let mut loads = vec![0.0_f64; self.count];
        let mut mine = vec![false; cases.len()];
        for number in order {
            let least = (0..self.count).min_by(|a, b| loads[*a].total_cmp(&loads[*b])).unwrap_or_default();
            // A case of no time at all still takes its turn.
            loads[least] += spent(number).max(0.001);
            mine[number] = least == self.index - 1;
        }
        mine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::tests::{planned, report, result};
    use crate::types::Verdict;
    use proptest::prelude::*;

    fn names(cases: &[Planned]) -> Vec<String> {
        cases.iter().map(|planned| planned.row.case.clone()).collect()
    }

    fn shares(count: usize, cases: &[Planned], past: &Past) -> Vec<Vec<Planned>> {
        (1..=count).map(|index| Shard { index, count }.of(cases.to_vec(), past)).collect()
    }

    proptest! {
        #[test]
        fn shares_are_disjoint_and_together_everything(
            count in 1..9_usize,
            cases in prop::collection::btree_map("[a-d]{1,3}", prop::option::of(0.0..1e5_f64), 0..40),
        ) {
            let all: Vec<Planned> = cases.keys().map(|name| planned(name, &[])).collect();
            let known = cases.iter().filter_map(|(name, spent)| {
                let spent_ms = Some((*spent)?);
                Some(crate::report::CaseResult { spent_ms, ..result(name, "chrome/wasm", Verdict::Pass) })
            });
            let past = Past::of(vec![report(known.collect())]);
            let mut together: Vec<String> = shares(count, &all, &past).iter().flat_map(|share| names(share)).collect();
            together.sort();
            prop_assert_eq!(together, names(&all));
        }
    }

    #[test]
    fn shares_take_equally_long_where_it_is_known() {
        let all: Vec<Planned> = (0..60).map(|number| planned(&format!("case-{number}"), &[])).collect();
        let spent = |number: usize| if number.is_multiple_of(15) { 5000.0 } else { 100.0 + number as f64 };
        let results = (0..60).map(|number| crate::report::CaseResult {
            spent_ms: Some(spent(number)),
            ..result(&format!("case-{number}"), "chrome/wasm", Verdict::Pass)
        });
        let past = Past::of(vec![report(results.collect())]);
        let loads: Vec<f64> = shares(4, &all, &past)
            .iter()
            .map(|share| share.iter().filter_map(|planned| past.spent_ms(&planned.row)).sum())
            .collect();
        let (least, most) = (loads.iter().copied().fold(f64::MAX, f64::min), loads.iter().copied().fold(0.0, f64::max));
        assert!(most / least < 1.01, "{loads:?}");
    }

    #[test]
    fn a_new_case_moves_no_other_where_nothing_is_known() {
        let cases: Vec<Planned> = (0..50).map(|number| planned(&format!("case-{number}"), &[])).collect();
        let shard = Shard { index: 2, count: 3 };
        let before = names(&shard.of(cases[1..].to_vec(), &Past::default()));
        let after = names(&shard.of(cases, &Past::default()));
        assert!(before.iter().all(|name| after.contains(name)));
    }

    #[test]
    fn impossible_shares_are_refused() {
        for text in ["0/3", "4/3", "1", "a/b", "1/0", ""] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError(text.to_owned())));
        }
    }
}
