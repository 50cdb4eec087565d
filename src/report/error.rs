//! What can go wrong with a report's files.

use std::{io, path::PathBuf};

/// A report that could not be written or read. Each names the file, so that the caller can say which output is behind.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file could not be written: a full disk, a missing permission, a folder in its place.
    #[error("cannot write the report {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("cannot read the report {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a report of this kind.
    #[error("{} is not a report of tabfleet's", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where it departs from the format that docs/JSON.md describes.
        source: serde_json::Error,
    },
}

impl ReportError {
    pub(super) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    pub(super) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Read { path, source }
    }

    /// The file it is about.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Write { path, .. } | Self::Read { path, .. } | Self::Parse { path, .. } => path,
        }
    }
}
