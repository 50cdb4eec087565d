//! Activations that a stage's tab hands to the next stage's tab, past the fleet, and what the fleet knows of them.

use super::{Fleet, message::Request};
use crate::{
    schedule::WorkerId,
    types::{HandoverId, ModelId, Tensor, TensorInfo},
};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What of a stage's job does not go through the fleet.
#[derive(Clone, Default)]
pub(super) struct Passing {
    /// What the tab of the stage before has handed on.
    pub handed: Option<Arc<HandedOn>>,
    /// What may go on directly.
    pub next: Option<Next>,
}

/// Outputs that only the next stage needs.
#[derive(Clone)]
pub(super) struct Next {
    pub stage: ModelId,
    pub outputs: Vec<String>,
    /// Those of fewer bytes go through the fleet.
    pub at_least: u64,
}

/// Leave for one worker to hand activations to another. Both hold them until this is dropped.
#[derive(Debug)]
pub(super) struct Handover {
    pub id: HandoverId,
    pub from: WorkerId,
    pub to: WorkerId,
    /// Where the end is told; `None` when nothing was handed over.
    requests: Option<mpsc::UnboundedSender<Request>>,
}

/// Activations that were handed over.
#[derive(Debug)]
pub(super) struct HandedOn {
    pub handover: Handover,
    pub tensors: Vec<TensorInfo>,
}

impl Handover {
    pub fn new(id: HandoverId, from: WorkerId, to: WorkerId, requests: mpsc::UnboundedSender<Request>) -> Self {
        Self { id, from, to, requests: Some(requests) }
    }

    /// What came of it.
    pub fn of(mut self, tensors: Vec<TensorInfo>) -> Option<Arc<HandedOn>> {
        if tensors.is_empty() {
            self.requests = None;
            return None;
        }
        Some(Arc::new(HandedOn { handover: self, tensors }))
    }

    /// The workers that hold it, the one that made it first: what it is told reaches the other behind the activations.
    pub const fn holders(&self) -> [WorkerId; 2] {
        [self.from, self.to]
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(requests) = self.requests.take() {
            // A closed fleet has no tabs left.
            let _ = requests.send(Request::DropHandover { id: self.id, holders: self.holders() });
        }
    }
}

impl HandedOn {
    pub fn names(&self) -> Vec<String> {
        self.tensors.iter().map(|tensor| tensor.name.clone()).collect()
    }

    pub fn bytes(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }
}

impl Fleet {
    /// Has a tab that still holds the activations send them to the fleet; `None` when none does.
    pub(super) async fn fetch(&self, handed: &HandedOn) -> Option<Vec<(String, Tensor<'static>)>> {
        let (id, holders) = (handed.handover.id, handed.handover.holders());
        let batch = self.ask(|reply| Request::FetchHandover { id, holders, reply }).await.ok()?;
        batch.tensors().ok()
    }
}
