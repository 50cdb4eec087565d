//! The second step: segments that differ too little from their neighbour are merged.

use super::strength::Scale;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The candidates that are left when the weakest is taken away, again and again, until each that is left has at least
/// the strength `enough`.
pub(super) fn strong(values: &[f64], candidates: &[usize], scale: &Scale, enough: f64) -> Vec<usize> {
    let edges: Vec<usize> = [&[0], candidates, &[values.len()]].concat();
    let mut chain = Chain::new(edges.len());
    let strength =
        |chain: &Chain, at: usize| scale.strength(values, [edges[chain.before[at]], edges[at], edges[chain.after[at]]]);
    let mut weakest: BinaryHeap<Entry> =
        (1..=candidates.len()).map(|at| Entry { strength: strength(&chain, at), at, version: 0 }).collect();
    while let Some(entry) = weakest.pop() {
        if chain.version[entry.at] != Some(entry.version) {
            continue;
        }
        if entry.strength >= enough {
            break;
        }
        for neighbour in chain.take(entry.at) {
            let version = chain.renew(neighbour);
            if let Some(version) = version {
                weakest.push(Entry { strength: strength(&chain, neighbour), at: neighbour, version });
            }
        }
    }
    (1..=candidates.len()).filter(|&at| chain.version[at].is_some()).map(|at| edges[at]).collect()
}

/// The edges that are left, linked to their neighbours; the first and the last are the ends of the series.
struct Chain {
    before: Vec<usize>,
    after: Vec<usize>,
    /// How often an edge got a new neighbour; `None` for one that was taken away and for the ends.
    version: Vec<Option<usize>>,
}

impl Chain {
    fn new(edges: usize) -> Self {
        let version = (0..edges).map(|at| (at > 0 && at + 1 < edges).then_some(0)).collect();
        Self { before: (0..edges).map(|at| at.saturating_sub(1)).collect(), after: (1..=edges).collect(), version }
    }

    /// Takes an edge away and returns its neighbours.
    fn take(&mut self, at: usize) -> [usize; 2] {
        let (before, after) = (self.before[at], self.after[at]);
        self.after[before] = after;
        self.before[after] = before;
        self.version[at] = None;
        [before, after]
    }

    fn renew(&mut self, at: usize) -> Option<usize> {
        self.version[at] = self.version[at].map(|version| version + 1);
        self.version[at]
    }
}

struct Entry {
    strength: f64,
    at: usize,
    version: usize,
}

impl Ord for Entry {
    /// The weakest is the greatest, and of two as weak the earlier: `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.strength.total_cmp(&self.strength).then(other.at.cmp(&self.at))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
