//! Why a model is not cut as asked.

use super::plan::ShardPlan;
use crate::{onnx::ModelError, types::ByteSize};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a model is not cut as asked. Where another plan would work, the nearest is carried along.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The model cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model contradicts itself.
    #[error("{} cannot be cut: {what}", path.display())]
    Broken {
        /// The model.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Zero shards were asked for.
    #[error("a model cannot be cut into no shards; ask for at least one")]
    NoShards,
    /// There are fewer places to cut than needed.
    #[error("{asked} shards take {} cuts, and the model has {cut_points} places to cut; {}", asked - 1, told(nearest))]
    TooManyShards {
        /// How many shards were asked for.
        asked: usize,
        /// How many places there are.
        cut_points: usize,
        /// The plan with the most shards.
        nearest: Box<ShardPlan>,
    },
    /// The model can only be run whole.
    #[error("the model cannot be cut: {why}; {}", told(nearest))]
    NoCut {
        /// What stands in the way.
        why: String,
        /// The whole model as one stage.
        nearest: Box<ShardPlan>,
    },
    /// A stage needs more memory than a tab has.
    #[error(
        "in {shards} shards the largest stage needs {} of weights and live activations, and a tab may have {}; {}",
        ByteSize(*needed),
        ByteSize(*limit),
        told(nearest)
    )]
    OverMemory {
        /// How many shards were asked for.
        shards: usize,
        /// The limit of a tab.
        limit: u64,
        /// What the largest stage needs in the plan that needs least.
        needed: u64,
        /// The plan with the fewest shards more that fits, or else the one whose largest stage is smallest.
        nearest: Box<ShardPlan>,
    },
    /// The options contradict each other or the model.
    #[error("{0}")]
    Options(String),
    /// A mapping or pipeline file cannot be read.
    #[error("{} cannot be read: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// A stage cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ShardError {
    pub(super) fn broken(path: &Path, what: impl Into<String>) -> Self {
        Self::Broken { path: path.to_owned(), what: what.into() }
    }

    /// The nearest plan that would work, where there is one.
    pub fn nearest(&self) -> Option<&ShardPlan> {
        match self {
            Self::TooManyShards { nearest, .. } | Self::NoCut { nearest, .. } | Self::OverMemory { nearest, .. } => {
                Some(nearest)
            }
            _ => None,
        }
    }
}

fn told(plan: &ShardPlan) -> String {
    let largest = ByteSize(plan.stages.iter().map(super::plan::StagePlan::memory_bytes).max().unwrap_or(0));
    match plan.stages.len() {
        1 => format!("as one stage it needs {largest}"),
        n => format!("the nearest plan has {n} stages, the largest of which needs {largest}"),
    }
}
