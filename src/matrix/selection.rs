//! Which cases of a suite are run.

use crate::onnx::Case;
use regex::Regex;
use std::str::FromStr;

/// Which cases are run: those that match, and of those one share.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Cases whose `suite/case` matches; without it, all.
    pub filter: Option<Regex>,
    /// One of several equal shares; without it, all.
    pub shard: Option<Shard>,
}

impl Selection {
    /// The selected cases, in their order.
    pub fn of(&self, cases: Vec<Case>) -> Vec<Case> {
        let matching = cases.into_iter().filter(|case| {
            self.filter.as_ref().is_none_or(|filter| filter.is_match(&format!("{}/{}", case.suite, case.name)))
        });
        match self.shard {
            Some(Shard { index, count }) => matching.skip(index - 1).step_by(count).collect(),
            None => matching.collect(),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn cases(count: usize) -> Vec<Case> {
        (0..count)
            .map(|n| Case {
                suite: "s".to_owned(),
                name: format!("case{n}"),
                model: PathBuf::new(),
                data_sets: Vec::new(),
            })
            .collect()
    }

    #[test]
    fn shards_are_disjoint_and_together_whole() {
        let mut seen: Vec<String> = (1..=3)
            .flat_map(|index| {
                let shard = Some(format!("{index}/3").parse().expect("a share"));
                Selection { filter: None, shard }.of(cases(10))
            })
            .map(|case| case.name)
            .collect();
        seen.sort();
        assert_eq!(seen, cases(10).into_iter().map(|case| case.name).collect::<Vec<_>>());
    }

    #[test]
    fn a_filter_sees_suite_and_case() {
        let filter = Some(Regex::new("^s/case[12]$").expect("a pattern"));
        assert_eq!(Selection { filter, shard: None }.of(cases(20)).len(), 2);
    }

    #[test]
    fn impossible_shares_are_refused() {
        for text in ["0/3", "4/3", "1", "a/b", "1/0", ""] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError(text.to_owned())));
        }
    }
}
