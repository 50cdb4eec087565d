//! Answers of the history as JSON.

use super::{ReportError, file};
use crate::history::Findings;
use std::path::Path;

/// Writes the findings' JSON, as docs/JSON.md describes it. The file is whole at every moment: the old one or the new.
///
/// # Errors
/// [`ReportError::Write`] when it cannot be written; an old file is then left as it was.
pub fn write_history_json(findings: &Findings, path: &Path) -> Result<(), ReportError> {
    file::write_json(path, findings)
}
