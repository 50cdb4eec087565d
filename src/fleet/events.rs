//! The event stream. Whoever subscribes reads at its own pace; the loop never waits for a subscriber.

use crate::types::{Event, EventKind};
use std::{sync::Arc, time::SystemTime};
use tokio::sync::broadcast;

/// Events a subscriber may lag behind before it misses some (and is told how many).
const BACKLOG: usize = 16_384;

/// The sending end.
#[derive(Clone, Debug)]
pub(super) struct Events(broadcast::Sender<Arc<Event>>);

impl Events {
    pub fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }

    /// Tells what happened, if anybody listens.
    pub fn emit(&self, kind: impl FnOnce() -> EventKind) {
        if self.0.receiver_count() > 0 {
            // An error means that the last listener left between the two lines.
            let _ = self.0.send(Arc::new(Event { at: SystemTime::now(), kind: kind() }));
        }
    }
}
