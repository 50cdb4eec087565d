//! Tensors in files: NumPy's `.npy` and ONNX's `.pb`.

use super::npy::{MAGIC, from_npy};
use super::tensor_proto::tensor_from_proto;
use crate::types::{Tensor, TensorError};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Why a tensor could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TensorFileError {
    /// The bytes are not those of a tensor, or are cut off.
    #[error("it is not a tensor: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// A tensor of a kind that is not taken.
    #[error("{what} cannot be taken")]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// Its shape and data do not go together.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// Any of the above, in a file.
    #[error("{}: {source}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<TensorFileError>,
    },
    /// The disk did not give or take it.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl TensorFileError {
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }

    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }

    /// Whether the file may well be right, but holds what the runtime in the browser does not have.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Self::Unsupported { .. } => true,
            Self::In { source, .. } => source.is_unsupported(),
            _ => false,
        }
    }
}

/// Reads a tensor from an `.npy` file (told by its first bytes) or a `TensorProto` (anything else).
///
/// # Errors
/// [`TensorFileError::Io`] when the file cannot be read, [`TensorFileError::In`] with the file and what is wrong.
pub fn read_tensor_file(path: &Path) -> Result<Tensor<'static>, TensorFileError> {
    let bytes = fs::read(path).map_err(|source| TensorFileError::Io { path: path.to_owned(), source })?;
    let npy = bytes.starts_with(MAGIC) || path.extension().is_some_and(|extension| extension == "npy");
    let tensor = if npy { from_npy(&bytes) } else { tensor_from_proto(&bytes).map(|(_, tensor)| tensor) };
    tensor.map_err(|source| TensorFileError::In { path: path.to_owned(), source: Box::new(source) })
}
