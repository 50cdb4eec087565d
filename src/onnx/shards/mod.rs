//! Cutting a model into stages that can run in different tabs. Start at [`ModelGraph`].

mod batch_axis;
mod component;
mod cost;
mod error;
mod fusion;
mod graph;
mod layers;
mod line;
mod partition;
mod pipeline;
mod plan;
mod planner;
mod profile;
mod reading;
mod shape;
mod stretch;
mod weights;
mod wire;
mod write;

pub use batch_axis::{BatchAxis, BatchAxisError, BatchCertainty};
pub use component::{Component, Mapping};
pub use error::ShardError;
pub use graph::ModelGraph;
pub use pipeline::Pipeline;
pub use plan::{ShardOptions, ShardPlan, ShardStrategy, StagePlan, StageTensor};
pub use profile::NodeProfile;
