//! A configuration that cannot be used.

use super::Source;
use std::{io, path::PathBuf};

/// A configuration that cannot be used; the text says what would be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the settings in {} could not be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not TOML", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A name that is no setting's.
    #[error("there is no setting `{name}` ({given}){}", nearest.as_ref().map(|known| format!(": is `{known}` meant?")).unwrap_or_default())]
    Unknown {
        /// The name as it was given.
        name: String,
        /// Where.
        given: Source,
        /// The known name that is most like it, where one is.
        nearest: Option<String>,
    },
    /// A value outside its range, or of another type.
    #[error("`{name}` ({given}) cannot be `{value}`: it takes {expected}")]
    Value {
        /// The setting.
        name: String,
        /// What it was given.
        value: String,
        /// Where.
        given: Source,
        /// What it takes.
        expected: String,
    },
}
