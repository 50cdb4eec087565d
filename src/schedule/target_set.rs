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
        every_target().collect()
    }

    /// Adds one.
    pub fn insert(&mut self, target: Target) {
        self.0 |= bit(target);
    }

    /// Removes one.
    pub fn remove(&mut self, target: Target) {
        self.0 &= !bit(target);
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
        every_target().filter(move |target| self.contains(*target))
    }
}

impl FromIterator<Target> for TargetSet {
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        let mut set = Self::EMPTY;
        targets.into_iter().for_each(|target| set.insert(target));
        set
    }
}

fn every_target() -> impl Iterator<Item = Target> {
    Browser::ALL.iter().flat_map(|browser| Backend::ALL.iter().map(|backend| Target::new(*browser, *backend)))
}

const fn bit(target: Target) -> u16 {
    1 << (target.browser as u16 * 3 + target.backend as u16)
}
