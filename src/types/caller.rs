//! Among whom a fleet is shared.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

/// One of those among whom a fleet is shared: while several callers' jobs of one priority wait, they take turns.
///
/// Jobs that name no caller are all of the [default](Caller::default) one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    id: u64,
    weight: NonZeroU32,
}

impl Caller {
    /// A caller of its own. It is served `weight` jobs while one of weight 1 is served one; 0 counts as 1.
    pub fn new(weight: u32) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let weight = NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), weight }
    }

    /// Its number, unlike any other's.
    pub const fn id(self) -> u64 {
        self.id
    }

    /// Its share.
    pub const fn weight(self) -> u32 {
        self.weight.get()
    }
}

impl Default for Caller {
    /// Whoever is not named, of weight 1.
    fn default() -> Self {
        Self { id: 0, weight: NonZeroU32::MIN }
    }
}
