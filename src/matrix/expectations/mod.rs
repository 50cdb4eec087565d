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
    report::{CaseResult, CaseRow, Expected, MatrixReport, TargetBuild, TargetRow},
    types::Verdict,
};
use entry::Entry;
use std::{
    borrow::Cow,
    collections::BTreeMap,
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

    /// Judges every result of a report that was read, or merged from several.
    pub fn judge_report(&self, report: &mut MatrixReport) {
        let mut results = std::mem::take(&mut report.results);
        let subjects = Subjects::of(report);
        for result in &mut results {
            if let Some((case, target)) = subjects.of_result(result) {
                self.judge(Subject { case: &case, target }, result);
            }
        }
        report.results = results;
        report.expectations = Some(self.path.display().to_string());
    }

    fn deciding(&self, subject: Subject<'_>) -> Option<(usize, &Entry)> {
        let last = |(_, entry): &(usize, &Entry)| !entry.verdicts.is_empty() && entry.speaks_of(subject);
        self.entries.iter().enumerate().rev().find(last)
    }
}

/// The cases and targets of a report, by name.
struct Subjects<'a> {
    cases: BTreeMap<(&'a str, &'a str), &'a CaseRow>,
    targets: BTreeMap<TargetBuild<'a>, &'a TargetRow>,
}

impl<'a> Subjects<'a> {
    fn of(report: &'a MatrixReport) -> Self {
        let cases = report.cases.iter().map(|row| ((&*row.suite, &*row.case), row)).collect();
        let targets = report.targets.iter().map(|row| (row.column(), row)).collect();
        Self { cases, targets }
    }

    /// What a result is about; `None` where the report does not describe its target. A case that it does not describe
    /// has no operators.
    fn of_result(&self, result: &CaseResult) -> Option<(Cow<'a, CaseRow>, &'a TargetRow)> {
        let target = *self.targets.get(&result.column())?;
        let case = self.cases.get(&(&*result.suite, &*result.case)).map(|row| Cow::Borrowed(*row));
        let unknown = || {
            let (suite, case) = (result.suite.clone(), result.case.clone());
            Cow::Owned(CaseRow { suite, case, operators: Vec::new(), opset: None, types: Vec::new() })
        };
        Some((case.unwrap_or_else(unknown), target))
    }
}

fn is_unexpected(verdict: Verdict, expected: Option<&[Verdict]>) -> bool {
    verdict.is_tried() && !expected.unwrap_or(&[Verdict::Pass]).contains(&verdict)
}
