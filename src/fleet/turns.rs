//! How many jobs of one model may be under way at once; who came first is next.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of one model.
#[derive(Clone)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    most: usize,
}

/// A job's turn, which ends when it is dropped.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Turns {
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(most)), most }
    }

    /// How many there are.
    pub const fn most(&self) -> usize {
        self.most
    }

    /// A turn, if one is free and nobody waits.
    pub fn now(&self) -> Option<Turn> {
        self.free.clone().try_acquire_owned().ok().map(|_permit| Turn { _permit })
    }

    /// Waits for one, in the order of calls.
    pub async fn next(&self) -> Turn {
        match self.free.clone().acquire_owned().await {
            Ok(_permit) => Turn { _permit },
            // Nobody closes it.
            Err(_) => std::future::pending().await,
        }
    }
}
