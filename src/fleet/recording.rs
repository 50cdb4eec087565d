//! The history as a subscriber of the event stream.

use crate::{
    history::{HistoryError, Recorder},
    types::{Event, EventKind},
};
use std::sync::Arc;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinHandle,
};

/// The task that hands events to the recorder.
pub(super) struct Recording(JoinHandle<Result<(), HistoryError>>);

impl Recording {
    /// Records until the fleet is closed. (Handles hold the stream open for longer.)
    pub fn start(recorder: Recorder, mut events: Receiver<Arc<Event>>) -> Self {
        Self(tokio::spawn(async move {
            let mut missed = 0;
            loop {
                match events.recv().await {
                    Ok(event) => {
                        recorder.record(&event);
                        if matches!(event.kind, EventKind::FleetClosed) {
                            break;
                        }
                    }
                    Err(RecvError::Lagged(count)) => missed += count,
                    Err(RecvError::Closed) => break,
                }
            }
            let recorded = tokio::task::spawn_blocking(|| recorder.close()).await;
            let lost = missed + recorded.as_ref().ok().and_then(|r| r.as_ref().ok()).map_or(0, |r| r.lost);
            if lost > 0 {
                tracing::error!(lost, "the history could not keep up: events were not recorded");
            }
            recorded.map_or(Ok(()), |result| result.map(drop))
        }))
    }

    /// Waits until everything is written.
    pub async fn finish(self) -> Result<(), HistoryError> {
        self.0.await.unwrap_or(Ok(()))
    }
}
