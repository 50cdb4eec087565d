//! What can be wrong with an expectations file.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// An expectations file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExpectationsError {
    /// It cannot be read.
    #[error("cannot read the expectations {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the expectations {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no TOML.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What was expected there.
        message: String,
    },
    /// Entries of it cannot be understood.
    #[error("{}", listed(path, entries))]
    Entries {
        /// The file.
        path: PathBuf,
        /// What is wrong, in the order of the file.
        entries: Vec<BadEntry>,
    },
}

fn listed(path: &Path, entries: &[BadEntry]) -> String {
    let lines = entries.iter().map(|bad| format!("{}:{bad}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// Something in an expectations file that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadEntry {
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub error: EntryError,
}

impl fmt::Display for BadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.error)
    }
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The file has something else than entries.
    #[error("`{0}` is not known here; the file is a list of [[expect]]")]
    NotAnEntry(String),
    /// A key that entries do not have.
    #[error("`{0}` is not known; an entry has {known}", known = super::entry::KEYS.join(", "))]
    UnknownKey(String),
    /// A value of another kind.
    #[error("`{key}` has to be {expected}")]
    Kind {
        /// The key.
        key: String,
        /// What it takes.
        expected: &'static str,
    },
    /// Nothing is expected.
    #[error("the entry expects nothing: give it a verdict, or a tolerance (rtol, atol)")]
    NothingExpected,
    /// Nobody could tell later why it is there.
    #[error("the entry has no reason: say why it is expected")]
    NoReason,
    /// A word that is no verdict a case can be expected to have.
    #[error(
        "`{0}` is not a verdict that can be expected: pass, wrong, load-error, run-error, crash, device-lost, timeout"
    )]
    Verdict(String),
    /// A word that is no target.
    #[error("`{0}` is not a target: write chrome, chrome/webgpu, */webgpu, or chrome@beta/webgpu for one build")]
    Target(String),
    /// A word that is no range of versions.
    #[error("`{0}` is not a range of versions: write 156, >=150, or >=150, <157.0.8078")]
    Versions(String),
    /// A number that is no tolerance.
    #[error("`{key}` has to be a number from 0 upwards")]
    Tolerance {
        /// The key.
        key: String,
    },
}
