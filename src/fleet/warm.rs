//! Models that tabs load before a job needs them.

use super::model::ModelRecord;
use crate::types::{ModelId, TabId};
use std::{collections::HashSet, sync::Arc};
use tokio::sync::oneshot;

/// Asks for a model in so many tabs. Answered with in how many it is, once all that were told to load it have, or have
/// not.
pub(super) struct WarmUp {
    pub model: Arc<ModelRecord>,
    pub tabs: usize,
    pub reply: oneshot::Sender<usize>,
}

/// Those who wait until tabs have loaded a model.
#[derive(Default)]
pub(super) struct WarmUps(Vec<Waiting>);

struct Waiting {
    model: ModelId,
    key: Arc<str>,
    loading: HashSet<TabId>,
    reply: oneshot::Sender<usize>,
}

impl WarmUps {
    /// Waits for these tabs.
    pub fn wait(&mut self, model: &ModelRecord, loading: HashSet<TabId>, reply: oneshot::Sender<usize>) {
        self.0.push(Waiting { model: model.id, key: model.key.clone(), loading, reply });
    }

    /// A tab has loaded a model, or could not.
    pub fn loaded(&mut self, tab: TabId, model: ModelId) {
        self.0.iter_mut().filter(|waiting| waiting.model == model).for_each(|waiting| _ = waiting.loading.remove(&tab));
    }

    /// A tab's worker is gone, and what it was to load with it.
    pub fn lost(&mut self, tab: TabId) {
        self.0.iter_mut().for_each(|waiting| _ = waiting.loading.remove(&tab));
    }

    /// Answers those for whom all is done; `count` tells how many tabs have the model of that key.
    pub fn answer(&mut self, count: impl Fn(&str) -> usize) {
        for done in self.0.extract_if(.., |waiting| waiting.loading.is_empty()) {
            // Whoever no longer waits does not need to know.
            let _ = done.reply.send(count(&done.key));
        }
    }
}
