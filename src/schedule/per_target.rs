//! A value for each target.

use super::target_set::number;
use crate::types::{Backend, Browser, Target};
use std::ops::{Index, IndexMut};

/// A value for each target there can be. They are few, so finding one is an index and no search.
#[derive(Clone, Debug, Default)]
pub(super) struct PerTarget<T>([T; Browser::ALL.len() * Backend::ALL.len()]);

impl<T> Index<Target> for PerTarget<T> {
    type Output = T;

    fn index(&self, target: Target) -> &T {
        &self.0[number(target)]
    }
}

impl<T> IndexMut<Target> for PerTarget<T> {
    fn index_mut(&mut self, target: Target) -> &mut T {
        &mut self.0[number(target)]
    }
}
