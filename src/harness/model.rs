//! A model as a tab is told about it.

use serde::Serialize;
use serde_json::{Map, Value};

/// What a tab needs to fetch and load a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFiles {
    /// The model's name between fleet and tab: the same for the same files and options, and no other.
    pub key: String,
    /// For people.
    pub name: String,
    /// The model first, then its external data files.
    pub files: Vec<ServedFile>,
    /// Whether its session may put nodes on the CPU.
    pub cpu_fallback: CpuFallback,
    /// Merged into the runtime's own session options.
    pub session_options: Map<String, Value>,
}

/// One file of a model, published in the [`ModelStore`](super::ModelStore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedFile {
    /// The path by which the model refers to it; for the model itself, its file name.
    pub path: String,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Whether a session on a GPU or NPU may put some of its nodes on the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CpuFallback {
    /// Tried without first; if that fails, allowed, and told.
    #[default]
    Record,
    /// Never.
    Forbid,
}
