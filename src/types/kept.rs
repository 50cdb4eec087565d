//! What stays in a tab between the calls of a session.

use super::{TensorInfo, names};
use serde::{Deserialize, Serialize};

/// An output that a call left in its tab for the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTensor {
    /// What it is, by the output's name.
    #[serde(flatten)]
    pub info: TensorInfo,
    /// Where it is.
    pub location: KeptLocation,
}

/// Where a tab keeps a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeptLocation {
    /// In a buffer on the GPU.
    Gpu,
    /// In a tensor of WebNN's, on the device that its context is for.
    MlTensor,
    /// In the worker's memory.
    Memory,
}
names!(KeptLocation { Gpu = "gpu", MlTensor = "ml-tensor", Memory = "memory" });
