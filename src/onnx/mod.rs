//! Models: reading them, suites of cases, tensor files, comparing outputs. Start at [`ModelFile`] and [`Suite`].

mod array;
mod builtin;
mod case;
mod compare;
mod conformance;
mod external;
mod inputs;
mod model;
mod native;
mod npy;
mod precision;
mod proto;
mod random;
mod shards;
mod suite;
mod tensor_file;
mod tensor_proto;
mod value;
mod zeros;

pub use builtin::canary_case;
pub use case::{BrokenCase, Case, CaseError, DataSet, LoadedCase, NamedTensor};
pub use compare::{Comparison, Mismatch, Tolerance, compare};
pub use conformance::{CaseCounts, ConformanceError, write_conformance_suite};
pub use external::ExternalFile;
pub use inputs::InputError;
pub use model::{ModelError, ModelFile};
pub use native::{NativeError, NativeModel, native_runtime};
pub use npy::{from_npy, npy_bytes, write_npy};
pub use random::{ShapeFlagError, parse_shape_flag, random_inputs};
pub use shards::{
    BatchAxis, BatchAxisError, BatchCertainty, Component, Mapping, ModelGraph, NodeProfile, Pipeline, ShardError,
    ShardOptions, ShardPlan, ShardStrategy, StagePlan, StageTensor,
};
pub use suite::{Suite, SuiteError};
pub use tensor_file::{TensorFileError, read_tensor_file};
pub use tensor_proto::{tensor_from_proto, tensor_to_proto};
pub use value::{Dim, ValueInfo, ValueKind};

#[cfg(test)]
mod tests;
