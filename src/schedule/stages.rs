//! Stages of pipelines: a model was cut into them, each lives in one tab, its home, and its jobs go there.

use super::{TargetSet, queue::Ticket};
use crate::types::{JobId, ModelId, PipelineId, Priority, TabId, Target};
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What the scheduler has to know of a stage.
#[derive(Clone, Debug)]
pub struct StageSpec {
    /// The pipeline it is part of. Stages of one pipeline keep out of each other's tabs while there are others.
    pub pipeline: PipelineId,
    /// Where it may live.
    pub allowed: TargetSet,
    /// Where it lives if it can; empty for wherever there is room.
    pub preferred: TargetSet,
    /// The memory it needs in a tab, in bytes: weights and activations.
    pub bytes: u64,
    /// The most that stages may need in one tab together, in bytes.
    pub tab_limit: Option<u64>,
    /// How many more tabs hold it, loaded, for when its home is lost.
    pub spares: usize,
    /// How long loading it may take.
    pub load_timeout: Duration,
}

/// A tab that holds a stage, as long as its worker lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub tab: TabId,
    pub target: Target,
    /// Since when the tab was ready: a restarted worker holds nothing any more.
    pub ready_since: Instant,
    /// Whether the tab said that it is loaded.
    pub loaded: bool,
}

/// One stage: where it lives, and who waits for it.
#[derive(Debug)]
pub(super) struct Stage {
    pub spec: StageSpec,
    pub home: Option<Seat>,
    pub spares: Vec<Seat>,
    /// Where it cannot be loaded or run.
    pub barred: TargetSet,
    /// Targets whose tabs ended while it was being loaded there.
    pub suspects: TargetSet,
    /// What matters more first, and then in order of arrival.
    waiting: BTreeMap<(Reverse<Priority>, u64), JobId>,
}

impl Stage {
    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.home.iter().chain(&self.spares)
    }

    pub fn seats_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.home.iter_mut().chain(&mut self.spares)
    }

    pub fn first_waiting(&self) -> Option<JobId> {
        self.waiting.first_key_value().map(|(_, job)| *job)
    }

    pub fn waiting(&self) -> Vec<JobId> {
        self.waiting.values().copied().collect()
    }

    /// A tab was lost or gives up the stage. One that ends twice of loading it is held not to be able to.
    pub fn lost(&mut self, seat: Seat) {
        if seat.loaded {
            return;
        }
        if self.suspects.contains(seat.target) {
            self.barred.insert(seat.target);
        }
        self.suspects.insert(seat.target);
    }
}

/// Every stage of every pipeline.
#[derive(Debug, Default)]
pub(super) struct Stages {
    all: BTreeMap<ModelId, Stage>,
}

impl Stages {
    pub fn declare(&mut self, model: ModelId, spec: StageSpec) {
        let (home, spares, waiting) = (None, Vec::new(), BTreeMap::new());
        let (barred, suspects) = (TargetSet::EMPTY, TargetSet::EMPTY);
        self.all.insert(model, Stage { spec, home, spares, barred, suspects, waiting });
    }

    pub fn forget(&mut self, model: ModelId) -> Option<Stage> {
        self.all.remove(&model)
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn get(&self, model: ModelId) -> Option<&Stage> {
        self.all.get(&model)
    }

    pub fn get_mut(&mut self, model: ModelId) -> Option<&mut Stage> {
        self.all.get_mut(&model)
    }

    pub fn models(&self) -> Vec<ModelId> {
        self.all.keys().copied().collect()
    }

    pub fn insert(&mut self, ticket: &Ticket) {
        if let Some(stage) = self.all.get_mut(&ticket.model) {
            stage.waiting.insert((Reverse(ticket.priority), ticket.order), ticket.job);
        }
    }

    pub fn remove(&mut self, ticket: &Ticket) {
        if let Some(stage) = self.all.get_mut(&ticket.model) {
            stage.waiting.remove(&(Reverse(ticket.priority), ticket.order));
        }
    }

    /// The stages that a tab holds: each model, its pipeline, its bytes, and whether the tab is its home.
    pub fn held_by(&self, tab: TabId) -> impl Iterator<Item = (ModelId, &StageSpec, bool)> {
        self.all.iter().filter_map(move |(model, stage)| {
            let is_home = stage.home.is_some_and(|seat| seat.tab == tab);
            let is_spare = stage.spares.iter().any(|seat| seat.tab == tab);
            (is_home || is_spare).then_some((*model, &stage.spec, is_home))
        })
    }
}
