//! Those who wait until a model is warm in as many tabs as they asked for.

use super::model::ModelRecord;
use crate::types::ModelId;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Asks for a model in so many tabs. Answered with in how many it is, once no tab is about to have it any more.
pub(super) struct WarmUp {
    pub model: Arc<ModelRecord>,
    pub tabs: usize,
    pub reply: oneshot::Sender<usize>,
}

/// Those who wait for an answer.
#[derive(Default)]
pub(super) struct WarmUps(Vec<Waiting>);

struct Waiting {
    model: ModelId,
    key: Arc<str>,
    reply: oneshot::Sender<usize>,
}

impl WarmUps {
    pub fn wait(&mut self, model: &ModelRecord, reply: oneshot::Sender<usize>) {
        self.0.push(Waiting { model: model.id, key: model.key.clone(), reply });
    }

    /// Answers those of whose model no tab `is_warming` any more; `count` tells how many have the model of that key.
    pub fn answer(&mut self, is_warming: impl Fn(ModelId) -> bool, count: impl Fn(&str) -> usize) {
        for done in self.0.extract_if(.., |waiting| !is_warming(waiting.model)) {
            // Whoever no longer waits does not need to know.
            let _ = done.reply.send(count(&done.key));
        }
    }
}
