//! Expectations: what is known to fail, where and why, so that a run tells what is new. [`Expectations`] reads the file
//! that docs/EXPECTATIONS.md describes, judges results by it, and writes it anew.

mod entry;
mod error;
mod pattern;
#[cfg(test)]
pub(super) mod tests;
mod update;

pub use error::{BadEntry, EntryError, ExpectationsError};
pub use update::Update;

use crate::{
    onnx::Tolerance,
    report::{CaseResult, CaseRow, Expected, TargetRow},
    types::Verdict,
};
use entry::Entry;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The entries of an expectations file. Of those that speak of a case on a target, the last one decides.
#[derive(Clone, Debug)]
pub struct Expectations {
    path: PathBuf,
    text: String,
    entries: Vec<Entry>,
}

/// A case on a target, as entries speak of it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The case.
    pub case: &'a CaseRow,
    /// The target.
    pub target: &'a TargetRow,
}

impl Expectations {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ExpectationsError`]: when it cannot be read, is no TOML, or an entry cannot be understood; each bad entry with
    /// its line.
    pub fn read(path: &Path) -> Result<Self, ExpectationsError> {
        let text =
            fs::read_to_string(path).map_err(|source| ExpectationsError::Read { path: path.to_owned(), source })?;
        Self::parse(path, text)
    }

    /// The same, where a file that is not there yet is one without entries: it is about to be written.
    ///
    /// # Errors
    /// As [`Expectations::read`].
    pub fn read_or_begin(path: &Path) -> Result<Self, ExpectationsError> {
        match Self::read(path) {
            Err(ExpectationsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::parse(path, String::new())
            }
            read => read,
        }
    }

    fn parse(path: &Path, text: String) -> Result<Self, ExpectationsError> {
        let entries = entry::parse(path, &text)?;
        Ok(Self { path: path.to_owned(), text, entries })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is expected of the case there; `None` where no entry tells, and it has to pass.
    pub fn expected(&self, subject: Subject<'_>) -> Option<Expected> {
        self.deciding(subject).map(|(_, entry)| Expected {
            verdicts: entry.verdicts.clone(),
            reason: entry.reason.clone(),
            link: entry.link.clone(),
        })
    }

    /// Whether the case may end what runs it there, by what is expected of it.
    pub fn may_crash(&self, subject: Subject<'_>) -> bool {
        let ends_it = |verdict: &Verdict| matches!(verdict, Verdict::Crash | Verdict::Timeout | Verdict::DeviceLost);
        self.deciding(subject).is_some_and(|(_, entry)| entry.verdicts.iter().any(ends_it))
    }

    /// When the case's outputs count as equal there: `base`, but for what entries say. Theirs holds for every type.
    pub fn tolerance(&self, subject: Subject<'_>, base: Tolerance) -> Tolerance {
        let speaking = || self.entries.iter().rev().filter(|entry| entry.speaks_of(subject));
        let rtol = speaking().find_map(|entry| entry.rtol);
        let atol = speaking().find_map(|entry| entry.atol);
        Tolerance {
            rtol: rtol.unwrap_or(base.rtol),
            rtol_float16: rtol.unwrap_or(base.rtol_float16),
            atol: atol.unwrap_or(base.atol),
            atol_float16: atol.unwrap_or(base.atol_float16),
        }
    }

    /// Says in the result what was expected, and whether it is something else. What was not tried is never unexpected.
    pub fn judge(&self, subject: Subject<'_>, result: &mut CaseResult) {
        result.expected = self.expected(subject);
        result.unexpected = Some(is_unexpected(result.verdict, result.expected.as_ref().map(|e| &*e.verdicts)));
    }

    fn deciding(&self, subject: Subject<'_>) -> Option<(usize, &Entry)> {
        let last = |(_, entry): &(usize, &Entry)| !entry.verdicts.is_empty() && entry.speaks_of(subject);
        self.entries.iter().enumerate().rev().find(last)
    }
}

fn is_unexpected(verdict: Verdict, expected: Option<&[Verdict]>) -> bool {
    let tried = !matches!(verdict, Verdict::Skipped | Verdict::Unavailable);
    tried && !expected.unwrap_or(&[Verdict::Pass]).contains(&verdict)
}
