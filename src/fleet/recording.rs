//! The history as a subscriber of the event stream, and as what is asked while it is being written.

use crate::{
    history::{HistoryError, Recorder, Series, SeriesFilter},
    report::Findings,
    types::{Event, EventKind},
};
use std::sync::Arc;
use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError},
        mpsc, oneshot,
    },
    task::JoinHandle,
};

/// The task that hands events to the recorder.
pub(super) struct Recording(JoinHandle<Result<(), HistoryError>>);

/// What is wanted of the history, and where the answer goes.
pub(super) enum HistoryQuestion {
    Series(SeriesFilter, oneshot::Sender<Result<Vec<Series>, HistoryError>>),
    Keep(Arc<Findings>, oneshot::Sender<Result<u64, HistoryError>>),
}

/// Where questions go while the fleet records.
pub(super) type HistoryQuestions = mpsc::UnboundedSender<HistoryQuestion>;

impl Recording {
    /// Records until the fleet is closed. (Handles hold the stream open for longer.)
    pub fn start(recorder: Recorder, events: Receiver<Arc<Event>>) -> (Self, HistoryQuestions) {
        let (sender, questions) = mpsc::unbounded_channel();
        (Self(tokio::spawn(record(recorder, events, questions))), sender)
    }

    /// Waits until everything is written.
    pub async fn finish(self) -> Result<(), HistoryError> {
        self.0.await.unwrap_or(Err(HistoryError::WriterPanicked))
    }
}

async fn record(
    recorder: Recorder,
    mut events: Receiver<Arc<Event>>,
    mut questions: mpsc::UnboundedReceiver<HistoryQuestion>,
) -> Result<(), HistoryError> {
    let mut missed = 0;
    loop {
        tokio::select! {
            // What has happened before a question belongs into its answer.
            biased;
            event = events.recv() => match event {
                Ok(event) => {
                    let is_last = matches!(event.kind, EventKind::FleetClosed);
                    recorder.record(event);
                    if is_last {
                        break;
                    }
                }
                Err(RecvError::Lagged(count)) => missed += count,
                Err(RecvError::Closed) => break,
            },
            // Whoever no longer waits for the answer does not need it.
            Some(question) = questions.recv() => match question {
                HistoryQuestion::Series(filter, reply) => recorder.ask(filter, move |answer| drop(reply.send(answer))),
                HistoryQuestion::Keep(findings, reply) => recorder.keep(findings, move |kept| drop(reply.send(kept))),
            },
        }
    }
    let recorded = tokio::task::spawn_blocking(|| recorder.close()).await;
    let lost = missed + recorded.as_ref().ok().and_then(|r| r.as_ref().ok()).map_or(0, |r| r.lost);
    if lost > 0 {
        tracing::error!(lost, "the history could not keep up: events were not recorded");
    }
    recorded.unwrap_or(Err(HistoryError::WriterPanicked)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_recording_that_panicked_has_not_recorded_everything() {
        let recording = Recording(tokio::spawn(async { panic!("on purpose") }));
        assert!(matches!(recording.finish().await, Err(HistoryError::WriterPanicked)));
    }
}
