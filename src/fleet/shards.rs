//! How a model is cut into stages, and where they are to live.

use crate::{
    onnx::{Mapping, ShardOptions, ShardStrategy},
    types::Target,
};
use std::{collections::BTreeMap, time::Duration};

/// From how many bytes on activations go from tab to tab directly. Measured in Chromium (`benchmarks/speed/run.sh
/// pipelines`): up to 64 KiB the way through the fleet is faster, at 256 KiB both are alike, at 1 MiB the direct way takes
/// about a tenth less.
const DIRECT_FROM: u64 = 1 << 20;

/// How a model is cut into stages, and where they are to live; for [`ModelSpec::sharded`](super::ModelSpec::sharded).
#[derive(Clone, Debug, PartialEq)]
pub struct Shards {
    pub(super) options: ShardOptions,
    pub(super) targets: Vec<Target>,
    pub(super) spares: usize,
    pub(super) recut_after: Duration,
    pub(super) direct_from: Option<u64>,
}

impl Shards {
    /// So many stages with equal numbers of the blocks that the graph repeats.
    pub fn layers(shards: usize) -> Self {
        Self::new(shards, ShardStrategy::Layers)
    }

    /// So many stages, the slowest of them as fast as can be.
    pub fn optimal(shards: usize) -> Self {
        Self::new(shards, ShardStrategy::Optimal)
    }

    /// So many stages, each made of what prefers the same browser.
    pub fn by_browser(shards: usize) -> Self {
        Self::new(shards, ShardStrategy::Browser)
    }

    /// So many stages, found as the strategy says.
    pub fn new(shards: usize, strategy: ShardStrategy) -> Self {
        let options = ShardOptions::new(shards, strategy);
        let recut_after = Duration::from_secs(60);
        Self { options, targets: Vec::new(), spares: 0, recut_after, direct_from: Some(DIRECT_FROM) }
    }

    /// How many stages are asked for.
    pub const fn count(&self) -> usize {
        self.options.shards
    }

    /// Where each stage lives while it can, in the order of the stages; those not named live wherever there is room.
    /// After a loss a stage goes on elsewhere, and comes back when it can.
    pub fn on(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.targets = targets.into_iter().collect();
        self
    }

    /// The most memory that a tab's stages may need together, weights and live activations, in bytes.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.options.memory_limit = Some(bytes);
        self
    }

    /// In how many more tabs each stage is kept loaded, in another browser where there is one, for when its home is
    /// lost.
    pub fn spares(mut self, spares: usize) -> Self {
        self.spares = spares;
        self
    }

    /// Which browser each component prefers, for [`by_browser`](Self::by_browser).
    pub fn mapping(mut self, mapping: Mapping) -> Self {
        self.options.mapping = mapping;
        self
    }

    /// Sizes of symbolic dimensions to estimate with.
    pub fn dims(mut self, dims: BTreeMap<String, usize>) -> Self {
        self.options.dims = dims;
        self
    }

    /// How long a plan stays at least before a better one, by what its stages were measured to take, may replace it:
    /// 60 s if not said. [`Duration::MAX`] keeps the first.
    pub fn recut_after(mut self, pause: Duration) -> Self {
        self.recut_after = pause;
        self
    }

    /// From how many bytes on an activation that only the next stage needs goes straight from tab to tab, where both are
    /// in one browser that has channels between tabs: 1 MiB if not said, since smaller ones go faster through the fleet.
    pub fn direct_from(mut self, bytes: u64) -> Self {
        self.direct_from = Some(bytes);
        self
    }

    /// All activations go through the fleet, however large.
    pub fn never_direct(mut self) -> Self {
        self.direct_from = None;
        self
    }
}
