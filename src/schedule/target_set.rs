//! A set of targets in one machine word.

use crate::types::{Backend, Browser, Target};

/// A set of targets. There are few kinds of browser and of backend, so a bit each is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetSet(u16);

impl TargetSet {
    /// No target.
    pub const EMPTY: Self = Self(0);

    /// Every target there can be.
    pub fn all() -> Self {
        Self((1 << (Browser::ALL.len() * Backend::ALL.len())) - 1)
    }

    /// Adds one.
    pub fn insert(&mut self, target: Target) {
        self.0 |= bit(target);
    }

    /// Removes one.
    pub fn remove(&mut self, target: Target) {
        self.0 &= !bit(target);
    }

    /// Adds one or removes it.
    pub(super) fn set(&mut self, target: Target, holds: bool) {
        if holds { self.insert(target) } else { self.remove(target) }
    }

    /// Whether it holds `target`.
    pub const fn contains(self, target: Target) -> bool {
        self.0 & bit(target) != 0
    }

    /// What both hold.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What this one holds and the other does not.
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What at least one of them holds.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// How many it holds.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its targets, by browser and then by backend.
    pub fn iter(self) -> impl Iterator<Item = Target> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let first = (left != 0).then(|| target(left.trailing_zeros() as usize));
            left &= left.wrapping_sub(1);
            first
        })
    }
}

impl FromIterator<Target> for TargetSet {
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        let mut set = Self::EMPTY;
        targets.into_iter().for_each(|target| set.insert(target));
        set
    }
}

const fn bit(target: Target) -> u16 {
    1 << number(target)
}

/// Targets numbered by browser and then by backend, from 0.
pub(super) const fn number(target: Target) -> usize {
    target.browser as usize * Backend::ALL.len() + target.backend as usize
}

/// The target that has this number.
const fn target(number: usize) -> Target {
    Target::new(Browser::ALL[number / Backend::ALL.len()], Backend::ALL[number % Backend::ALL.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_bit_of_its_own_and_they_come_in_order() {
        let all: Vec<Target> = TargetSet::all().iter().collect();
        assert_eq!(all.len(), Browser::ALL.len() * Backend::ALL.len());
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
        assert_eq!(all.iter().copied().collect::<TargetSet>(), TargetSet::all());
        for one in all {
            assert_eq!(TargetSet::from_iter([one]).iter().collect::<Vec<_>>(), [one]);
        }
    }
}
